#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/// A scriptable HTTP/1.1 server on the loopback interface for tests: plain sockets, no library
/// code, one thread per connection. It answers from a function, can misbehave in the middle of a
/// body, and keeps a log of what it was asked.
namespace aipack::test {

using Headers = std::vector<std::pair<std::string, std::string>>;

inline std::optional<std::string> find_header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (std::equal(
            key.begin(), key.end(), name.begin(), name.end(),
            [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); })) {
      return value;
    }
  }
  return std::nullopt;
}

struct ServedRequest {
  std::string method;
  std::string target; ///< path with query
  Headers headers;
  std::string body;
  unsigned connection = 0; ///< number of the TCP connection, from 1
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const {
    return find_header(headers, name);
  }
};

/// What goes wrong after `after_bytes` of a body were sent.
struct Fault {
  enum class Kind {
    none,
    stall,    ///< sends nothing more and keeps the connection open
    reset,    ///< TCP reset
    truncate, ///< closes in order, short of the announced length
    flip,     ///< one bit of the byte at `after_bytes` is wrong
  };
  Kind kind = Kind::none;
  std::size_t after_bytes = 0;
};

struct Reply {
  int status = 200;
  Headers headers{};
  std::string body{};
  Fault fault{};
  bool announce_length = true; ///< false: the end of the connection is the end of the body
  bool reset_before_reply = false;
};

/// `content` as a file server sends it: ETag, ranges with If-Range, 304 and 416.
inline Reply file_reply(const ServedRequest& request, std::string content,
                        const std::string& etag) {
  Reply reply;
  reply.headers = {{"Accept-Ranges", "bytes"}, {"ETag", etag}};
  if (request.header("If-None-Match") == etag) {
    reply.status = 304;
    return reply;
  }
  const auto range = request.header("Range");
  const auto condition = request.header("If-Range");
  if (!range || (condition && *condition != etag)) {
    reply.body = std::move(content);
    return reply;
  }
  const std::size_t first = std::stoull(range->substr(std::string("bytes=").size()));
  if (first >= content.size()) {
    reply.status = 416;
    reply.headers.emplace_back("Content-Range", "bytes */" + std::to_string(content.size()));
    return reply;
  }
  reply.status = 206;
  reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(first) + "-" +
                                                  std::to_string(content.size() - 1) + "/" +
                                                  std::to_string(content.size()));
  reply.body = content.substr(first);
  return reply;
}

class HttpServer {
public:
  /// Called on connection threads, one call at a time.
  using Handler = std::function<Reply(const ServedRequest&)>;

  explicit HttpServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (listener_ < 0 || ::bind(listener_, as_address(&address), sizeof address) != 0 ||
        ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, as_address(&address), &length) != 0) {
      throw std::runtime_error("cannot listen on the loopback interface");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }

  ~HttpServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int client : clients_) {
        ::shutdown(client, SHUT_RDWR);
      }
    }
    for (auto& thread : threads_) {
      thread.join();
    }
    ::close(listener_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::string url(std::string_view path) const {
    return "http://" + host() + std::string(path);
  }
  [[nodiscard]] std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::vector<ServedRequest> log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  /// How many requests had exactly this target.
  [[nodiscard]] std::size_t count(std::string_view target) const {
    const auto all = log();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](const auto& r) { return r.target == target; }));
  }
  [[nodiscard]] unsigned connections() const noexcept { return connections_; }

