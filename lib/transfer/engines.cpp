#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/http/transport.hpp"
#include "aipack/transfer/load.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace aipack::transfer {
namespace {

constexpr std::string_view unix_scheme = "unix://";
constexpr std::chrono::milliseconds ping_timeout{5000};
constexpr std::array engine_kinds{EngineKind::docker, EngineKind::podman, EngineKind::containerd};

std::string value_of(const registry::Environment& environment, const char* name) {
  const char* const value = environment ? environment(name) : nullptr;
  return value == nullptr ? std::string() : std::string(value);
}

/// The path of a socket that a variable names; empty when it is not set.
std::string socket_of(const registry::Environment& environment, const char* variable) {
  const auto value = value_of(environment, variable);
  if (value.empty()) {
    return {};
  }
  if (!value.starts_with(unix_scheme)) {
    throw Error(ErrorCode::unsupported, fmt::format("cannot load an image into {} ({}): only "
                                                    "engines behind a Unix socket are supported",
                                                    quoted(redacted_url(value)), variable))
        .with_hint(fmt::format("push the image to a registry instead, or unset {}", variable));
  }
  return value.substr(unix_scheme.size());
}

std::string find_program(const registry::Environment& environment, const std::string& name) {
  const auto path = value_of(environment, "PATH");
  for (const auto part : split(path, ':')) {
    const auto file = std::filesystem::path(part) / name;
    // Relative directories would run what lies in the folder that somebody happens to be in.
    std::error_code ignored;
    if (file.is_absolute() && std::filesystem::is_regular_file(file, ignored) &&
        ::access(file.c_str(), X_OK) == 0) {
      return file.string();
    }
  }
  return {};
}

/// errno of connecting, 0 when somebody listens.
int try_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return ENAMETOOLONG;
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const io::File socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), path);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  return ::connect(socket.fd(), generic, sizeof address) == 0 ? 0 : errno;
}

/// What stood in the way of an engine: the most telling of several.
class Obstacles {
public:
  explicit Obstacles(EngineKind kind) : kind_(kind) {}
  void add(ErrorCode code, std::string what) {
    // That one may not is more to go by than that nothing is there.
    if (what_.empty() || code_ == ErrorCode::not_found) {
      code_ = code;
      what_ = std::move(what);
    }
  }
  void add_socket(const std::string& path, int error_number) {
    const auto code = error_number == EACCES || error_number == EPERM ? ErrorCode::denied
                      : error_number == ENOENT                        ? ErrorCode::not_found
                                                                      : ErrorCode::unavailable;
    add(code, fmt::format("{}: {}", quoted(path), std::generic_category().message(error_number)));
  }
  [[noreturn]] void raise() const {
    throw Error(code_, fmt::format("cannot reach {}: {}", to_string(kind_), what_))
        .with_hint(code_ == ErrorCode::denied
                       ? "its socket is for others: become a member of its group, or root"
                       : "start the engine, or write an archive and load that elsewhere");
  }

private:
  EngineKind kind_;
  ErrorCode code_ = ErrorCode::not_found;
  std::string what_;
};

/// Who answers the ping of Docker's API, if anybody. Podman serves it as well, and says so.
std::optional<EngineKind> ping(const std::string& socket, Obstacles& obstacles,
                               const Operation& op) {
  if (const int error_number = try_socket(socket); error_number != 0) {
    obstacles.add_socket(socket, error_number);
    return std::nullopt;
  }
  try {
    const auto transport = http::make_transport({.unix_socket = socket});
    const auto response = transport->perform(
        {.url = "http://engine/_ping", .max_body_bytes = 4096, .stall_timeout = ping_timeout}, op);
    if (response.status == 200) {
      return response.header("Libpod-API-Version") ? EngineKind::podman : EngineKind::docker;
    }
    obstacles.add(ErrorCode::unavailable,
                  fmt::format("{} answers its ping with {}", quoted(socket), response.status));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) {
      throw;
    }
    obstacles.add(ErrorCode::unavailable, fmt::format("{}: {}", quoted(socket), error.message()));
  }
  return std::nullopt;
}

