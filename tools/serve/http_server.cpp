#include "http_server.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

// Limits and habits of cpp-httplib; its own are for small tools.
#define CPPHTTPLIB_USE_POLL
#define CPPHTTPLIB_LISTEN_BACKLOG 512
#define CPPHTTPLIB_RECV_BUFSIZ std::size_t(65536u)
#include <httplib.h>
#ifndef CPPHTTPLIB_HEADER_MAX_COUNT
#error "httplib.h lacks Debian's security patches (CVE-2025-46728, CVE-2025-52887, CVE-2025-53629)"
#endif

#include "connection_pool.hpp"
#include "error.hpp"
#include "text.hpp"

namespace aipack::serve {
namespace {

/// A body of at most this size that nobody wanted is read and thrown away, so that the connection
/// can go on.
inline constexpr std::uint64_t small_body = 64 * 1024;

/// How the body's end is found (RFC 9112, section 6.3).
struct Framing {
  bool chunked = false;
  std::uint64_t length = 0; ///< when not chunked
  [[nodiscard]] bool has_body() const noexcept { return chunked || length != 0; }
};

/// Throws RequestError for a request whose end two readers could see in different places.
[[nodiscard]] Framing framing_of(const httplib::Request& request) {
  Framing framing;
  const std::size_t lengths = request.get_header_value_count("Content-Length");
  const std::size_t encodings = request.get_header_value_count("Transfer-Encoding");
  if (encodings != 0) {
    const std::string encoding = request.get_header_value("Transfer-Encoding");
    if (lengths != 0) {
      throw RequestError(
          "cannot read the request: both Content-Length and Transfer-Encoding are given");
    }
    if (encodings != 1 || !httplib::detail::case_ignore::equal(encoding, "chunked")) {
      throw RequestError(Status::not_implemented, "cannot read the request: transfer encoding " +
                                                      quote(encoding) + " is not supported");
    }
    framing.chunked = true;
    return framing;
  }
  if (lengths == 0) {
    return framing;
  }
  const std::string text = request.get_header_value("Content-Length");
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), framing.length);
  if (lengths != 1 || text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    throw RequestError("cannot read the request: Content-Length " + quote(text) +
                       " is not one size in bytes");
  }
  return framing;
}

/// cpp-httplib's view of our connection.
class ConnectionStream final : public httplib::Stream {
public:
  explicit ConnectionStream(Connection& connection) noexcept : connection_(connection) {}

  [[nodiscard]] bool is_readable() const override { return true; }
  [[nodiscard]] bool is_writable() const override { return true; }
  ssize_t read(char* into, size_t size) override { return connection_.read(into, size); }
  ssize_t write(const char* from, size_t size) override { return connection_.write(from, size); }
  void get_remote_ip_and_port(std::string& ip, int& port) const override {
    httplib::detail::get_remote_ip_and_port(connection_.socket(), ip, port);
  }
  void get_local_ip_and_port(std::string& ip, int& port) const override {
    httplib::detail::get_local_ip_and_port(connection_.socket(), ip, port);
  }
  [[nodiscard]] socket_t socket() const override { return connection_.socket(); }

private:
  Connection& connection_;
};

/// One request on a connection, while it is handled.
struct Exchange {
  Connection& connection;
  ConnectionStream& stream;
  httplib::Request* request = nullptr; ///< set when its header was read
  bool handled = false;                ///< the header was well-formed and our handler saw it
  bool body_begun = false;
  bool body_read = false;
  bool close = false; ///< the connection cannot or should not go on
};

/// cpp-httplib calls handlers with the request only; this is the exchange of the connection that
/// this thread serves. The model is said because binutils 2.40 marks riscv64 programs with
/// local-exec variables as having text relocations.
[[gnu::tls_model("initial-exec")]] thread_local Exchange* current_exchange = nullptr;

/// Runs connections on our threads.
class PoolQueue final : public httplib::TaskQueue {
public:
  PoolQueue(ConnectionPool& pool, Metrics& metrics) : pool_(pool), metrics_(metrics) {}

