#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aipack/core/export.hpp"
#include "aipack/io/byte_stream.hpp"

namespace aipack::http {

struct Header {
    std::string name;
    std::string value;
};

/// One request. Body and sink are used during perform() only.
struct Request {
    std::string method = "GET";
    std::string url;
    std::vector<Header> headers{};
    /// Where a 2xx body goes; null: into Response::body (at most `max_body_bytes`).
    io::ByteSink* sink = nullptr;
    std::uint64_t max_body_bytes = std::uint64_t{4} << 20;
    /// Opens the request body again for each try; null: no body.
    std::function<std::unique_ptr<io::ByteSource>()> body{};
    std::uint64_t body_bytes = 0;
    /// Redirects are followed by hand, without credentials across origins, never from https to http.
    unsigned max_redirects = 5;
    /// A transfer that moves fewer bytes than 1 in this time is stalled: Error{unavailable}.
    std::chrono::seconds stall_timeout{30};
    std::chrono::seconds connect_timeout{15};
};

struct Response {
    int status = 0;
    std::string url; ///< after redirects
    std::vector<Header> headers{};
    std::string body{};
    [[nodiscard]] AIPACK_API std::optional<std::string> header(std::string_view name) const; ///< case-insensitive
};

/// Performs requests. Threads: perform() may run on several at once; connections are reused.
struct AIPACK_API HttpTransport {
    virtual ~HttpTransport() = default;
    /// The response, whatever its status. Throws Error{unavailable} when none came (redacted URL in the message), Error{cancelled}.
    virtual Response perform(const Request& request, const Operation& op) = 0;
};

struct TransportOptions {
    std::string user_agent = "aipack";
    std::string ca_file{}; ///< PEM; empty: the system's
};

/// libcurl: HTTP/1.1 and HTTP/2, proxies from the environment, TLS verified. `file://` URLs work as well (mirrors on disk).
[[nodiscard]] AIPACK_API std::unique_ptr<HttpTransport> make_transport(TransportOptions options = {});

/// How often and how long to try again.
struct RetryPolicy {
    unsigned attempts = 4;
    std::chrono::milliseconds first_delay{250};
    std::chrono::milliseconds max_delay{8000};
};
/// True for 408, 429, 500, 502, 503, 504.
[[nodiscard]] AIPACK_API bool is_retryable_status(int status) noexcept;

/// Downloads into `sink`: tries again with jitter and Retry-After, continues a broken transfer by range where the server says it can
/// (`reset` is called when it has to start over, so that the sink forgets what it got). Throws Error with the status mapped: 404 not_found,
/// 401 unauthenticated, 403 denied, else unavailable. Bytes are *not* verified here.
AIPACK_API void download(HttpTransport& transport, const std::string& url, io::ByteSink& sink, const std::function<void()>& reset,
                         std::uint64_t max_bytes, const Operation& op, RetryPolicy policy = {});

} // namespace aipack::http
