#pragma once

#include "aipack/core/export.hpp"
#include "aipack/deb/version.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::deb {

inline constexpr std::size_t max_control_bytes = std::size_t{4} << 20;
inline constexpr std::size_t max_control_fields = 512;

/// One paragraph of a control file: fields in order, values with their continuation lines as
/// written (joined by "\n"). Source: Debian Policy 5.1, deb822(5).
class AIPACK_API Paragraph {
public:
  [[nodiscard]] std::optional<std::string_view>
  find(std::string_view field) const noexcept; ///< case-insensitive
  [[nodiscard]] std::string_view
  get(std::string_view field) const; ///< throws Error{corrupt} when absent
  void set(std::string field, std::string value);
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const noexcept {
    return fields_;
  }
  /// "Field: value" lines, each ended by "\n".
  [[nodiscard]] std::string to_string() const;

private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// All paragraphs of `text`. Throws FormatError{corrupt} with the byte offset.
[[nodiscard]] AIPACK_API std::vector<Paragraph> parse_control(std::string_view text,
                                                              std::string_view name);

/// One alternative of a relation: "libc6 (>= 2.38) [amd64]" → name, operator and version,
/// architecture qualifier.
struct Relation {
  std::string name;
  std::string architecture{}; ///< after ':' ("any", "native"), empty without
  std::string op{};           ///< "<<", "<=", "=", ">=", ">>", empty without a version
  std::string version{};
  bool operator==(const Relation&) const = default;
};
/// A Depends-like field: all of these, each any of its alternatives. Throws Error{corrupt}. Source:
/// Debian Policy 7.1.
[[nodiscard]] AIPACK_API std::vector<std::vector<Relation>> parse_relations(std::string_view text);

} // namespace aipack::deb
