#include "support/registry_server.hpp"

#include "support/registry/api.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <list>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace aipack::test {
namespace {

using Kind = RegistryFault::Kind;
constexpr std::array origins{Origin::registry, Origin::token, Origin::storage, Origin::foreign};

std::size_t index(Origin origin) {
  return static_cast<std::size_t>(origin);
}

class Descriptor {
public:
  explicit Descriptor(int fd) : fd_(fd) {
    if (fd_ < 0) {
      throw std::system_error(errno, std::generic_category(), "test registry: no descriptor");
    }
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

private:
  int fd_;
};

/// Listens on the loopback interface.
class Listener {
public:
  explicit Listener(std::uint16_t port)
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_.get(), generic, sizeof address) != 0 || ::listen(socket_.get(), 256) != 0 ||
        ::getsockname(socket_.get(), generic, &length) != 0) {
      throw std::system_error(errno, std::generic_category(), "test registry: cannot listen");
    }
    port_ = ntohs(address.sin_port);
  }
  [[nodiscard]] int get() const noexcept { return socket_.get(); }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
  Descriptor socket_;
  std::uint16_t port_ = 0;
};

struct FreeContext {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeContext>;

TlsContext make_context(const RegistryTls& tls) {
  TlsContext context(SSL_CTX_new(TLS_server_method()));
  const bool good =
      context && SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1 &&
      SSL_CTX_use_certificate_chain_file(context.get(), tls.certificate.c_str()) == 1 &&
      SSL_CTX_use_PrivateKey_file(context.get(), tls.key.c_str(), SSL_FILETYPE_PEM) == 1 &&
      (tls.client_ca.empty() ||
       SSL_CTX_load_verify_locations(context.get(), tls.client_ca.c_str(), nullptr) == 1);
  if (!good) {
    ERR_clear_error();
    throw std::runtime_error("test registry: cannot use the certificate " +
                             tls.certificate.string());
  }
  if (!tls.client_ca.empty()) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

/// The reply that a fault of kind answer stands for.
Reply answer_of(const RegistryFault& fault, const Api& api) {
  Reply reply;
  if (!fault.code.empty() && fault.body.empty()) {
    reply = error_reply(fault.status, fault.code, "as the test wants it");
  } else {
    reply.body = fault.body.empty() ? "as the test wants it\n" : fault.body;
    reply.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
  }
  reply.status = fault.status;
  reply.bare_lf = fault.bare_lf;
  for (const auto& [name, value] : fault.headers) {
    std::erase_if(reply.headers, [&, &wanted = name](const auto& header) {
      return lower(header.first) == lower(wanted);
    });
    reply.headers.emplace_back(name, value);
  }
  if (fault.status == 401 && fault.challenge) {
    for (auto& challenge : api.challenges()) {
      reply.headers.push_back(std::move(challenge));
    }
  }
  return reply;
}

} // namespace

struct RegistryServer::Impl {
  explicit Impl(RegistryOptions options);
  ~Impl();

  void accept_all();
  void accept_one(Origin origin);
  void serve(int socket, Origin origin, unsigned number);
  bool exchange(Wire& wire, HttpConnection& connection, Origin origin, unsigned number);
  RegistryFault fault_for(const RegistryRequest& request);
  Reply reply_to(HttpConnection& connection, Api& api, const RegistryFault& fault, Wire& wire);
  [[nodiscard]] std::shared_ptr<const Settings> settings() const;

  World world;
  TlsContext tls;
  std::array<Listener, 4> listeners;
  Descriptor wake;

  mutable std::mutex settings_mutex;
  std::shared_ptr<const Settings> settings_now;

  std::mutex plan_mutex; ///< the plan is called by one thread at a time
  FaultPlan plan;
  FaultPlan storm;
  std::atomic<std::uint64_t> faults{0};

