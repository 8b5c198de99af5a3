#pragma once

#include "support/registry_dialect.hpp"
#include "support/registry_fault.hpp"
#include "support/registry_request.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// A container registry for tests: the distribution specification 1.1 on loopback sockets, in this
/// process, without any code of the library that it tests. It can speak as the registries of the
/// field do (RegistryDialect), demand credentials, fail in every way a network and a server fail
/// (RegistryFault), and it remembers each request.
///
///   test::RegistryServer registry({.dialect = test::RegistryDialect::crane()});
///   push_to(registry.host() + "/team/model:1");
///   CHECK(registry.tags("team/model") == std::vector<std::string>{"1"});
///
/// One thread per connection; request bodies are streamed, so that memory does not grow with the
/// blob unless it is stored in memory. All members may be called from any thread.
namespace aipack::test {

/// Who may do what.
struct RegistryAuth {
  enum class Kind { none, basic, bearer };
  Kind kind = Kind::none;
  std::string user = "user";
  std::string password = "correct horse";
  bool anonymous_pull = false; ///< pull needs no credentials (bearer: an anonymous token)
  /// What `user` may do: repository (or "*") to actions out of pull, push, delete. Empty: all.
  std::map<std::string, std::set<std::string>> grants{};
  int denied_status = 401; ///< to a token without the right: 401 insufficient_scope, or 403

  // --- bearer ---
  /// Absent: /token of the token origin. A template as RegistryDialect::blob_location.
  std::string realm = "{token}/token";
  std::string service = "test-registry";
  std::chrono::milliseconds lifetime{300'000}; ///< after that a token is refused
  std::optional<int> expires_in = 300;         ///< seconds, as announced; absent: not announced
  std::uint64_t requests_per_token = 0;        ///< a token works that often; 0: no limit
  enum class TokenField { token, access_token, both };
  TokenField field = TokenField::both;
  bool oauth2 = true;                         ///< POST of the token endpoint; else 404
  std::string refresh_token = "refresh-7d1f"; ///< accepted by the POST, as an identity token is
  bool offers_refresh_token = true;           ///< to a password grant with access_type=offline
  bool rotates_refresh_token = false;         ///< each use gives a new one and ends the old
  bool first_scope_only = false;              ///< the token server honours one scope only
  /// WWW-Authenticate lines that come before the real one, for example "Negotiate".
  std::vector<std::string> other_challenges{};
  bool scope_in_challenge = true;
};

struct RegistryTls {
  std::filesystem::path certificate; ///< PEM, chain
  std::filesystem::path key;         ///< PEM
  std::filesystem::path client_ca{}; ///< PEM; not empty: a client certificate is required
  std::set<Origin> plain{};          ///< origins that speak plain HTTP all the same
};

/// Where the content of blobs goes. Manifests and tags are always in memory.
enum class RegistryStorage {
  memory,
  directory, ///< files below `root`; blobs that are there at the start are known
  sink,      ///< nowhere: sizes only, nothing is hashed or verified
};

struct RegistryOptions {
  RegistryDialect dialect{};
  RegistryAuth auth{};
  FaultPlan faults{};
  std::optional<FaultStorm> storm{}; ///< when `faults` has nothing to say
  RegistryStorage storage = RegistryStorage::memory;
  std::filesystem::path root{};
  std::optional<RegistryTls> tls{};
  std::uint16_t port = 0; ///< of the registry origin; 0: any. The others are always any
  std::string host_name = "127.0.0.1"; ///< in URLs that the registry makes up
  std::filesystem::path log{};         ///< JSON lines, one per finished request; empty: none
};

struct StoredManifest {
  std::string digest;
  std::string media_type;
  std::string bytes;
};

class RegistryServer {
public:
  explicit RegistryServer(RegistryOptions options = {});
  ~RegistryServer(); ///< cuts all connections and waits for their threads
  RegistryServer(const RegistryServer&) = delete;
  RegistryServer& operator=(const RegistryServer&) = delete;

  [[nodiscard]] std::uint16_t port(Origin origin = Origin::registry) const;
  /// "127.0.0.1:port", what a reference begins with.
  [[nodiscard]] std::string host(Origin origin = Origin::registry) const;
  /// "http://127.0.0.1:port" + path
  [[nodiscard]] std::string url(std::string_view path = {}, Origin origin = Origin::registry) const;

  // --- behaviour from now on ---
  void set_dialect(RegistryDialect dialect);
  void set_auth(RegistryAuth auth);
  void set_faults(FaultPlan plan);
  void set_storm(std::optional<FaultStorm> storm);
  /// How many faults were applied.
  [[nodiscard]] std::uint64_t faults() const;
  /// Resets every open connection, as when a network goes away.
  void drop_connections();
  /// No token that was issued is good any more.
  void revoke_tokens();

  // --- what was asked ---
  [[nodiscard]] std::vector<RegistryRequest> log() const;
  void clear_log();
  /// Requests of this method ("" = any) whose path contains `part`, at the registry's own origin.
  [[nodiscard]] std::size_t count(std::string_view method, std::string_view part = {}) const;
  /// Bytes of upload bodies: all, or those of one session id, or those that were sent for a digest.
  [[nodiscard]] std::uint64_t bytes_received() const;
  [[nodiscard]] std::uint64_t bytes_received_for(std::string_view digest_or_upload) const;
  [[nodiscard]] unsigned connections() const; ///< accepted so far
  /// Everything that must stay between client and registry: the password as it is and as Basic
  /// credentials, refresh tokens, each token ever issued.
  [[nodiscard]] std::vector<std::string> secrets() const;
  /// Requests to the storage or foreign origin with an Authorization or Cookie header, or with one
  /// of the secrets anywhere in the head.
  [[nodiscard]] std::vector<RegistryRequest> leaks() const;

  // --- what is stored ---
  void create_repository(const std::string& repository);
  /// Stores content without a request; gives the digest (sha256).
  std::string put_blob(const std::string& repository, std::string_view bytes);
  std::string put_manifest(const std::string& repository, std::string_view bytes,
                           const std::string& media_type, const std::string& tag = {});
  void tag(const std::string& repository, const std::string& tag, const std::string& digest);
  void remove_blob(const std::string& repository, const std::string& digest);
  [[nodiscard]] std::optional<std::string> blob(const std::string& digest) const;
  [[nodiscard]] std::optional<std::uint64_t> blob_size(const std::string& digest) const;
  [[nodiscard]] bool has_blob(const std::string& repository, const std::string& digest) const;
  /// By tag or digest.
  [[nodiscard]] std::optional<StoredManifest> manifest(const std::string& repository,
                                                       const std::string& reference) const;
  [[nodiscard]] std::vector<std::string> tags(const std::string& repository) const; ///< sorted
  [[nodiscard]] std::vector<std::string> repositories() const;                      ///< sorted
  [[nodiscard]] std::vector<std::string> blobs() const; ///< digests, of all repositories
  [[nodiscard]] std::size_t open_uploads() const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace aipack::test
