#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace aipack::model {

/// A formal parameter of an operator: a type variable, or one fixed type.
struct Parameter {
  std::string_view variable; ///< "T"; empty: `fixed`
  std::string_view fixed;    ///< "int64", "seq(float)"
  bool variadic = false;
  bool same_type = true; ///< of all arguments of a variadic parameter
};

/// One version of an operator: what its arguments are called, in the notation of
/// operator_schemas.inc.
struct OperatorSchema {
  std::string_view domain; ///< "" is ai.onnx
  std::string_view name;
  std::int64_t since_version = 0;
  std::string_view signature; ///< inputs>outputs, ";" between parameters, ":TYPE" fixed, "*"
                              ///< variadic, "~" variadic of mixed types
};

struct Signature {
  std::vector<Parameter> inputs;
  std::vector<Parameter> outputs;
  /// The parameter that argument `index` belongs to; null: there is none.
  [[nodiscard]] static const Parameter* at(const std::vector<Parameter>& parameters,
                                           std::size_t index) noexcept;
};

/// The version of an operator that `opset_version` means: the newest one that is not newer. Null:
/// no such operator.
[[nodiscard]] const OperatorSchema* find_schema(std::string_view domain, std::string_view name,
                                                std::int64_t opset_version) noexcept;
[[nodiscard]] Signature parse_signature(std::string_view text);
/// Whether operators of this domain are ONNX's own or ONNX Runtime's, rather than from a library
/// that would have to be shipped.
[[nodiscard]] bool is_standard_domain(std::string_view domain) noexcept;

} // namespace aipack::model
