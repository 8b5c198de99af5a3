#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include <sys/types.h>

namespace aipack::serve {

/// How long a connection may take for what.
struct ConnectionTimes {
  std::chrono::seconds idle;    ///< between requests
  std::chrono::seconds request; ///< for all of one request to arrive, its first byte to its last:
                                ///< slow senders are cut off
  std::chrono::seconds write;   ///< for the client to take some bytes
};

/// One accepted TCP connection: buffered reading with a deadline for each request, and an end that
/// does not destroy the last response. *Ownership*: closes `socket`; `stop_event` becomes readable
/// when the server stops. *Threads*: one.
class Connection {
public:
  Connection(int socket, int stop_event, ConnectionTimes times) noexcept;
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Waits for the next request's first byte and starts its deadline. False when the client went
  /// away or stayed idle too long, or the server stops.
  [[nodiscard]] bool wait_for_request() noexcept;

  /// Bytes read, 0 at the end of the stream, -1 on an error or after the deadline.
  [[nodiscard]] ssize_t read(char* into, std::size_t size) noexcept;
  /// Bytes written, or -1 on an error or when the client took nothing in time.
  [[nodiscard]] ssize_t write(const char* from, std::size_t size) noexcept;

  /// Whether a read failed because the deadline passed.
  [[nodiscard]] bool timed_out() const noexcept { return timed_out_; }

  /// Says that nothing more will be sent and swallows, for a short while, what the client still
  /// sends: closing with unread bytes would reset the connection, and the client might lose the
  /// response that tells it why.
  void linger() noexcept;

  [[nodiscard]] int socket() const noexcept { return socket_; }

private:
  using Clock = std::chrono::steady_clock;

  /// Waits until the socket is ready for `events` or the time comes.
  [[nodiscard]] bool wait(short events, Clock::time_point until) const noexcept;

  int socket_;
  int stop_event_;
  ConnectionTimes times_;
  Clock::time_point deadline_{};
  std::array<char, 16 * 1024> buffer_;
  std::size_t begin_ = 0; ///< unread bytes are buffer_[begin_, end_)
  std::size_t end_ = 0;
  bool timed_out_ = false;
};

} // namespace aipack::serve
