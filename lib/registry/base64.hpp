#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace aipack::registry {

/// RFC 4648, section 4, with padding.
[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// Strict: padded, no line breaks, no stray bits; empty when it is not base64.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

} // namespace aipack::registry
