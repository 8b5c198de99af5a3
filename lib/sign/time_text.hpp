#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <openssl/asn1.h>

namespace aipack::sign {

/// RFC 3339, section 5.6: "2026-11-21T12:00:00Z", fractions cut off, offsets applied.
[[nodiscard]] std::optional<std::chrono::sys_seconds> try_rfc3339(std::string_view text) noexcept;
[[nodiscard]] std::string rfc3339(std::chrono::sys_seconds time);
[[nodiscard]] std::optional<std::chrono::sys_seconds> try_time(const ASN1_TIME* time) noexcept;

} // namespace aipack::sign
