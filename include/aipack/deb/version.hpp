#pragma once

#include "aipack/core/export.hpp"

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::deb {

/// "[epoch:]upstream[-revision]" with Debian's order. Source: Debian Policy 4.7, 5.6.12;
/// deb-version(7).
class AIPACK_API Version {
public:
  [[nodiscard]] static Version parse(std::string_view text); ///< throws Error{invalid_input}
  [[nodiscard]] static std::optional<Version> try_parse(std::string_view text);
  [[nodiscard]] const std::string& to_string() const noexcept { return text_; }
  /// "1.0" and "1.0-0" are equivalent though spelled differently.
  std::weak_ordering operator<=>(const Version& other) const noexcept;
  bool operator==(const Version& other) const noexcept { return (*this <=> other) == 0; }

private:
  Version() = default;
  std::string text_;
  unsigned epoch_ = 0;
  std::string upstream_;
  std::string revision_;
};

} // namespace aipack::deb
