#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/reference.hpp"
#include "aipack/registry/credentials.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

/// How a blob goes up. `automatic` finds out what the registry can and remembers it.
enum class UploadMode {
  automatic,
  single,  ///< one PUT with the whole body
  stream,  ///< one PATCH with the whole body, then an empty PUT
  chunked, ///< PATCHes with Content-Range
};

/// Where a repository really is, and how to talk to it.
struct Endpoint {
  std::string scheme = "https"; ///< or "http"
  std::string host{};           ///< "host[:port]" to talk to, lower case; Docker Hub's API host
  std::string repository{};     ///< as that host calls it, "library/" included
  /// What CredentialStore::find() is asked for, with `repository`: this endpoint's own host, never
  /// the one that a person named and this one stands in for.
  std::string credential_host{};
  bool is_mirror = false;
  bool insecure_tls = false;           ///< certificates are not verified
  std::vector<std::string> ca_files{}; ///< PEM, trusted beside the system's
  std::string client_certificate{};    ///< PEM file; empty: none
  std::string client_key{};            ///< PEM file
  std::string proxy{};                 ///< URL; empty: as the environment says
  UploadMode upload = UploadMode::automatic;
  std::uint64_t chunk_bytes = 0; ///< of chunked uploads; 0: the client's choice
  unsigned concurrency = 0;      ///< requests at once; 0: the client's choice
  bool operator==(const Endpoint&) const = default;
};

inline constexpr std::uint64_t max_settings_bytes = std::uint64_t{1} << 20; ///< of one file
inline constexpr std::size_t max_settings_files = 256; ///< of one drop-in directory
inline constexpr std::size_t max_registries = 10'000;  ///< tables in all files together
inline constexpr std::size_t max_mirrors = 64;         ///< of one registry

/// Whose file it is: containers-registries.conf(5), where keys that aipack does not know are left
/// alone, or aipack's own, which has more keys and where an unknown one is an error.
enum class SettingsFormat { containers, aipack };

/// Where to look for settings.
struct SettingsPlaces {
  Environment environment{};    ///< null: no variable is set
  std::filesystem::path home{}; ///< the user's; empty: no files there
  std::filesystem::path etc{"/etc"};
};

/// Settings per registry and namespace, from the files that podman and skopeo read, then from
/// aipack's own. Immutable after construction; cheap to copy. Threads: safe.
///
/// Files, a later one wins: $CONTAINERS_REGISTRIES_CONF, or else the user's
/// $XDG_CONFIG_HOME/containers/registries.conf, or else /etc/containers/registries.conf; drop-ins
/// in /etc/containers/registries.conf.d/*.conf (not when it is the user's file that counts), then
/// in the user's registries.conf.d; $XDG_CONFIG_HOME/aipack/registries.toml. XDG_CONFIG_HOME
/// defaults to ~/.config. A later table of the same prefix replaces the one before; aipack's own
/// file says only what is different. The longest prefix decides alone.
///
/// aipack's file is of the same grammar; tables `[[registry]]` and `[[registry.mirror]]` may also
/// say `plain-http`, `ca-file`, `client-cert`, `client-key` (relative to the file), `proxy`,
/// `concurrency`, `upload = "auto|single|stream|chunked"` and `chunk-size` (bytes).
///
/// Certificates: the first directory named "host[:port]" in $XDG_CONFIG_HOME/containers/certs.d,
/// /etc/containers/certs.d, /etc/docker/certs.d; `*.crt` are CAs, `*.cert` with `*.key` of the same
/// name a client's pair.
class AIPACK_API RegistrySettings {
public:
  RegistrySettings(); ///< nothing is configured
  /// Throws FormatError for a file that cannot be understood.
  [[nodiscard]] static RegistrySettings read(const SettingsPlaces& places);
  /// One file's text; `name` is its path for messages, and what relative paths in it start from.
  [[nodiscard]] static RegistrySettings parse(std::string_view text, std::string_view name,
                                              SettingsFormat format = SettingsFormat::aipack);
  /// These, but the registries that references name (not their mirrors) are spoken to in plain
  /// HTTP: `--plain-http`.
  [[nodiscard]] RegistrySettings with_plain_http() const;

  /// The registry itself, for everything that writes: the name as it is written.
  /// (containers-registries.conf(5): redirection and mirrors are for reading only.) Throws
  /// Error{denied} when it is blocked, Error{invalid_input} for a reference without a registry.
  ///
  /// Plain HTTP is for loopback (localhost, *.localhost, 127.0.0.0/8, ::1) without TLS settings of
  /// its own, for `plain-http = true` and for with_plain_http(). `insecure = true` is TLS without
  /// verification, elsewhere than on loopback: unlike podman, aipack never falls back to HTTP.
  [[nodiscard]] Endpoint endpoint(const oci::Reference& reference) const;
  /// Where to read from, in this order: mirrors, then the `location` of the registry; at least one.
  /// `by_digest`: the content is asked for by its digest. Throws as endpoint() does.
  [[nodiscard]] std::vector<Endpoint> pull_endpoints(const oci::Reference& reference,
                                                     bool by_digest) const;

private:
  struct Data;
  explicit RegistrySettings(std::shared_ptr<const Data> data);
  std::shared_ptr<const Data> data_; ///< never null
};

} // namespace aipack::registry
