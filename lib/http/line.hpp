#pragma once

#include "aipack/http/url.hpp"

#include "curl_handles.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace aipack::http {

/// A connection to one origin, and what libcurl needs for it: an easy handle in a multi handle of
/// its own. The multi's poll can be woken by a stop request and by a deadline, where
/// curl_easy_perform() would sleep up to a second. Connection and TLS session are reused with it.
class Line {
public:
  explicit Line(Origin origin);
  ~Line() = default;
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  [[nodiscard]] const Origin& origin() const noexcept { return origin_; }
  [[nodiscard]] CURL* easy() const noexcept { return easy_.get(); }
  [[nodiscard]] CURLM* multi() const noexcept { return multi_.get(); }

  /// Makes the next transfer's sockets known. libcurl does not say which one it uses while it does.
  void watch_sockets();
  /// Whether bytes have arrived that nobody has read.
  [[nodiscard]] bool has_input() const noexcept;
  /// Bytes that were written and not yet acknowledged by the other side's machine; 0 where the
  /// system does not say.
  [[nodiscard]] std::uint64_t unacknowledged_bytes() const noexcept;

private:
  static curl_socket_t open_socket(void* line, curlsocktype purpose,
                                   curl_sockaddr* address) noexcept;
  static int close_socket(void* line, curl_socket_t socket) noexcept;
  /// The connection's: older ones are being closed. -1: none.
  [[nodiscard]] int socket() const noexcept { return sockets_.empty() ? -1 : sockets_.back(); }

  Origin origin_;
  std::vector<int> sockets_{}; // outlives `multi_`, which closes them
  MultiPtr multi_;
  EasyPtr easy_;
};

/// Idle lines. Never more than there were requests at once, and never more than `max_idle`.
/// Threads: safe.
class Lines {
public:
  static constexpr std::size_t max_idle = 32;

  /// The line to `origin` that was used last, or a new one.
  [[nodiscard]] std::unique_ptr<Line> take(const Origin& origin);
  void give_back(std::unique_ptr<Line> line);

private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Line>> idle_; // used last: at the end
};

/// curl_easy_setopt(); throws Error{internal} when libcurl does not know the option.
template <class Value>
void set_option(CURL* easy, CURLoption option, Value value);

[[noreturn]] void throw_option_error(CURLoption option, CURLcode code);

// --- implementation ---

template <class Value>
void set_option(CURL* easy, CURLoption option, Value value) {
  if (const CURLcode code = curl_easy_setopt(easy, option, value); code != CURLE_OK) {
    throw_option_error(option, code);
  }
}

} // namespace aipack::http
