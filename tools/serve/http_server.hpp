#pragma once

#include "connection.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "service.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace aipack::serve {

struct HttpOptions {
  std::string host;
  unsigned port = 0; ///< 0: any free one
  unsigned max_connections = 256;
  std::uint64_t max_request_bytes = 0;
  ConnectionTimes times{};
};

/// The HTTP/1.1 side: cpp-httplib reads requests and writes responses, the service answers them.
/// One thread a connection, started when it is needed. *Threads*: stop() from any; the rest from
/// one.
class HttpServer {
public:
  HttpServer(HttpOptions options, Service& service, Metrics& metrics);
  ~HttpServer();

  /// Takes the port and starts to accept; returns the port. Throws StartupError (network).
  unsigned start();
  /// Stops to accept, ends idle connections, lets requests in flight finish. Returns at once.
  void stop() noexcept;
  /// Waits until every connection has ended after stop(), at most until the time. False when some
  /// still live.
  [[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point until);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace aipack::serve
