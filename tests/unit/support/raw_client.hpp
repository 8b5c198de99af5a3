#pragma once

#include "support/registry_server.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/// As little of HTTP as it takes to look at the test registry from outside, on a plain socket.
namespace aipack::test {

struct RawReply {
  int status = 0; ///< 0: the connection ended before a reply
  Headers headers{};
  std::string body{};
  bool whole = false; ///< the body is as long as announced

  [[nodiscard]] std::string operator[](std::string_view name) const {
    RegistryRequest finder;
    finder.headers = headers;
    return finder.header(name).value_or("");
  }
};

class RawConnection {
public:
  explicit RawConnection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socket_ < 0 ||
        ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("cannot connect to the test registry");
    }
  }
  ~RawConnection() { close(); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  void close() {
    if (socket_ >= 0) {
      ::close(std::exchange(socket_, -1));
    }
  }
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// Sends a head with Host and, unless the headers say otherwise, Content-Length.
  bool send_head(const std::string& method, const std::string& target, const Headers& headers,
                 std::optional<std::uint64_t> length) const {
    std::string head = method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    for (const auto& [name, value] : headers) {
      head += name + ": " + value + "\r\n";
    }
    if (length) {
      head += "Content-Length: " + std::to_string(*length) + "\r\n";
    }
    return send(head + "\r\n");
  }
  RawReply read(const std::string& method = "GET") {
    RawReply reply;
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) {
        return reply;
      }
    }
    const std::string head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    reply.status = std::stoi(head.substr(9, 3));
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const std::size_t line_end = head.find("\r\n", at);
      const std::size_t colon = head.find(": ", at);
      reply.headers.emplace_back(head.substr(at, colon - at),
                                 head.substr(colon + 2, line_end - colon - 2));
      at = line_end + 2;
    }
    if (reply.status == 100) {
      return read(method);
    }
    if (method == "HEAD" || reply.status == 204 || reply.status == 304) {
      reply.whole = true;
    } else if (reply["Transfer-Encoding"] == "chunked") {
      read_chunks(reply);
    } else {
      const std::size_t length = std::stoull(reply["Content-Length"]);
      reply.whole = take(length, reply.body);
    }
    return reply;
  }

private:
  bool fill() {
    std::array<char, 65536> block; // NOLINT: filled by recv
    const ssize_t got = ::recv(socket_, block.data(), block.size(), 0);
    if (got <= 0) {
      return false;
    }
    buffer_.append(block.data(), static_cast<std::size_t>(got));
    return true;
  }
  bool take(std::size_t length, std::string& into) {
    while (buffer_.size() < length && fill()) {
    }
    const std::size_t got = std::min(length, buffer_.size());
    into += buffer_.substr(0, got);
    buffer_.erase(0, got);
    return got == length;
  }
  void read_chunks(RawReply& reply) {
    for (;;) {
      std::size_t end = 0;
      while ((end = buffer_.find("\r\n")) == std::string::npos) {
        if (!fill()) {
          return;
        }
      }
      const std::size_t size = std::stoull(buffer_.substr(0, end), nullptr, 16);
      buffer_.erase(0, end + 2);
      std::string line_end;
      if (!take(size, reply.body) || !take(2, line_end)) {
        return;
      }
      if (size == 0) {
        reply.whole = true;
        return;
      }
    }
  }

  int socket_;
  std::string buffer_;
};

/// One request on a connection of its own.
class RawClient {
public:
  explicit RawClient(const RegistryServer& server, Origin origin = Origin::registry)
      : server_(server), port_(server.port(origin)) {}

  RawReply operator()(const std::string& method, const std::string& target,
                      const std::string& body = {}, const Headers& headers = {}) const {
    RawConnection connection(port_of(target));
    const bool has_body = method == "POST" || method == "PUT" || method == "PATCH";
    connection.send_head(method, path_of(target), headers,
                         has_body ? std::optional<std::uint64_t>(body.size()) : std::nullopt);
    connection.send(body);
    return connection.read(method);
  }
  /// Opens an upload session and gives its location.
  [[nodiscard]] std::string open_upload(const std::string& repository) const {
    return (*this)("POST", "/v2/" + repository + "/blobs/uploads/")["Location"];
  }
  RawReply patch(const std::string& location, std::uint64_t first, const std::string& body) const {
    return (*this)(
        "PATCH", location, body,
        {{"Content-Range", std::to_string(first) + "-" + std::to_string(first + body.size() - 1)}});
  }
  RawReply close_upload(const std::string& location, const std::string& digest,
                        const std::string& body = {}) const {
    return (*this)("PUT",
                   location + (location.find('?') == std::string::npos ? "?" : "&") +
                       "digest=" + digest,
                   body);
  }
  /// Announces the whole body and hangs up after `sent` bytes of it.
  void cut(const std::string& method, const std::string& location, const std::string& body,
           std::size_t sent, const Headers& headers = {}) const {
    const auto before = server_.log().size();
    RawConnection connection(port_of(location));
    connection.send_head(method, path_of(location), headers, body.size());
    connection.send(std::string_view(body).substr(0, sent));
    connection.close();
    while (server_.log().size() == before || !server_.log().back().finished) {
      ::poll(nullptr, 0, 1);
    }
  }

private:
  [[nodiscard]] std::uint16_t port_of(const std::string& url) const {
    if (!url.starts_with("http://")) {
      return port_;
    }
    const auto colon = url.find(':', 7);
    // Host in these tests is always without a port when the registry repeats it.
    return colon == std::string::npos || colon > url.find('/', 7)
               ? port_
               : static_cast<std::uint16_t>(std::stoul(url.substr(colon + 1)));
  }
  static std::string path_of(const std::string& url) {
    return url.starts_with("http://") ? url.substr(url.find('/', 7)) : url;
  }
  const RegistryServer& server_;
  std::uint16_t port_;
};

} // namespace aipack::test
