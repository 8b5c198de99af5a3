#include "support/registry/wire.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <openssl/err.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

namespace aipack::test {

Wire::~Wire() {
  if (tls_ && !cut_) {
    SSL_shutdown(tls_.get());
  }
  tls_.reset();
  ERR_clear_error();
  ::close(socket_);
}

bool Wire::start_tls(SSL_CTX* context) {
  tls_.reset(SSL_new(context));
  if (!tls_ || SSL_set_fd(tls_.get(), socket_) != 1 || SSL_accept(tls_.get()) != 1) {
    ERR_clear_error();
    cut_ = true;
    return false;
  }
  return true;
}

std::size_t Wire::receive(std::span<char> into) {
  if (tls_) {
    std::size_t got = 0;
    if (SSL_read_ex(tls_.get(), into.data(), into.size(), &got) != 1) {
      ERR_clear_error();
      cut_ = true;
      return 0;
    }
    return got;
  }
  ssize_t got = 0;
  do {
    got = ::recv(socket_, into.data(), into.size(), 0);
  } while (got < 0 && errno == EINTR);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

std::size_t Wire::drop(std::size_t most) {
  ssize_t got = 0;
  do { // tcp(7): MSG_TRUNC discards in place of copying
    got = ::recv(socket_, nullptr, most, MSG_TRUNC);
  } while (got < 0 && errno == EINTR);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

bool Wire::send(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t sent = 0;
    if (tls_) {
      if (SSL_write_ex(tls_.get(), bytes.data(), bytes.size(), &sent) != 1) {
        ERR_clear_error();
        cut_ = true;
        return false;
      }
    } else {
      const ssize_t put = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (put < 0 && errno == EINTR) {
        continue;
      }
      if (put <= 0) {
        return false;
      }
      sent = static_cast<std::size_t>(put);
    }
    bytes.remove_prefix(sent);
  }
  return true;
}

bool Wire::send_file(int file, std::uint64_t offset, std::size_t count) {
  auto at = static_cast<off_t>(offset);
  while (count > 0) {
    const ssize_t put = ::sendfile(socket_, file, &at, count);
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put <= 0) {
      return false;
    }
    count -= static_cast<std::size_t>(put);
  }
  return true;
}

void Wire::stall(std::chrono::milliseconds duration) const {
  const auto end = std::chrono::steady_clock::now() + duration;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd event{socket_, POLLRDHUP, 0};
    if (left.count() <= 0 ||
        ::poll(&event, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000))) > 0) {
      return;
    }
  }
}

void Wire::reset() {
  const struct ::linger now { 1, 0 };
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  cut_ = true;
}

void Wire::linger(std::chrono::milliseconds most) {
  if (tls_) {
    SSL_shutdown(tls_.get());
    cut_ = true;
  }
  ::shutdown(socket_, SHUT_WR);
  const auto end = std::chrono::steady_clock::now() + most;
  std::array<char, 65536> waste; // NOLINT: filled by recv
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd event{socket_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&event, 1, static_cast<int>(left.count())) <= 0 ||
        ::recv(socket_, waste.data(), waste.size(), 0) <= 0) {
      return;
    }
  }
}

} // namespace aipack::test