private:
  static sockaddr* as_address(sockaddr_in* address) noexcept {
    return reinterpret_cast<sockaddr*>(address);
  }

  void accept_all() {
    while (!stopping_) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) {
        return;
      }
      const int on = 1;
      ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const std::lock_guard lock(mutex_);
      clients_.push_back(client);
      threads_.emplace_back([this, client, number = ++connections_] {
        serve(client, number);
        const std::lock_guard inner(mutex_);
        clients_.erase(std::find(clients_.begin(), clients_.end(), client));
        ::close(client);
      });
    }
  }

  void serve(int client, unsigned number) {
    std::string buffer;
    while (auto request = read_request(client, buffer)) {
      request->connection = number;
      Reply reply;
      {
        const std::lock_guard turn(handler_mutex_);
        {
          const std::lock_guard lock(mutex_);
          log_.push_back(*request);
        }
        reply = handler_(*request);
      }
      if (!send_reply(client, *request, reply)) {
        return;
      }
    }
  }

  static bool receive(int client, std::string& buffer) {
    std::array<char, 65536> chunk; // NOLINT: filled by recv
    const ssize_t got = ::recv(client, chunk.data(), chunk.size(), 0);
    if (got <= 0) {
      return false;
    }
    buffer.append(chunk.data(), static_cast<std::size_t>(got));
    return true;
  }

  static std::optional<ServedRequest> read_request(int client, std::string& buffer) {
    std::size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!receive(client, buffer)) {
        return std::nullopt;
      }
    }
    ServedRequest request;
    std::string_view head(buffer.data(), end);
    const std::string_view first = head.substr(0, head.find("\r\n"));
    request.method = first.substr(0, first.find(' '));
    request.target = first.substr(first.find(' ') + 1, first.rfind(' ') - first.find(' ') - 1);
    for (std::size_t at = first.size(); at < head.size();) {
      const std::size_t begin = at + 2;
      const std::size_t line_end = std::min(head.find("\r\n", begin), head.size());
      const std::string_view line = head.substr(begin, line_end - begin);
      const std::size_t colon = line.find(':');
      if (colon != std::string_view::npos) {
        const std::size_t value = line.find_first_not_of(' ', colon + 1);
        request.headers.emplace_back(line.substr(0, colon),
                                     value == std::string_view::npos ? "" : line.substr(value));
      }
      at = line_end;
    }
    buffer.erase(0, end + 4);
    if (const auto length = request.header("Content-Length")) {
      while (buffer.size() < std::stoull(*length)) {
        if (!receive(client, buffer)) {
          return std::nullopt;
        }
      }
      request.body = buffer.substr(0, std::stoull(*length));
      buffer.erase(0, request.body.size());
    }
    return request;
  }

  static bool send_all(int client, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  static void reset(int client) {
    const linger now{1, 0};
    ::setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

  /// Waits until the client hangs up, or until the server is destroyed.
  static void wait_for_hang_up(int client) {
    pollfd event{client, POLLIN | POLLRDHUP, 0};
    ::poll(&event, 1, -1);
  }

  /// Whether the connection goes on.
  static bool send_reply(int client, const ServedRequest& request, Reply& reply) {
    if (reply.reset_before_reply) {
      reset(client);
      return false;
    }
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " Test\r\n";
    for (const auto& [name, value] : reply.headers) {
      head += name + ": " + value + "\r\n";
    }
    const bool has_body = reply.status != 304 && reply.status != 204;
    if (has_body && reply.announce_length && !find_header(reply.headers, "Content-Length")) {
      head += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
    }
    if (!reply.announce_length) {
      head += "Connection: close\r\n";
    }
    if (!send_all(client, head + "\r\n")) {
      return false;
    }
    if (!has_body || request.method == "HEAD") {
      return true;
    }
    const std::size_t at = std::min(reply.fault.after_bytes, reply.body.size());
    switch (reply.fault.kind) {
    case Fault::Kind::none:
      break;
    case Fault::Kind::flip:
      if (at < reply.body.size()) {
        reply.body[at] = static_cast<char>(reply.body[at] ^ 1);
      }
      break;
    case Fault::Kind::stall:
      if (send_all(client, std::string_view(reply.body).substr(0, at))) {
        wait_for_hang_up(client);
      }
      return false;
    case Fault::Kind::reset:
      send_all(client, std::string_view(reply.body).substr(0, at));
      reset(client);
      return false;
    case Fault::Kind::truncate:
      send_all(client, std::string_view(reply.body).substr(0, at));
      return false;
    }
    return send_all(client, reply.body) && reply.announce_length;
  }

  Handler handler_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  std::atomic<bool> stopping_{false};
  std::atomic<unsigned> connections_{0};
  std::mutex handler_mutex_;
  mutable std::mutex mutex_;
  std::vector<int> clients_;
  std::vector<std::thread> threads_;
  std::vector<ServedRequest> log_;
};

/// A directory in memory behind an HttpServer: files by path, and faults that hit the next requests
/// for a path, one after the other.
class FileSite {
public:
  void put(const std::string& path, std::string content) {
    const std::lock_guard lock(mutex_);
    files_[path] = std::move(content);
  }
  void erase(const std::string& path) {
    const std::lock_guard lock(mutex_);
    files_.erase(path);
  }
  [[nodiscard]] std::string get(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    return files_.at(path);
  }
  /// The next request for `path` is answered through `change`; several are used up in order.
  void intercept(const std::string& path, std::function<void(Reply&)> change) {
    const std::lock_guard lock(mutex_);
    changes_[path].push_back(std::move(change));
  }

  [[nodiscard]] Reply operator()(const ServedRequest& request) {
    const std::lock_guard lock(mutex_);
    const auto found = files_.find(request.target);
    Reply reply;
    if (found == files_.end()) {
      reply.status = 404;
      reply.body = "no such file";
    } else {
      reply = file_reply(request, found->second,
                         "\"" + std::to_string(std::hash<std::string>{}(found->second)) + "\"");
    }
    if (auto& changes = changes_[request.target]; !changes.empty()) {
      changes.front()(reply);
      changes.erase(changes.begin());
    }
    return reply;
  }

private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> files_;
  std::map<std::string, std::vector<std::function<void(Reply&)>>> changes_;
};

} // namespace aipack::test