  std::mutex connections_mutex;
  struct Connection {
    std::thread thread;
    bool done = false;
  };
  std::list<Connection> connections;
  std::vector<int> sockets;
  std::atomic<unsigned> accepted{0};
  std::atomic<bool> stopping{false};
  std::thread acceptor;
};

RegistryServer::Impl::Impl(RegistryOptions options)
    : world(options),
      tls(options.tls ? make_context(*options.tls) : nullptr), listeners{Listener(options.port),
                                                                         Listener(0), Listener(0),
                                                                         Listener(0)},
      wake(::eventfd(0, EFD_CLOEXEC)),
      settings_now(std::make_shared<Settings>(Settings{options.dialect, options.auth})),
      plan(std::move(options.faults)), storm(options.storm ? make_plan(*options.storm) : nullptr) {
  world.addresses.host_name = options.host_name;
  for (const Origin origin : origins) {
    world.addresses.ports.at(index(origin)) = listeners.at(index(origin)).port();
    world.addresses.tls.at(index(origin)) = options.tls && !options.tls->plain.contains(origin);
  }
  acceptor = std::thread([this] { accept_all(); });
}

RegistryServer::Impl::~Impl() {
  stopping = true;
  ::eventfd_write(wake.get(), 1);
  acceptor.join();
  world.store.stop();
  {
    const std::lock_guard lock(connections_mutex);
    for (const int socket : sockets) {
      ::shutdown(socket, SHUT_RDWR);
    }
  }
  for (auto& connection : connections) { // no other thread adds to the list any more
    connection.thread.join();
  }
}

std::shared_ptr<const Settings> RegistryServer::Impl::settings() const {
  const std::lock_guard lock(settings_mutex);
  return settings_now;
}

// --- connections ---

void RegistryServer::Impl::accept_all() {
  std::array<pollfd, 5> events{};
  for (const Origin origin : origins) {
    events.at(index(origin)) = {listeners.at(index(origin)).get(), POLLIN, 0};
  }
  events.at(4) = {wake.get(), POLLIN, 0};
  while (!stopping && (::poll(events.data(), events.size(), -1) > 0 || errno == EINTR)) {
    for (const Origin origin : origins) {
      if ((events.at(index(origin)).revents & POLLIN) != 0) {
        accept_one(origin);
      }
    }
  }
}

void RegistryServer::Impl::accept_one(Origin origin) {
  const int socket = ::accept4(listeners.at(index(origin)).get(), nullptr, nullptr, SOCK_CLOEXEC);
  if (socket < 0) {
    return;
  }
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const std::lock_guard lock(connections_mutex);
  std::erase_if(connections, [](Connection& connection) {
    if (connection.done) {
      connection.thread.join();
    }
    return connection.done;
  });
  sockets.push_back(socket);
  auto& connection = connections.emplace_back();
  connection.thread = std::thread([this, socket, origin, number = ++accepted, &connection] {
    serve(socket, origin, number);
    const std::lock_guard inner(connections_mutex);
    connection.done = true;
  });
}

void RegistryServer::Impl::serve(int socket, Origin origin, unsigned number) {
  // OpenSSL writes without MSG_NOSIGNAL.
  sigset_t pipe;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  Wire wire(socket);
  // Before the wire closes: afterwards the descriptor's number may be another connection's.
  const std::shared_ptr<void> registered(nullptr, [&](void*) {
    const std::lock_guard lock(connections_mutex);
    std::erase(sockets, socket);
  });
  try {
    if (!world.addresses.tls.at(index(origin)) || wire.start_tls(tls.get())) {
      HttpConnection connection(wire);
      while (!stopping && exchange(wire, connection, origin, number)) {
      }
    }
  } catch (const Disconnected&) { // NOLINT: the client may go whenever it likes
  }
}

// --- exchanges ---

RegistryFault RegistryServer::Impl::fault_for(const RegistryRequest& request) {
  const std::lock_guard lock(plan_mutex);
  RegistryFault fault = plan ? plan(request) : RegistryFault{};
  if (!fault && storm) {
    fault = storm(request);
  }
  if (fault) {
    ++faults;
  }
  return fault;
}

/// Whether the connection goes on.
bool RegistryServer::Impl::exchange(Wire& wire, HttpConnection& connection, Origin origin,
                                    unsigned number) {
  RegistryRequest request;
  const auto head = connection.read_head(request);
  if (head == HttpConnection::Head::end) {
    return false;
  }
  const auto now = settings();
  if (head == HttpConnection::Head::bad) {
    connection.refuse();
    connection.send({.status = 400, .body = "not a request of HTTP/1.1\n"}, now->dialect);
    return false;
  }
  request.origin = origin;
  request.connection = number;
  const Endpoint endpoint = route(request);
  const RegistryFault fault = fault_for(request);
  request.fault = fault ? to_string(fault.kind) : "";
  const auto entry = world.log.begin(std::move(request));
  Api api(world, *now, connection, entry, endpoint);
  connection.arrange(
      fault, fault.kind == Kind::answer ? answer_of(fault, api) : Reply{}, now->dialect.expect,
      [&](std::uint64_t bytes) { world.log.received(entry, bytes); },
      [&](std::uint64_t bytes) { world.log.sent(entry, bytes); });

  bool goes_on = false;
  try {
    Reply reply = reply_to(connection, api, fault, wire);
    world.log.change(entry, [&](RegistryRequest& logged) { logged.status = reply.status; });
    goes_on = connection.send(std::move(reply), now->dialect);
  } catch (const Disconnected&) {
    goes_on = false;
  } catch (const std::exception&) { // content that can no longer be read
    wire.reset();
    goes_on = false;
  }
  world.log.finish(entry);
  return goes_on;
}

Reply RegistryServer::Impl::reply_to(HttpConnection& connection, Api& api,
                                     const RegistryFault& fault, Wire& wire) {
  const auto cut = [&] {
    wire.reset();
    throw Disconnected{};
  };
  if (fault.kind == Kind::answer && !fault.at && !fault.share) {
    return answer_of(fault, api);
  }
  if (fault.kind == Kind::redirect_loop) {
    return {.status = 307, .headers = {{"Location", "/_loop/1"}}};
  }
  if (fault.kind == Kind::lost_request) {
    connection.drain();
    cut();
  }
  if (fault.kind == Kind::reset_in_request || fault.kind == Kind::stall_in_request) {
    // A body that ends before the place, or that nobody reads, is cut all the same.
    Reply reply = api.answer();
    connection.drain();
    cut();
  }
  try {
    Reply reply = connection.expectation_failed() ? Reply{.status = 417} : api.answer();
    if (fault.kind == Kind::lost_answer) {
      connection.drain();
      cut();
    }
    return reply;
  } catch (Interrupted& interrupted) {
    return std::move(interrupted.reply);
  } catch (const std::exception& failure) {
    return error_reply(500, "UNKNOWN", failure.what());
  }
}

// --- the public face ---

RegistryServer::RegistryServer(RegistryOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
RegistryServer::~RegistryServer() = default;

std::uint16_t RegistryServer::port(Origin origin) const {
  return impl_->world.addresses.port(origin);
}

std::string RegistryServer::host(Origin origin) const {
  return impl_->world.addresses.host_name + ":" + std::to_string(port(origin));
}

std::string RegistryServer::url(std::string_view path, Origin origin) const {
  return impl_->world.addresses.base(origin).append(path);
}

void RegistryServer::set_dialect(RegistryDialect dialect) {
  const std::lock_guard lock(impl_->settings_mutex);
  impl_->settings_now =
      std::make_shared<Settings>(Settings{std::move(dialect), impl_->settings_now->auth});
}

void RegistryServer::set_auth(RegistryAuth auth) {
  const std::lock_guard lock(impl_->settings_mutex);
  impl_->settings_now =
      std::make_shared<Settings>(Settings{impl_->settings_now->dialect, std::move(auth)});
}

void RegistryServer::set_faults(FaultPlan plan) {
  const std::lock_guard lock(impl_->plan_mutex);
  impl_->plan = std::move(plan);
}

void RegistryServer::set_storm(std::optional<FaultStorm> storm) {
  const std::lock_guard lock(impl_->plan_mutex);
  impl_->storm = storm ? make_plan(*storm) : nullptr;
}

std::uint64_t RegistryServer::faults() const {
  return impl_->faults;
}

void RegistryServer::drop_connections() {
  const std::lock_guard lock(impl_->connections_mutex);
  for (const int socket : impl_->sockets) {
    // The thread of the connection closes it, which with this option is a reset.
    const struct ::linger now { 1, 0 };
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::shutdown(socket, SHUT_RD);
  }
}

void RegistryServer::revoke_tokens() {
  impl_->world.tokens.revoke();
}

std::vector<RegistryRequest> RegistryServer::log() const {
  return impl_->world.log.all();
}

void RegistryServer::clear_log() {
  impl_->world.log.clear();
}

std::size_t RegistryServer::count(std::string_view method, std::string_view part) const {
  const auto all = log();
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& request) {
    return request.origin == Origin::registry && (method.empty() || request.method == method) &&
           request.path.find(part) != std::string::npos;
  }));
}

