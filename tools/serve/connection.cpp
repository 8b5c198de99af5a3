#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace aipack::serve {
namespace {

inline constexpr std::chrono::seconds linger_time{2};
inline constexpr std::size_t linger_bytes = std::size_t{4} << 20U;

/// For poll(2): at least 1 ms, so that a deadline in the near future does not become a busy loop.
[[nodiscard]] int milliseconds_until(std::chrono::steady_clock::time_point until) noexcept {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                        until - std::chrono::steady_clock::now())
                        .count();
  return static_cast<int>(std::clamp<long long>(left, 1, 3600 * 1000));
}

} // namespace

Connection::Connection(int socket, int stop_event, ConnectionTimes times) noexcept
    : socket_(socket), stop_event_(stop_event), times_(times) {}

Connection::~Connection() {
  ::close(socket_);
}

bool Connection::wait(short events, Clock::time_point until) const noexcept {
  for (;;) {
    pollfd entry{socket_, events, 0};
    const int ready = ::poll(&entry, 1, milliseconds_until(until));
    if (ready > 0) {
      return true;
    }
    if (ready < 0 && errno != EINTR) {
      return false;
    }
    if (Clock::now() >= until) {
      return false;
    }
  }
}

bool Connection::wait_for_request() noexcept {
  if (begin_ == end_) {
    const auto until = Clock::now() + times_.idle;
    for (;;) {
      pollfd entries[2] = {{socket_, POLLIN, 0}, {stop_event_, POLLIN, 0}};
      const int ready = ::poll(entries, 2, milliseconds_until(until));
      if (ready < 0 && errno != EINTR) {
        return false;
      }
      // Bytes that are there already are a request in flight, also while the server stops.
      if (ready > 0 && entries[0].revents != 0) {
        break;
      }
      if (ready > 0 || Clock::now() >= until) {
        return false;
      }
    }
  }
  deadline_ = Clock::now() + times_.request;
  timed_out_ = false;
  return true;
}

ssize_t Connection::read(char* into, std::size_t size) noexcept {
  if (begin_ == end_) {
    if (Clock::now() >= deadline_ || !wait(POLLIN, deadline_)) {
      timed_out_ = true;
      return -1;
    }
    if (size >= buffer_.size()) {
      return ::recv(socket_, into, size, MSG_DONTWAIT);
    }
    const ssize_t n = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n <= 0) {
      return n;
    }
    begin_ = 0;
    end_ = static_cast<std::size_t>(n);
  }
  const std::size_t n = std::min(size, end_ - begin_);
  std::memcpy(into, buffer_.data() + begin_, n);
  begin_ += n;
  return static_cast<ssize_t>(n);
}

ssize_t Connection::write(const char* from, std::size_t size) noexcept {
  const auto until = Clock::now() + times_.write;
  for (;;) {
    const ssize_t n = ::send(socket_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      return n;
    }
    const bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    if (!again || !wait(POLLOUT, until)) {
      return -1;
    }
  }
}

void Connection::linger() noexcept {
  if (::shutdown(socket_, SHUT_WR) != 0) {
    return;
  }
  const auto until = Clock::now() + linger_time;
  std::size_t swallowed = 0;
  while (swallowed < linger_bytes && wait(POLLIN, until)) {
    const ssize_t n = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n <= 0) {
      return;
    }
    swallowed += static_cast<std::size_t>(n);
  }
}

} // namespace aipack::serve