  bool enqueue(std::function<void()> work) override {
    const bool taken = pool_.post(std::move(work));
    if (!taken) {
      metrics_.count_rejected_connection();
    }
    return taken;
  }
  void shutdown() override {
    // The pool is joined by HttpServer, which knows how long to wait.
  }

private:
  ConnectionPool& pool_;
  Metrics& metrics_;
};

class Listener final : public httplib::Server {
public:
  Listener(const HttpOptions& options, Service& service, Metrics& metrics)
      : options_(options), service_(service), pool_(options.max_connections),
        stop_event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    new_task_queue = [this, &metrics] { return new PoolQueue(pool_, metrics); };
    set_tcp_nodelay(true);
    // The default also sets SO_REUSEPORT, with which a second server would share the port
    // unnoticed.
    set_socket_options([](int socket) {
      const int on = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      handle(request, response);
      return HandlerResponse::Handled;
    });
    set_expect_100_continue_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          if (!is_refused_unread(request)) {
            return static_cast<int>(httplib::StatusCode::Continue_100);
          }
          handle(request, response);
          return response.status;
        });
    set_post_routing_handler([text = "timeout=" + std::to_string(options.times.idle.count())](
                                 const httplib::Request&, httplib::Response& response) {
      response.headers.erase("Keep-Alive"); // its count of requests is not ours: there is no limit
      if (current_exchange->close) {
        response.headers.erase("Connection");
        response.set_header("Connection", "close");
      } else if (!response.has_header("Connection")) {
        response.set_header("Keep-Alive", text);
      }
    });
    set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (response.body
              .empty()) { // cpp-httplib's own refusals: a header that is too long or no HTTP
        current_exchange->close = true;
        response.set_content(error_document("cannot read the request: " +
                                            std::string(httplib::status_message(response.status))),
                             "application/json");
      }
    });
  }

  ~Listener() override {
    pool_.join();
    ::close(stop_event_);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void stop_all() noexcept {
    const std::uint64_t one = 1;
    static_cast<void>(::write(stop_event_, &one, sizeof one) == static_cast<ssize_t>(sizeof one));
    stopping_.store(1);
    stop();
  }

  void join() { pool_.join(); }

private:
  bool process_and_close_socket(int socket) override {
    Connection connection(socket, stop_event_, options_.times);
    ConnectionStream stream(connection);
    std::string remote_ip;
    int remote_port = 0;
    stream.get_remote_ip_and_port(remote_ip, remote_port);
    bool ok = true;
    bool closed = false;
    while (ok && !closed && connection.wait_for_request()) {
      Exchange exchange{.connection = connection, .stream = stream};
      current_exchange = &exchange;
      ok = process_request(
          stream, remote_ip, remote_port, "", 0, false, closed, [&](httplib::Request& request) {
            exchange.request = &request;
            request.ranges.clear(); // answers are computed: a part of one makes no sense
          });
      current_exchange = nullptr;
      closed = closed || exchange.close || !exchange.handled;
      if (ok && closed) {
        connection.linger();
      }
    }
    return ok;
  }

  /// Whether the header alone says that the body will not be taken: then a client that asks first
  /// is spared sending it.
  [[nodiscard]] bool is_refused_unread(const httplib::Request& request) const {
    try {
      return framing_of(request).length > options_.max_request_bytes;
    } catch (const RequestError&) {
      return true;
    }
  }

  void handle(const httplib::Request& request, httplib::Response& response) {
    Exchange& exchange = *current_exchange;
    exchange.handled = true;
    RequestHead head{.method = request.method,
                     .path = request.path,
                     .content_type = request.get_header_value("Content-Type"),
                     .content_encoding = request.get_header_value("Content-Encoding"),
                     .inference_header_length = std::nullopt};
    if (request.has_header("Inference-Header-Content-Length")) {
      head.inference_header_length = request.get_header_value("Inference-Header-Content-Length");
    }
    Response answer = service_.answer(head, [&] { return read_body(exchange); });
    finish_body(exchange);
    exchange.close = exchange.close || stopping_.load() != 0 || pool_.is_crowded();
    response.status = answer.status;
    for (const auto& [name, value] : answer.headers) {
      response.set_header(name, value);
    }
    response.set_header("Content-Type", answer.content_type);
    response.body = std::move(answer.body);
  }

  [[nodiscard]] std::string read_body(Exchange& exchange) const {
    const Framing framing = framing_of(*exchange.request);
    const std::uint64_t most = options_.max_request_bytes;
    const auto too_large = [most] {
      return RequestError(Status::too_large, "cannot read the request: it is larger than " +
                                                 std::to_string(most) + " bytes");
    };
    if (framing.length > most) {
      throw too_large();
    }
    std::string body;
    if (!framing.has_body()) {
      return body;
    }
    exchange.body_begun = true;
    body.reserve(static_cast<std::size_t>(framing.length));
    int status = 0;
    const bool complete = httplib::detail::read_content(
        exchange.stream, *exchange.request, static_cast<std::size_t>(most), status, nullptr,
        [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
          if (body.size() + size > most) {
            return false;
          }
          body.append(data, size);
          return true;
        },
        false);
    exchange.body_read = complete;
    if (complete) {
      return body;
    }
    if (status == httplib::StatusCode::PayloadTooLarge_413) {
      throw too_large();
    }
    if (exchange.connection.timed_out()) {
      throw RequestError(Status::request_timeout,
                         "cannot read the request: it did not arrive in " +
                             std::to_string(options_.times.request.count()) + " s");
    }
    throw RequestError("cannot read the request: its body is cut off or badly chunked");
  }

  /// Brings the connection to the next request's first byte, or marks it to be closed.
  void finish_body(Exchange& exchange) const {
    try {
      const Framing framing = framing_of(*exchange.request);
      if (!framing.has_body() || exchange.body_read) {
        return;
      }
      if (framing.chunked || framing.length > small_body || exchange.body_begun) {
        exchange.close = true;
        return;
      }
      char part[4096];
      for (std::uint64_t left = framing.length; left != 0;) {
        const ssize_t n = exchange.connection.read(
            part, static_cast<std::size_t>(std::min<std::uint64_t>(left, sizeof part)));
        if (n <= 0) {
          exchange.close = true;
          return;
        }
        left -= static_cast<std::uint64_t>(n);
      }
    } catch (const RequestError&) { // its end cannot be known
      exchange.close = true;
    }
  }

  const HttpOptions options_;
  Service& service_;
  ConnectionPool pool_;
  int stop_event_;
  std::atomic<unsigned> stopping_{0};
};

} // namespace