std::uint64_t RegistryServer::bytes_received() const {
  return impl_->world.log.uploaded();
}

std::uint64_t RegistryServer::bytes_received_for(std::string_view digest_or_upload) const {
  return impl_->world.log.uploaded_for(std::string(digest_or_upload));
}

unsigned RegistryServer::connections() const {
  return impl_->accepted;
}

std::vector<std::string> RegistryServer::secrets() const {
  return impl_->world.tokens.secrets(impl_->settings()->auth);
}

std::vector<RegistryRequest> RegistryServer::leaks() const {
  std::vector<RegistryRequest> out = log();
  const auto all = secrets();
  const auto tells = [&](const std::string& text) {
    return std::any_of(all.begin(), all.end(), [&](const std::string& secret) {
      return text.find(secret) != std::string::npos;
    });
  };
  std::erase_if(out, [&](const RegistryRequest& request) {
    const bool outside = request.origin == Origin::storage || request.origin == Origin::foreign;
    const auto any = [&](const auto& items) {
      return std::any_of(items.begin(), items.end(),
                         [&](const auto& item) { return tells(item.second); });
    };
    const bool leak = request.header("Authorization") || request.header("Cookie") ||
                      tells(request.target) || tells(request.path) ||
                      any(Target::parse(request.target).query) || any(request.headers);
    return !outside || !leak;
  });
  return out;
}

