#pragma once

#include "aipack/core/error.hpp"
#include "aipack/core/export.hpp"
#include "aipack/io/byte_stream.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::http {

inline constexpr std::size_t max_response_headers = 256;
inline constexpr std::size_t max_response_header_bytes = std::size_t{256} << 10;
/// What is kept of the body of a response that is not 2xx: enough for a message, not enough to
/// hurt.
inline constexpr std::uint64_t max_error_body_bytes = std::uint64_t{64} << 10;

struct Header {
  std::string name;
  std::string value;
  bool operator==(const Header&) const = default;
};

struct Response {
  int status = 0;
  std::string url; ///< after redirects
  std::vector<Header> headers{};
  std::string body{};
  [[nodiscard]] AIPACK_API std::optional<std::string>
  header(std::string_view name) const; ///< the first of that name, case-insensitive
};

/// One request. Body, sink and functions are used during perform() only.
struct Request {
  std::string method = "GET";
  std::string url;
  std::vector<Header> headers{};
  /// Where a 2xx body goes; null: into Response::body.
  io::ByteSink* sink = nullptr;
  /// Limit of a body that goes into Response::body; a longer 2xx body is Error{corrupt}. Whoever
  /// gives a sink counts for itself.
  std::uint64_t max_body_bytes = std::uint64_t{4} << 20;
  /// Called once per 2xx response with status, URL and headers, before the first byte of its body;
  /// what it throws ends the request.
  std::function<void(const Response& head)> on_head{};
  /// Opens the request body again for each try; null: no body.
  std::function<std::unique_ptr<io::ByteSource>()> body{};
  std::uint64_t body_bytes = 0;
  /// Redirects are followed by hand, without credentials across origins, never from https to http.
  unsigned max_redirects = 5;
  /// A transfer that moves no byte in either direction for this long is stalled:
  /// Error{unavailable}.
  std::chrono::milliseconds stall_timeout{30'000};
  /// Name lookup, connection and TLS handshake together.
  std::chrono::milliseconds connect_timeout{15'000};
};

/// Performs requests. Threads: perform() may run on several at once; connections are reused.
struct AIPACK_API HttpTransport {
  virtual ~HttpTransport() = default;
  /// The response, whatever its status. Throws Error{unavailable} when none came or it broke off
  /// (redacted URL in the message), Error{invalid_input} for a URL that cannot be requested,
  /// Error{cancelled}.
  virtual Response perform(const Request& request, const Operation& op) = 0;
};

struct TransportOptions {
  std::string user_agent = "aipack";
  std::string ca_file{}; ///< PEM; empty: the system's
};

/// libcurl: HTTP/1.1 and HTTP/2, proxies from the environment, TLS verified, no content decoding
/// (digests are of the bytes as served). `file://` URLs work as well (mirrors on disk): GET and
/// HEAD, with ETag and Last-Modified. libcurl is set up by the first request.
[[nodiscard]] AIPACK_API std::unique_ptr<HttpTransport>
make_transport(TransportOptions options = {});

/// `path` as a `file://` URL, percent-encoded.
[[nodiscard]] AIPACK_API std::string file_url(std::string_view absolute_path);

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
