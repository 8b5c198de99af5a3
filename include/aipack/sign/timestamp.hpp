#pragma once

#include "aipack/core/export.hpp"
#include "aipack/sign/certificate.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

inline constexpr std::uint64_t max_timestamp_bytes = std::uint64_t{64} << 10;

/// A question to a time-stamping authority, RFC 3161, section 2.4.1: SHA-256 of `message`, a nonce,
/// certificates wanted. POST `der` as application/timestamp-query.
struct AIPACK_API TimestampRequest {
  std::string der;
  [[nodiscard]] static TimestampRequest make(std::string_view message);
};

/// Checks the answer against its request (status, nonce, digest) and returns its DER. Whether the
/// authority is trusted is a verifier's question. Throws FormatError{corrupt},
/// Error{unavailable} with what a refusing authority says.
[[nodiscard]] AIPACK_API std::string check_timestamp_response(const TimestampRequest& request,
                                                              std::string_view response_der);

/// When one of the authorities saw `message`. `der` is a response or a bare token (CMS). The
/// authority's certificate must have been valid, and meant for nothing but time stamps, at that
/// time. Throws Error{corrupt} with the reason.
[[nodiscard]] AIPACK_API std::chrono::sys_seconds
verify_timestamp(std::string_view der, std::string_view message,
                 const std::vector<Authority>& authorities);

} // namespace aipack::sign