void RegistryServer::create_repository(const std::string& repository) {
  impl_->world.store.create(repository);
}

std::string RegistryServer::put_blob(const std::string& repository, std::string_view bytes) {
  const std::string digest = Hasher::of("sha256", bytes);
  impl_->world.store.put_blob(repository, bytes, digest);
  return digest;
}

std::string RegistryServer::put_manifest(const std::string& repository, std::string_view bytes,
                                         const std::string& media_type, const std::string& tag) {
  const std::string digest = Hasher::of("sha256", bytes);
  impl_->world.store.put_manifest(repository, {digest, media_type, std::string(bytes)});
  if (!tag.empty()) {
    impl_->world.store.tag(repository, tag, digest);
  }
  return digest;
}

void RegistryServer::tag(const std::string& repository, const std::string& tag,
                         const std::string& digest) {
  impl_->world.store.tag(repository, tag, digest);
}

void RegistryServer::remove_blob(const std::string& repository, const std::string& digest) {
  impl_->world.store.unlink(repository, digest);
}

std::optional<std::string> RegistryServer::blob(const std::string& digest) const {
  const auto content = impl_->world.store.blob(digest);
  if (!content || !content->readable()) {
    return std::nullopt;
  }
  std::string bytes(static_cast<std::size_t>(content->size()), '\0');
  content->read(0, bytes);
  return bytes;
}

std::optional<std::uint64_t> RegistryServer::blob_size(const std::string& digest) const {
  const auto content = impl_->world.store.blob(digest);
  return content ? std::optional(content->size()) : std::nullopt;
}

bool RegistryServer::has_blob(const std::string& repository, const std::string& digest) const {
  return impl_->world.store.blob_in(repository, digest) != nullptr;
}

std::optional<StoredManifest> RegistryServer::manifest(const std::string& repository,
                                                       const std::string& reference) const {
  return impl_->world.store.manifest(repository, reference);
}

std::vector<std::string> RegistryServer::tags(const std::string& repository) const {
  auto out = impl_->world.store.tags(repository);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> RegistryServer::repositories() const {
  return impl_->world.store.repositories();
}

std::vector<std::string> RegistryServer::blobs() const {
  return impl_->world.store.blobs();
}

std::size_t RegistryServer::open_uploads() const {
  return impl_->world.store.open_uploads();
}

} // namespace aipack::test
