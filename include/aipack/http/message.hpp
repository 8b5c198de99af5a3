#pragma once

#include "aipack/core/export.hpp"
#include "aipack/io/byte_stream.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
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
/// Bytes per second below which a transfer counts as stalled, averaged over
/// `rate_window_stalls` × `Request::stall_timeout`: one byte every 29 s keeps nobody waiting.
inline constexpr std::uint64_t min_transfer_rate = 1024;
inline constexpr int rate_window_stalls = 2;

struct Header {
  std::string name;
  std::string value;
  bool operator==(const Header&) const = default;
};

struct Response {
  int status = 0;
  std::string url; ///< after redirects; holds secrets where the server put some into it
  std::vector<Header> headers{};
  std::string body{};
  unsigned redirects = 0; ///< how many were followed
  /// Of the request body, how much was given to the connection. Less than all of it when the server
  /// answered early (401, 413).
  std::uint64_t sent_body_bytes = 0;
  [[nodiscard]] AIPACK_API std::optional<std::string>
  header(std::string_view name) const; ///< the first of that name, case-insensitive
};

/// One request. Body, sink and functions are used during perform() only, on the thread that calls
/// it; what they throw ends the request and comes out of perform().
struct Request {
  std::string method = "GET";
  std::string url;
  std::vector<Header> headers{};

  /// Where a 2xx body goes; null: into Response::body.
  io::ByteSink* sink = nullptr;
  /// Limit of a body that goes into Response::body; a longer 2xx body is Error{corrupt}. Whoever
  /// gives a sink counts for itself.
  std::uint64_t max_body_bytes = std::uint64_t{4} << 20;
  /// Called once per 2xx response with status, URL and headers, before the first byte of its body.
  std::function<void(const Response& head)> on_head{};

  /// Opens the request body; again for each redirect that repeats it, and for a reused connection
  /// that turns out to be closed. Null: no body. Read to its end before the last byte is sent, so
  /// that a source which verifies itself can still stop the request.
  std::function<std::unique_ptr<io::ByteSource>()> body{};
  /// Exact length of the body, sent as Content-Length. A body that is shorter is Error{io}, a
  /// longer one Error{internal}. Empty: not known before it ends, sent in chunks.
  std::optional<std::uint64_t> body_bytes = 0;
  /// Whether a body that was sent in part is sent again when a reused connection turns out to be
  /// closed. False where the server may have taken that part (RFC 9110, 9.2.2): then it is
  /// Error{unavailable}, and the caller finds out.
  bool repeat_body = true;

  /// Redirects are followed by hand: without credentials across origins, never from https to http,
  /// with the same method and body, except that 303 (and 301, 302 of a POST) becomes a GET. 0: a
  /// redirect is a response like others.
  unsigned max_redirects = 5;
  /// Sees each redirect (full URLs) before it is followed; throws to refuse it.
  std::function<void(const std::string& from, const std::string& to)> on_redirect{};

  /// Name lookup, connection and TLS handshake together.
  std::chrono::milliseconds connect_timeout{15'000};
  /// A transfer that moves no byte in either direction for this long is stalled:
  /// Error{unavailable}. Time that the caller's own sink, source and functions take does not count.
  std::chrono::milliseconds stall_timeout{30'000};
  /// One that moves less is stalled as well; 0: only silence is.
  std::uint64_t min_bytes_per_second = min_transfer_rate;
  /// From the last byte of a request that changes something (not GET or HEAD) to the first of its
  /// answer: registries hash what they got before they answer.
  std::chrono::milliseconds answer_timeout{300'000};
};

} // namespace aipack::http
