#pragma once

#include "aipack/core/export.hpp"
#include "aipack/model/model.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::runtime {

/// Which operators a runtime has kernels for, as measured on the library itself
/// (lib/runtime/catalog/make_operator_table.py): a model's opset being accepted does not mean that
/// its operators are implemented, and a kernel may exist for some element types only.
class AIPACK_API OperatorTable {
public:
  static constexpr std::uint64_t max_bytes = std::uint64_t{16} << 20;

  /// Reads the generated JSON; `name` is what errors call it. Throws FormatError{corrupt}.
  [[nodiscard]] static OperatorTable parse(std::string_view json, std::string_view name);

  /// Why there is no kernel for this use ("Max-13 has no kernel for T=int8"); empty: there is one,
  /// or the types are not known well enough to say. The operator's version is the newest of the
  /// table that the use's opset includes.
  [[nodiscard]] std::optional<std::string> refuse(const model::OperatorUse& use) const;
  [[nodiscard]] std::size_t size() const noexcept; ///< operator versions

private:
  using Alternative = std::map<std::string, std::set<std::string>,
                               std::less<>>; ///< type variable → types; others are free
  struct Kernels {
    bool any = false;                      ///< some kernel exists
    std::vector<Alternative> alternatives; ///< empty: for every type the schema allows
  };
  using Versions = std::map<std::int64_t, Kernels>;
  std::map<std::string, std::map<std::string, Versions, std::less<>>, std::less<>>
      operators_; ///< domain → name → since_version
};

} // namespace aipack::runtime
