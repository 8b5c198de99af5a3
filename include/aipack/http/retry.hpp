#pragma once

#include "aipack/core/error.hpp"
#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/http/transport.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::http {

/// How often and how long to try again.
struct RetryPolicy {
  unsigned attempts = 4; ///< in all, at least 1
  std::chrono::milliseconds first_delay{250};
  std::chrono::milliseconds max_delay{8000};
  std::chrono::milliseconds max_retry_after{30'000}; ///< a server that asks for more gets this
};
/// True for 408, 429, 500, 502, 503, 504.
[[nodiscard]] AIPACK_API bool is_retryable_status(int status) noexcept;
/// What Retry-After asks for: seconds, or a date relative to the response's own Date. Empty without
/// one that can be read.
[[nodiscard]] AIPACK_API std::optional<std::chrono::milliseconds>
retry_after(const Response& response);
/// Delay before try number `next_try` (2, 3, …): doubled each time, with jitter between half and
/// all of it; Retry-After of `response` (may be null) is a lower bound.
[[nodiscard]] AIPACK_API std::chrono::milliseconds
retry_delay(const RetryPolicy& policy, unsigned next_try, const Response* response = nullptr);
/// Waits; Error{cancelled} at once when the caller asks to stop.
AIPACK_API void wait(std::chrono::milliseconds delay, const Operation& op);
/// The error for an answer that is none: 404 and 410 not_found, 401 and 407 unauthenticated, 403
/// denied, else unavailable: "cannot VERB 'url': the server answered 404 (not found)".
[[nodiscard]] AIPACK_API Error status_error(std::string_view verb, const Response& response);

/// perform(), tried again on retryable statuses and on Error{unavailable}. Returns the last
/// response, whatever its status. Not for requests with a sink, which may have swallowed half a
/// body: use download().
AIPACK_API Response perform_with_retries(HttpTransport& transport, const Request& request,
                                         const Operation& op, RetryPolicy policy = {});

/// Downloads into `sink`: tries again with jitter and Retry-After, continues a broken transfer by
/// range where the server says it can
/// (`reset` is called when it has to start over, so that the sink forgets what it got). Throws
/// Error with the status mapped: 404 not_found, 401 unauthenticated, 403 denied, else unavailable;
/// Error{corrupt} for more than `max_bytes`. Bytes are *not* verified here. `resume_from`: the sink
/// already holds that many bytes of an earlier call, whose digest the caller is going to check.
AIPACK_API void download(HttpTransport& transport, const std::string& url, io::ByteSink& sink,
                         const std::function<void()>& reset, std::uint64_t max_bytes,
                         const Operation& op, RetryPolicy policy = {},
                         std::uint64_t resume_from = 0);

/// An IMF-fixdate or one of the obsolete HTTP dates (RFC 9110, 5.6.7), in seconds since the epoch.
[[nodiscard]] AIPACK_API std::optional<std::int64_t> parse_http_date(std::string_view text);

} // namespace aipack::http
