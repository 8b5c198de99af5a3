#pragma once

#include "aipack/core/export.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack {

/// `text` without leading and trailing spaces, tabs, CR and LF.
[[nodiscard]] AIPACK_API std::string_view trim(std::string_view text) noexcept;
/// Parts between separators, empty ones included: split("a,,b", ',') gives three.
[[nodiscard]] AIPACK_API std::vector<std::string_view> split(std::string_view text, char separator);
/// Decimal digits only, no sign, no space, no overflow; else empty.
[[nodiscard]] AIPACK_API std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept;
/// In single quotes, with control characters and invalid UTF-8 shown as \xNN and a length cap: safe
/// to print on a terminal.
[[nodiscard]] AIPACK_API std::string quoted(std::string_view text);
// Exact matches, so that argument-dependent lookup does not prefer std::quoted where <iomanip> is
// visible.
[[nodiscard]] inline std::string quoted(const std::string& text) {
  return quoted(std::string_view(text));
}
[[nodiscard]] inline std::string quoted(const char* text) {
  return quoted(std::string_view(text));
}
[[nodiscard]] inline std::string quoted(std::string& text) {
  return quoted(std::string_view(text));
}
/// A URL fit for errors and logs: without user info, query and fragment.
[[nodiscard]] AIPACK_API std::string redacted_url(std::string_view url);
/// For people: "34.1 MB" (10^6), "812 B".
[[nodiscard]] AIPACK_API std::string human_bytes(std::uint64_t bytes);
/// Valid UTF-8 in the sense of RFC 3629 (no surrogates, no overlong forms).
[[nodiscard]] AIPACK_API bool is_utf8(std::string_view text) noexcept;

} // namespace aipack
