#pragma once

#include "aipack/http/http.hpp"

#include "support/catch.hpp"
#include "support/http_server.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace aipack::testing {

inline const http::RetryPolicy quick{.attempts = 4,
                                     .first_delay = std::chrono::milliseconds(1),
                                     .max_delay = std::chrono::milliseconds(2),
                                     .max_retry_after = std::chrono::milliseconds(5)};

inline std::string random_text(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 12345;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

/// A sink that can forget, as download() asks of it.
struct TextSink : io::ByteSink {
  std::string text;
  unsigned resets = 0;
  void write(std::span<const std::byte> bytes) override { text += io::as_text(bytes); }
  std::function<void()> reset = [this] {
    text.clear();
    ++resets;
  };
};

inline http::Request request_of(std::string method, std::string url) {
  http::Request request;
  request.method = std::move(method);
  request.url = std::move(url);
  return request;
}

/// `text` must outlive the request.
inline http::Request put_of(std::string url, const std::string& text) {
  http::Request request = request_of("PUT", std::move(url));
  request.body = [&text] { return std::make_unique<io::MemorySource>(io::as_bytes(text)); };
  request.body_bytes = text.size();
  return request;
}

inline http::Response get(http::HttpTransport& transport, const std::string& url) {
  return transport.perform(request_of("GET", url), {});
}

template <class Fn>
Error error_of(Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "no error was thrown");
}

} // namespace aipack::testing
