#pragma once

#include "element_type.hpp"
#include "tensor.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::serve {

/// One dimension of an input or output: a size, or -1 with the symbol that the model gives it (""
/// for none).
struct Dimension {
  std::int64_t size = -1;
  std::string symbol;
};

/// What ONNX allows as an input or output. The protocol knows tensors only; see README.md for what
/// is made of the others.
enum class ValueKind {
  tensor,
  optional_tensor, ///< optional(tensor(T))
  tensor_sequence, ///< sequence(tensor(T)): as output one tensor with a leading dimension, when all
                   ///< shapes are equal
  map, ///< map(K, tensor(V)): as output the values, in the order of the keys, which stand in
       ///< "parameters"
  map_sequence, ///< sequence(map(K, tensor(V))), what ZipMap gives: as output values of shape
                ///< [rows, keys]
  other,        ///< sparse tensors, opaque types, deeper nesting
};

struct ValueSpec {
  std::string name;
  ValueKind kind = ValueKind::tensor;
  ElementType element_type = ElementType::undefined; ///< of the tensor, or of the map's values
  bool rank_known =
      true; ///< false: the runtime reports a scalar and an unknown rank alike, and checks itself
  std::vector<Dimension> dimensions;
  bool may_be_omitted = false; ///< an input with an initializer as its default
  std::string type_text;       ///< as ONNX writes it: "sequence(map(int64,tensor(float)))"
};

/// What a model takes and gives, and what it says about itself.
struct ModelSignature {
  std::string name;
  std::vector<ValueSpec> inputs;
  std::vector<ValueSpec> outputs;
  std::map<std::string, std::string> metadata;
};

/// Position of the value of that name, or the size of `specs`.
[[nodiscard]] std::size_t find_value(std::span<const ValueSpec> specs,
                                     std::string_view name) noexcept;

/// Whether the protocol can carry a value of this kind: to the model, or from it.
[[nodiscard]] bool is_carriable_input(const ValueSpec& spec) noexcept;
[[nodiscard]] bool is_carriable_output(const ValueSpec& spec) noexcept;

/// "[batch, 3, ?]"
[[nodiscard]] std::string to_string(std::span<const Dimension> dimensions);

/// Throws RequestError unless `shape` fits the rank and the fixed sizes of `spec`.
void check_shape(const ValueSpec& spec, std::span<const std::int64_t> shape);

/// Throws RequestError when two dimensions with one symbol differ in size, or an input that cannot
/// be omitted is missing. REQUIRES: each tensor passed check_shape and has a name of `inputs`.
void check_inputs(std::span<const ValueSpec> inputs, std::span<const Tensor> tensors);

} // namespace aipack::serve
