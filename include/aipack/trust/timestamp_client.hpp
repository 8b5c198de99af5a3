#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/http/transport.hpp"
#include "aipack/sign/signing.hpp"

#include <memory>
#include <string>

namespace aipack::trust {

/// Asks a time-stamping authority over HTTP (RFC 3161, section 3.4). `op` must outlive it. The
/// answer is checked by who signs. Throws Error{unavailable} for what is no answer.
[[nodiscard]] AIPACK_API sign::TimestampAuthority
timestamp_authority(std::string url, std::shared_ptr<http::HttpTransport> transport,
                    const Operation& op);

} // namespace aipack::trust
