#include "line.hpp"

#include "aipack/core/error.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace aipack::http {
namespace {

void set_up_curl() {
  // Process-wide state of libcurl that cannot be avoided; made by the first request, because it
  // costs milliseconds that `aipack version` does not have, and never undone, because another user
  // of libcurl in this process may live longer.
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      throw Error(ErrorCode::internal, "cannot set up libcurl");
    }
  });
}

} // namespace

Line::Line(Origin origin)
    : origin_(std::move(origin)), multi_(curl_multi_init()), easy_(curl_easy_init()) {
  if (!multi_ || !easy_) {
    throw Error(ErrorCode::internal, "cannot set up libcurl: out of memory");
  }
  sockets_.reserve(16); // so that no callback allocates; more addresses are not tried at once
}

void Line::watch_sockets() {
  set_option(easy(), CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  set_option(easy(), CURLOPT_OPENSOCKETDATA, this);
  set_option(easy(), CURLOPT_CLOSESOCKETFUNCTION, &close_socket);
  set_option(easy(), CURLOPT_CLOSESOCKETDATA, this);
}

curl_socket_t Line::open_socket(void* line, curlsocktype, curl_sockaddr* address) noexcept {
  auto& sockets = static_cast<Line*>(line)->sockets_;
  if (sockets.size() == sockets.capacity()) {
    return CURL_SOCKET_BAD;
  }
  const int socket = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (socket >= 0) {
    sockets.push_back(socket);
  }
  return socket;
}

int Line::close_socket(void* line, curl_socket_t socket) noexcept {
  auto& sockets = static_cast<Line*>(line)->sockets_;
  sockets.erase(std::remove(sockets.begin(), sockets.end(), socket), sockets.end());
  return ::close(socket);
}

bool Line::has_input() const noexcept {
  pollfd event{socket(), POLLIN, 0};
  return event.fd >= 0 && ::poll(&event, 1, 0) == 1;
}

std::uint64_t Line::unacknowledged_bytes() const noexcept {
  int bytes = 0;
  return socket() >= 0 && ::ioctl(socket(), SIOCOUTQ, &bytes) == 0 && bytes > 0
             ? static_cast<std::uint64_t>(bytes)
             : 0;
}

std::unique_ptr<Line> Lines::take(const Origin& origin) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                    [&](const auto& line) { return line->origin() == origin; });
    if (found != idle_.rend()) {
      auto line = std::move(*found);
      idle_.erase(std::next(found).base());
      return line;
    }
  }
  set_up_curl();
  return std::make_unique<Line>(origin);
}

void Lines::give_back(std::unique_ptr<Line> line) {
  std::unique_ptr<Line> oldest; // closed after the lock
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(line));
  if (idle_.size() > max_idle) {
    oldest = std::move(idle_.front());
    idle_.erase(idle_.begin());
  }
}

void throw_option_error(CURLoption option, CURLcode code) {
  throw Error(ErrorCode::internal, fmt::format("cannot set libcurl option {}: {}",
                                               static_cast<int>(option), curl_easy_strerror(code)));
}

} // namespace aipack::http