/// The first of these sockets behind which there is an engine with Docker's API.
std::optional<ContainerEngine> first_to_answer(const std::vector<std::string>& sockets,
                                               Obstacles& obstacles, const Operation& op) {
  for (const auto& socket : sockets) {
    if (const auto kind = ping(socket, obstacles, op)) {
      return ContainerEngine{.kind = *kind, .socket = socket};
    }
  }
  return std::nullopt;
}

/// What `variable` names, or else the usual places: the user's own first.
std::vector<std::string> sockets_of(const registry::Environment& environment, const char* variable,
                                    const std::string& in_runtime_dir,
                                    const std::string& of_the_system) {
  if (auto named = socket_of(environment, variable); !named.empty()) {
    return {std::move(named)};
  }
  const auto runtime_dir = value_of(environment, "XDG_RUNTIME_DIR");
  return runtime_dir.empty() ? std::vector{of_the_system}
                             : std::vector{runtime_dir + "/" + in_runtime_dir, of_the_system};
}

ContainerEngine find_docker(const registry::Environment& environment, const Operation& op) {
  Obstacles obstacles(EngineKind::docker);
  const auto sockets =
      sockets_of(environment, "DOCKER_HOST", "docker.sock", "/var/run/docker.sock");
  if (const auto engine = first_to_answer(sockets, obstacles, op)) {
    return *engine;
  }
  obstacles.raise();
}

ContainerEngine find_podman(const registry::Environment& environment, const Operation& op) {
  Obstacles obstacles(EngineKind::podman);
  const bool is_told = !value_of(environment, "CONTAINER_HOST").empty();
  const auto sockets =
      sockets_of(environment, "CONTAINER_HOST", "podman/podman.sock", "/run/podman/podman.sock");
  // Without a service podman works on its store itself.
  if (auto program = find_program(environment, "podman"); !is_told && !program.empty()) {
    return {.kind = EngineKind::podman, .program = std::move(program)};
  }
  if (const auto engine = first_to_answer(sockets, obstacles, op)) {
    return *engine;
  }
  obstacles.raise();
}

ContainerEngine find_containerd(const registry::Environment& environment) {
  Obstacles obstacles(EngineKind::containerd);
  auto socket = value_of(environment, "CONTAINERD_ADDRESS");
  if (socket.starts_with(unix_scheme)) {
    socket.erase(0, unix_scheme.size());
  }
  if (socket.empty()) {
    socket = "/run/containerd/containerd.sock";
  }
  if (const int error_number = try_socket(socket); error_number != 0) {
    obstacles.add_socket(socket, error_number);
    obstacles.raise();
  }
  auto program = find_program(environment, "ctr");
  if (program.empty()) {
    obstacles.add(ErrorCode::not_found, "the program 'ctr' is not in PATH");
    obstacles.raise();
  }
  return {.kind = EngineKind::containerd, .socket = socket, .program = std::move(program)};
}

} // namespace

std::string_view to_string(EngineKind kind) noexcept {
  switch (kind) {
  case EngineKind::docker:
    return "docker";
  case EngineKind::podman:
    return "podman";
  case EngineKind::containerd:
    return "containerd";
  }
  return {};
}

EngineKind parse_engine_kind(std::string_view text) {
  for (const auto kind : engine_kinds) {
    if (text == to_string(kind)) {
      return kind;
    }
  }
  throw Error(ErrorCode::invalid_input,
              fmt::format("cannot load into {}: it is no engine that aipack knows", quoted(text)))
      .with_hint("choose docker, podman or containerd");
}

ContainerEngine find_engine(EngineKind kind, const registry::Environment& environment,
                            const Operation& op) {
  switch (kind) {
  case EngineKind::docker:
    return find_docker(environment, op);
  case EngineKind::podman:
    return find_podman(environment, op);
  case EngineKind::containerd:
    return find_containerd(environment);
  }
  throw Error(ErrorCode::internal, "cannot find an engine of no kind");
}

std::vector<ContainerEngine> find_engines(const registry::Environment& environment,
                                          const Operation& op) {
  std::vector<ContainerEngine> result;
  for (const auto kind : engine_kinds) {
    try {
      auto engine = find_engine(kind, environment, op);
      if (std::ranges::find(result, engine.kind, &ContainerEngine::kind) == result.end()) {
        result.push_back(std::move(engine));
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled || error.code() == ErrorCode::unsupported) {
        throw;
      }
    }
  }
  return result;
}

} // namespace aipack::transfer
