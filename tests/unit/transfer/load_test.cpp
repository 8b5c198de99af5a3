// Loading into engines. The engines themselves are in tests/interop; here are their socket's API as
// a test can bend it, and programs that every system has.
#include "aipack/transfer/load.hpp"

#include "child_process.hpp"
#include "support.hpp"
#include "support/catch.hpp"

#include <functional>
#include <thread>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace aipack;
using namespace aipack::transfer;
using namespace aipack::transfer::test;

namespace {

/// An engine's API on a Unix socket: one request per connection, answers from a function.
class UnixServer {
public:
  struct Request {
    std::string line;
    std::string body;
  };
  /// Gives a whole response.
  using Handler = std::function<std::string(const Request&)>;

  UnixServer(const std::filesystem::path& path, Handler handler) : handler_(std::move(handler)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 8) != 0) {
      throw std::runtime_error("cannot listen on a Unix socket");
    }
    thread_ = std::thread([this] { accept_all(); });
  }
  ~UnixServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  UnixServer(const UnixServer&) = delete;
  UnixServer& operator=(const UnixServer&) = delete;

private:
  void accept_all() {
    for (;;) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) {
        return;
      }
      serve(client);
      ::close(client);
    }
  }
  void serve(int client) {
    std::string text;
    std::string chunk(65536, '\0');
    const auto more = [&] {
      const auto got = ::recv(client, chunk.data(), chunk.size(), 0);
      text.append(chunk, 0, got > 0 ? static_cast<std::size_t>(got) : 0);
      return got > 0;
    };
    std::size_t head_end = 0;
    while ((head_end = text.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) {
        return;
      }
    }
    Request request{text.substr(0, text.find("\r\n")), {}};
    const auto length_at = text.find("Content-Length: ");
    const std::size_t length = length_at < head_end ? std::stoull(text.substr(length_at + 16)) : 0;
    while (text.size() < head_end + 4 + length) {
      if (!more()) {
        return;
      }
    }
    request.body = text.substr(head_end + 4, length);
    const auto response = handler_(request);
    ::send(client, response.data(), response.size(), MSG_NOSIGNAL);
  }

  Handler handler_;
  int listener_ = -1;
  std::thread thread_;
};

std::string response(int status, const std::string& body, const std::string& headers = {}) {
  return fmt::format("HTTP/1.1 {} Test\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}",
                     status, body.size(), headers, body);
}

/// An engine that keeps what is loaded into it.
class Engine {
public:
  explicit Engine(const std::filesystem::path& path, std::string answer = {},
                  std::string ping_headers = {})
      : socket_(path.string()), answer_(std::move(answer)), ping_headers_(std::move(ping_headers)),
        server_(path, [this](const UnixServer::Request& request) { return reply(request); }) {}
  [[nodiscard]] ContainerEngine engine() const {
    return {.kind = EngineKind::docker, .socket = socket_};
  }
  std::string loaded; ///< read only when nothing is going on

private:
  std::string reply(const UnixServer::Request& request) {
    if (request.line.starts_with("GET /_ping ")) {
      return response(200, "OK", ping_headers_);
    }
    if (request.line.starts_with("GET /version ")) {
      return response(200, R"({"Os":"linux","Arch":"arm64"})");
    }
    if (request.line.starts_with("POST /images/load")) {
      loaded = request.body;
      return answer_.empty() ? response(200, "{\"status\":\"Loading layer\"}\r\n"
                                             "{\"stream\":\"Loaded image: digits:v1\\n\"}\r\n")
                             : answer_;
    }
    return response(404, R"({"message":"page not found"})");
  }

  std::string socket_;
  std::string answer_;
  std::string ping_headers_;
  UnixServer server_;
};