struct HttpServer::Impl {
  Impl(HttpOptions from, Service& service, Metrics& metrics)
      : options(std::move(from)), listener(options, service, metrics) {}

  HttpOptions options;
  Listener listener;
  std::thread thread; ///< accepts, then joins the connections
  std::mutex mutex;
  std::condition_variable ended_signal;
  bool ended = false;
};

HttpServer::HttpServer(HttpOptions options, Service& service, Metrics& metrics)
    : impl_(std::make_unique<Impl>(std::move(options), service, metrics)) {}

HttpServer::~HttpServer() {
  if (impl_->thread.joinable()) {
    stop();
    impl_->thread.join();
  }
}

unsigned HttpServer::start() {
  const HttpOptions& options = impl_->options;
  errno = 0;
  int port = static_cast<int>(options.port);
  const bool bound = port == 0 ? (port = impl_->listener.bind_to_any_port(options.host)) > 0
                               : impl_->listener.bind_to_port(options.host, port);
  if (!bound) {
    const std::string cause = errno != 0 ? std::strerror(errno) : "not an address of this machine";
    throw StartupError(ExitCode::network,
                       "cannot listen on " + quote(options.host) + " port " +
                           std::to_string(options.port) + ": " + cause,
                       "say another --port or --host");
  }
  impl_->thread = std::thread([impl = impl_.get()] {
    impl->listener.listen_after_bind();
    impl->listener.join();
    const std::lock_guard lock(impl->mutex);
    impl->ended = true;
    impl->ended_signal.notify_all();
  });
  impl_->listener.wait_until_ready();
  return static_cast<unsigned>(port);
}

void HttpServer::stop() noexcept {
  impl_->listener.stop_all();
}

bool HttpServer::wait_until(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(impl_->mutex);
  return impl_->ended_signal.wait_until(lock, until, [&] { return impl_->ended; });
}

} // namespace aipack::serve
