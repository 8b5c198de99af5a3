#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Text forms of bytes, strict: no white space, no other alphabet, no stray bits. RFC 4648.
namespace aipack::sign {

[[nodiscard]] std::string base64(std::string_view bytes);     ///< padded
[[nodiscard]] std::string base64_url(std::string_view bytes); ///< unpadded, as JOSE wants it

/// Standard alphabet, with or without padding: protobuf's JSON and Go's readers take both.
[[nodiscard]] std::optional<std::string> try_base64(std::string_view text);
/// URL alphabet without padding.
[[nodiscard]] std::optional<std::string> try_base64_url(std::string_view text);

[[nodiscard]] std::string hex(std::string_view bytes); ///< lower case
/// Either case.
[[nodiscard]] std::optional<std::string> try_hex(std::string_view text);

/// Raw SHA-256.
[[nodiscard]] std::string sha256(std::string_view bytes);

} // namespace aipack::sign
