#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <openssl/ssl.h>

namespace aipack::test {

/// The server's end of one connection, plain or TLS. Blocking; shut_down() from another thread
/// ends every call.
class Wire {
public:
  explicit Wire(int socket) noexcept : socket_(socket) {}
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  /// Whether the handshake went well.
  bool start_tls(SSL_CTX* context);
  /// 0 when the peer has closed or the connection is lost.
  std::size_t receive(std::span<char> into);
  /// Whether receive() can be replaced by drop(): the kernel throws bytes away by itself.
  [[nodiscard]] bool can_drop() const noexcept { return !tls_; }
  std::size_t drop(std::size_t most);
  bool send(std::string_view bytes);
  /// `count` bytes of a file; plain connections only.
  bool send_file(int file, std::uint64_t offset, std::size_t count);
  [[nodiscard]] bool can_send_file() const noexcept { return !tls_; }

  /// Waits for `duration`, less if the peer hangs up.
  void stall(std::chrono::milliseconds duration) const;
  /// The next close is a TCP reset.
  void reset();
  /// No more is sent; what the peer still sends is read for a while, so that it sees the reply
  /// instead of a reset.
  void linger(std::chrono::milliseconds most);

private:
  int socket_;
  struct Free {
    void operator()(SSL* tls) const noexcept { SSL_free(tls); }
  };
  std::unique_ptr<SSL, Free> tls_;
  bool cut_ = false;
};

} // namespace aipack::test
