#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace aipack::serve {

/// Length in bytes of the well-formed UTF-8 sequence at the start of `text`; 0 when there is none
/// (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
[[nodiscard]] std::size_t utf8_sequence_length(std::string_view text) noexcept;

/// Position of the first byte that is not well-formed UTF-8, or npos when all of `text` is.
[[nodiscard]] std::size_t find_invalid_utf8(std::string_view text) noexcept;

/// Appends the code point as UTF-8. REQUIRES: a Unicode scalar value.
void append_utf8(std::string& out, std::uint32_t code_point);

/// Appends `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, so that
/// the result is always valid JSON.
void append_json_string(std::string& out, std::string_view text);
[[nodiscard]] std::string json_string(std::string_view text);

/// `text` between single quotes for a message: control characters and bad bytes replaced, cut after
/// a bounded length.
[[nodiscard]] std::string quote(std::string_view text);

} // namespace aipack::serve
