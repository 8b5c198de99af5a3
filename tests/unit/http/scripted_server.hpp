#pragma once

#include "support/registry/wire.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace aipack::testing {

/// A connection whose server side the test plays itself, byte by byte.
class Scripted : public test::Wire {
public:
  using Wire::Wire;
  [[nodiscard]] bool is_secure() const noexcept { return !can_drop(); }
  /// Up to the blank line; empty when the client has hung up.
  std::string read_head() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) {
        return {};
      }
    }
    const std::string head = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    return head;
  }
  /// `count` bytes, less when the client hangs up.
  std::string read(std::size_t count) {
    while (buffer_.size() < count && fill()) {
    }
    const std::string bytes = buffer_.substr(0, count);
    buffer_.erase(0, count);
    return bytes;
  }
  /// A body in chunked coding (RFC 9112, section 7.1), decoded.
  std::string read_chunks() {
    std::string body;
    for (;;) {
      while (buffer_.find("\r\n") == std::string::npos) {
        if (!fill()) {
          return body + "(broken off)";
        }
      }
      const std::size_t size = std::stoul(buffer_, nullptr, 16);
      buffer_.erase(0, buffer_.find("\r\n") + 2);
      body += read(size);
      read(2);
      if (size == 0) {
        return body;
      }
    }
  }
  void answer(std::string_view status, std::string_view body = {}) {
    send("HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body));
  }

private:
  bool fill() {
    std::array<char, 65536> chunk; // NOLINT: filled by receive
    const std::size_t got = receive(chunk);
    buffer_.append(chunk.data(), got);
    return got > 0;
  }
  std::string buffer_;
};

struct ScriptedTls {
  std::filesystem::path certificate;
  std::filesystem::path key;
  bool asks_for_certificate = false; ///< takes any, and none as well
};

/// Runs `script` for each connection, on a thread of its own.
class ScriptedServer {
public:
  using Script = std::function<void(Scripted&)>;

  explicit ScriptedServer(Script script, const std::optional<ScriptedTls>& tls = {})
      : script_(std::move(script)) {
    if (tls) {
      start_tls(*tls);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listen_at(reinterpret_cast<sockaddr*>(&address), sizeof address);
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }
  /// On a Unix socket.
  ScriptedServer(const std::filesystem::path& path, Script script) : script_(std::move(script)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    listen_at(reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int client : clients_) {
        ::shutdown(client, SHUT_RDWR);
      }
    }
    threads_.clear();
    ::close(listener_);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::string url(std::string_view path = "/") const {
    return (tls_ ? "https://" : "http://") + host() + std::string(path);
  }
  [[nodiscard]] std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] unsigned connections() const noexcept { return connections_; }
  /// Until the server has closed that many connections.
  void wait_until_closed(unsigned count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ >= count; });
  }
  /// How many clients showed a certificate.
  [[nodiscard]] unsigned client_certificates() const noexcept { return client_certificates_; }

private:
  void start_tls(const ScriptedTls& tls) {
    tls_.reset(SSL_CTX_new(TLS_server_method()));
    if (SSL_CTX_use_certificate_chain_file(tls_.get(), tls.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls_.get(), tls.key.c_str(), SSL_FILETYPE_PEM) != 1) {
      throw std::runtime_error("cannot use the server's certificate");
    }
    if (tls.asks_for_certificate) {
      SSL_CTX_set_verify(tls_.get(), SSL_VERIFY_PEER, nullptr);
      // Called only when the client offers one.
      SSL_CTX_set_cert_verify_callback(
          tls_.get(),
          [](X509_STORE_CTX*, void* server) {
            ++static_cast<ScriptedServer*>(server)->client_certificates_;
            return 1;
          },
          this);
    }
  }

  void listen_at(const sockaddr* address, socklen_t size) {
    listener_ = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener_ < 0 || ::bind(listener_, address, size) != 0 || ::listen(listener_, 64) != 0) {
      throw std::runtime_error("cannot listen");
    }
    acceptor_ = std::thread([this] { accept_all(); });
  }

  void accept_all() {
    for (;;) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) {
        return;
      }
      ++connections_;
      const int on = 1; // An answer that waits for an acknowledgement is lost by a reset.
      ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const std::lock_guard lock(mutex_);
      clients_.push_back(client);
      threads_.emplace_back([this, client] { serve(client); });
    }
  }

  void serve(int client) {
    sigset_t pipe; // OpenSSL writes without MSG_NOSIGNAL
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    {
      Scripted connection(client); // closes it, after it is forgotten
      if (!tls_ || connection.start_tls(tls_.get())) {
        script_(connection);
      }
      const std::lock_guard lock(mutex_);
      std::erase(clients_, client);
    }
    const std::lock_guard lock(mutex_);
    ++closed_;
    changed_.notify_all();
  }

  struct FreeContext {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  Script script_;
  std::unique_ptr<SSL_CTX, FreeContext> tls_{};
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<unsigned> connections_{0};
  std::atomic<unsigned> client_certificates_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned closed_ = 0;
  std::vector<int> clients_;
  std::vector<std::jthread> threads_;
  std::thread acceptor_;
};

} // namespace aipack::testing
