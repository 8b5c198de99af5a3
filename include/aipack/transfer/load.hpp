#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/oci/platform.hpp"
#include "aipack/registry/credentials.hpp"
#include "aipack/transfer/place.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::transfer {

enum class EngineKind { docker, podman, containerd };
[[nodiscard]] AIPACK_API std::string_view to_string(EngineKind kind) noexcept;
/// "docker", "podman" or "containerd"; throws Error{invalid_input} for others.
[[nodiscard]] AIPACK_API EngineKind parse_engine_kind(std::string_view text);

/// A container engine of this machine.
struct ContainerEngine {
  EngineKind kind = EngineKind::docker;
  std::string socket{};  ///< path of its Unix socket; empty: podman without a service
  std::string program{}; ///< path of `podman` or `ctr`; empty: through the socket's API
  bool operator==(const ContainerEngine&) const = default;
};

/// The engine of this kind that answers. Looked for are DOCKER_HOST, or
/// $XDG_RUNTIME_DIR/docker.sock and /var/run/docker.sock; CONTAINER_HOST, or `podman` in PATH, or
/// podman's sockets; CONTAINERD_ADDRESS, or /run/containerd/containerd.sock, with `ctr` in PATH.
/// Throws Error{not_found, denied, unavailable} with what was tried, Error{unsupported} for a
/// DOCKER_HOST or CONTAINER_HOST that is no Unix socket.
[[nodiscard]] AIPACK_API ContainerEngine find_engine(EngineKind kind,
                                                     const registry::Environment& environment,
                                                     const Operation& op);
/// All that answer, in the order docker, podman, containerd. Podman behind docker's socket is
/// podman, and not there twice.
[[nodiscard]] AIPACK_API std::vector<ContainerEngine>
find_engines(const registry::Environment& environment, const Operation& op);

struct LoadOptions {
  std::string tag{}; ///< "NAME:TAG"; empty: no name, which containerd cannot do
  std::optional<oci::Platform> platform{}; ///< empty: what the engine runs
  std::string containerd_namespace = "default";
};

struct LoadReport {
  EngineKind engine = EngineKind::docker;
  std::string reference; ///< what the engine calls it: the tag, or the image's ID
  oci::Platform platform;
  oci::Digest config;           ///< digest of the config: docker's and podman's image ID
  std::uint64_t sent_bytes = 0; ///< of the archive that was streamed
};

/// Puts one platform's image into a running engine. The archive is made while it is sent and never
/// on disk: docker and podman get a docker archive (zstd layers as plain tars), containerd an OCI
/// archive. Throws Error{unavailable} when the engine does not answer, Error{denied} when its
/// socket may not be used, Error{unsupported} or Error{io} with the engine's own words.
AIPACK_API LoadReport load(Origin& origin, const ContainerEngine& engine,
                           const LoadOptions& options, const Operation& op);

} // namespace aipack::transfer