registry::Environment environment(const std::map<std::string, std::string>& variables) {
  return [&variables](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

/// Endless until the fault strikes.
class EndlessSource final : public io::ByteSource {
public:
  explicit EndlessSource(std::function<void()> at_megabyte)
      : at_megabyte_(std::move(at_megabyte)) {}
  std::size_t read(std::span<std::byte> into) override {
    given_ += into.size();
    if (given_ > (std::size_t{1} << 20)) {
      at_megabyte_();
    }
    std::ranges::fill(into, std::byte{'x'});
    return into.size();
  }

private:
  std::function<void()> at_megabyte_;
  std::size_t given_ = 0;
};

std::string run(const std::vector<std::string>& command, std::string_view input) {
  io::MemorySource source(io::as_bytes(input));
  return run_program(command, source, {});
}

} // namespace

TEST_CASE("a program gets its input and gives its output", "[transfer][process]") {
  CHECK(run({"/bin/cat"}, "") == "");
  CHECK(run({"/bin/cat"}, "some words") == "some words");
  CHECK(run({"/bin/sh", "-c", "cat >/dev/null; printf '%s' \"$1\"", "sh", "it's $HOME; \"quoted\""},
            "x") == "it's $HOME; \"quoted\"");
}

TEST_CASE("much input and much output do not block each other", "[transfer][process]") {
  const auto input = noise(std::size_t{8} << 20);
  const auto output = run({"/bin/cat"}, input);
  CHECK(output == input.substr(input.size() - output.size())); // the last of it
  CHECK(output.size() == (std::size_t{64} << 10));
}

TEST_CASE("a program that fails is quoted", "[transfer][process]") {
  try {
    run({"/bin/sh", "-c", "cat >/dev/null; echo first >&2; echo 'no space left' >&2; exit 3"}, "x");
    FAIL("succeeded");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    CHECK_THAT(error.what(), ContainsSubstring("'no space left'"));
    CHECK_THAT(error.what(), !ContainsSubstring("first"));
  }
  CHECK_THROWS_WITH(run({"/bin/sh", "-c", "exit 7"}, "x"), ContainsSubstring("status 7"));
  CHECK_THROWS_WITH(run({"/bin/sh", "-c", "kill -9 $$"}, "x"), ContainsSubstring("status 137"));
}

TEST_CASE("a program that reads nothing is an error of its own, not a signal",
          "[transfer][process]") {
  const auto input = noise(std::size_t{8} << 20);
  CHECK_THROWS_WITH(run({"/bin/sh", "-c", "echo 'not today' >&2; exit 1"}, input),
                    ContainsSubstring("not today"));
}

TEST_CASE("a program that is not there", "[transfer][process]") {
  try {
    run({"/nowhere/podman", "load"}, "x");
    FAIL("ran");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
  }
}

TEST_CASE("input that fails ends the program", "[transfer][process]") {
  EndlessSource failing([] { throw Error(ErrorCode::corrupt, "cannot read: wrong digest"); });
  CHECK_THROWS_WITH(run_program({"/bin/cat"}, failing, {}), ContainsSubstring("wrong digest"));
  std::stop_source stop;
  EndlessSource endless([&] { stop.request_stop(); });
  try {
    static_cast<void>(run_program({"/bin/cat"}, endless, {.stop = stop.get_token()}));
    FAIL("finished");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
}

TEST_CASE("an image goes into an engine through its socket", "[transfer][load]") {
  io::TempDirectory directory;
  Engine engine(directory.path() / "engine.sock");
  const auto sample = signed_sample();
  const auto origin = sample.place.open(sample.root);
  const auto report = load(*origin, engine.engine(), {.tag = "digits:v1"}, {});
  CHECK(report.reference == "digits:v1");
  CHECK(report.platform == oci::Platform::parse("arm64")); // what the engine says that it runs
  CHECK(report.sent_bytes == engine.loaded.size());
  const auto file = directory.path() / "loaded.tar";
  write_bytes(file, engine.loaded);
  registry::Registry registry;
  const auto loaded = open_origin(
      image::Location::parse("docker-archive:" + file.string() + ":digits:v1"), registry, {});
  const auto source = open_image(*loaded, {});
  CHECK(source.images().front().config.descriptor().digest == report.config);
  for (const auto& layer : source.images().front().layers) {
    CHECK(layer.descriptor.media_type == oci::media_type::layer_tar);
    CHECK(oci::Digest::of(read_blob(*layer.blob)) == layer.diff_id);
  }

  CHECK(load(*origin, engine.engine(), {.platform = oci::Platform::parse("amd64")}, {}).platform ==
        oci::Platform::parse("amd64"));
  CHECK_THROWS_AS(load(*origin, engine.engine(), {.platform = oci::Platform::parse("riscv64")}, {}),
                  Error);
}

TEST_CASE("what an engine says against a load reaches the user", "[transfer][load]") {
  io::TempDirectory directory;
  const auto answer = GENERATE(
      response(200, "{\"status\":\"x\"}\r\n{\"errorDetail\":{\"message\":\"no space left on "
                    "device\"},\"error\":\"no space left on device\"}\r\n"),
      response(500, R"({"message":"no space left on device"})"),
      response(500, "no space left on device\n"));
  Engine engine(directory.path() / "engine.sock", answer);
  const auto sample = signed_sample();
  try {
    load(*sample.place.open(sample.root), engine.engine(), {.tag = "digits:v1"}, {});
    FAIL("loaded");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    CHECK_THAT(error.what(), ContainsSubstring("no space left on device"));
  }
}

TEST_CASE("an engine's answer of any form is read", "[transfer][load]") {
  io::TempDirectory directory;
  const auto answer =
      GENERATE(response(200, ""), response(200, "[1,2]\n{}\nnonsense\n{\"stream\":7}\n"),
               response(200, std::string(200'000, '{')), response(201, "\n\n\n"));
  Engine engine(directory.path() / "engine.sock", answer);
  const auto sample = signed_sample();
  // It did not object, and the name is what was asked for.
  CHECK(
      load(*sample.place.open(sample.root), engine.engine(), {.tag = "digits:v1"}, {}).reference ==
      "digits:v1");
}

TEST_CASE("an engine that is not there, and an archive that nobody asked for", "[transfer][load]") {
  io::TempDirectory directory;
  const auto sample = signed_sample();
  const ContainerEngine gone{.kind = EngineKind::docker,
                             .socket = (directory.path() / "gone.sock").string()};
  try {
    load(*sample.place.open(sample.root), gone, {.tag = "digits:v1"}, {});
    FAIL("loaded");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unavailable);
  }
  const ContainerEngine containerd{.kind = EngineKind::containerd, .program = "/bin/false"};
  CHECK_THROWS_WITH(load(*sample.place.open(sample.root), containerd, {}, {}),
                    ContainsSubstring("by name only"));
}

TEST_CASE("containerd gets an OCI archive with the full name", "[transfer][load]") {
  io::TempDirectory directory;
  const auto ctr = directory.path() / "ctr";
  const auto file = directory.path() / "stdin.tar";
  write_bytes(ctr, fmt::format("#!/bin/sh\nprintf '%s\\n' \"$@\" >'{}'\ncat >'{}'\n",
                               (directory.path() / "arguments").string(), file.string()));
  std::filesystem::permissions(ctr, std::filesystem::perms::owner_all);
  const ContainerEngine engine{
      .kind = EngineKind::containerd, .socket = "/run/c.sock", .program = ctr.string()};
  const auto sample = signed_sample();
  const auto report = load(*sample.place.open(sample.root), engine,
                           {.tag = "digits:v1", .platform = oci::Platform::parse("arm64")}, {});
  CHECK(report.reference == "docker.io/library/digits:v1");
  CHECK(
      read_bytes(directory.path() / "arguments") ==
      "--address\n/run/c.sock\n--namespace\ndefault\nimages\nimport\n--platform\nlinux/arm64\n-\n");
  registry::Registry registry;
  const auto loaded =
      open_origin(image::Location::parse("oci-archive:" + file.string()), registry, {});
  CHECK(loaded->resolve({}).digest == sample.manifests[1]);
  CHECK_NOTHROW(reachable(*loaded, loaded->resolve({})));
}

TEST_CASE("engines are found where the environment says", "[transfer][engines]") {
  io::TempDirectory directory;
  const auto socket = (directory.path() / "engine.sock").string();
  // Everything named, so that what this machine has does not matter.
  std::map<std::string, std::string> variables{
      {"DOCKER_HOST", "unix://" + socket},
      {"CONTAINER_HOST", "unix://" + (directory.path() / "gone.sock").string()},
      {"CONTAINERD_ADDRESS", (directory.path() / "gone.sock").string()},
      {"PATH", directory.path().string()}};
  const auto lookup = environment(variables);

  SECTION("nothing answers") {
    CHECK(find_engines(lookup, {}).empty());
    for (const auto kind : {EngineKind::docker, EngineKind::podman, EngineKind::containerd}) {
      try {
        static_cast<void>(find_engine(kind, lookup, {}));
        FAIL("found");
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::not_found);
        CHECK_THAT(error.what(), ContainsSubstring(".sock"));
      }
    }
  }
  SECTION("docker answers") {
    const Engine engine(socket);
    CHECK(find_engines(lookup, {}) == std::vector{engine.engine()});
  }
  SECTION("podman answers behind docker's socket") {
    const Engine engine(socket, {}, "Libpod-API-Version: 4.3.1\r\n");
    const auto found = find_engines(lookup, {});
    REQUIRE(found.size() == 1);
    CHECK(found.front() == ContainerEngine{.kind = EngineKind::podman, .socket = socket});
  }
  SECTION("the program podman needs no service") {
    variables.erase("CONTAINER_HOST");
    const auto program = directory.path() / "podman";
    write_bytes(program, "#!/bin/sh\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    const auto found = find_engine(EngineKind::podman, lookup, {});
    CHECK(found ==
          ContainerEngine{.kind = EngineKind::podman, .socket = {}, .program = program.string()});
  }
  SECTION("containerd needs its socket and ctr") {
    const UnixServer server(directory.path() / "c.sock", [](const auto&) { return std::string(); });
    variables["CONTAINERD_ADDRESS"] = "unix://" + (directory.path() / "c.sock").string();
    CHECK_THROWS_WITH(find_engine(EngineKind::containerd, lookup, {}), ContainsSubstring("'ctr'"));
    write_bytes(directory.path() / "ctr", "#!/bin/sh\n");
    std::filesystem::permissions(directory.path() / "ctr", std::filesystem::perms::owner_all);
    CHECK(find_engine(EngineKind::containerd, lookup, {}).socket ==
          (directory.path() / "c.sock").string());
  }
  SECTION("an engine elsewhere is refused, not passed over") {
    variables["DOCKER_HOST"] = "tcp://user:secret@engine.example:2376";
    try {
      static_cast<void>(find_engines(lookup, {}));
      FAIL("found");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::unsupported);
      CHECK_THAT(error.what(), !ContainsSubstring("secret"));
      CHECK_THAT(error.hint(), ContainsSubstring("DOCKER_HOST"));
    }
  }
  SECTION("what answers but is no engine") {
    const UnixServer server(socket, [](const auto&) { return response(404, "no"); });
    try {
      static_cast<void>(find_engine(EngineKind::docker, lookup, {}));
      FAIL("found");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::unavailable);
    }
  }
}

TEST_CASE("names of engines parse back", "[transfer][engines]") {
  for (const auto kind : {EngineKind::docker, EngineKind::podman, EngineKind::containerd}) {
    CHECK(parse_engine_kind(to_string(kind)) == kind);
  }
  CHECK_THROWS_AS(parse_engine_kind("cri-o"), Error);
  CHECK_THROWS_AS(parse_engine_kind(""), Error);
}
