#pragma once

#include "aipack/registry/settings.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

/// "host[:port][/namespace…][:tag|@digest]", the host in lower case.
struct Place {
  std::string host;
  std::string path;   ///< empty: the whole host
  std::string suffix; ///< ":tag" or "@digest"; empty: none
  /// Empty when it is no such thing. Slashes at the end do not count.
  [[nodiscard]] static std::optional<Place> parse(std::string_view text);
};

/// What a `[[registry]]` table is about: a Place, or "*.host" for every host below one.
struct Prefix {
  Place place; ///< of a wildcard: host is what comes after "*"
  bool wildcard = false;
  [[nodiscard]] static std::optional<Prefix> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;
};

/// What registries and mirrors both can say; empty: not said.
struct Traits {
  std::optional<bool> insecure;
  std::optional<bool> plain_http;
  std::optional<std::string> ca_file;
  std::optional<std::string> client_certificate;
  std::optional<std::string> client_key;
  std::optional<std::string> proxy;
  std::optional<UploadMode> upload;
  std::optional<std::uint64_t> chunk_bytes;
  std::optional<unsigned> concurrency;

  /// What `stronger` says wins.
  void overlay(const Traits& stronger);
};

/// Which pulls a mirror is for.
enum class PullBy { all, digest_only, tag_only };

struct Mirror {
  Place location;
  Traits traits;
  PullBy pull = PullBy::all;
};

/// One `[[registry]]` table.
struct RegistryTable {
  Prefix prefix;
  std::optional<Place> location; ///< empty: the prefix itself, nothing is rewritten
  Traits traits;
  std::optional<bool> blocked;
  std::optional<bool> mirror_by_digest_only;
  std::optional<std::vector<Mirror>> mirrors;
  std::string file; ///< that says `blocked`

  void overlay(const RegistryTable& stronger);
};

/// The tables of one file, in its order. `name` is its path. Throws FormatError{invalid_input} with
/// the line; never quotes values of `proxy`, which may hold a password.
[[nodiscard]] std::vector<RegistryTable> parse_tables(std::string_view text, std::string_view name,
                                                      SettingsFormat format);

/// What lies in one directory "certs.d/host[:port]".
struct CertificateDirectory {
  std::filesystem::path path;
  std::vector<std::string> names; ///< sorted
};

/// A repository as settings see it: Docker Hub by its one name, with "library/" written out.
struct RepositoryName {
  std::string host;
  std::string repository;
  std::string tag;    ///< ":tag" or empty
  std::string digest; ///< "@digest" or empty

  [[nodiscard]] static RepositoryName of(const oci::Reference& reference);
  /// What is `rest` below `place`.
  [[nodiscard]] static RepositoryName below(const Place& place, std::string_view rest);
  [[nodiscard]] std::string to_string() const { return host + "/" + repository; }
};

struct RegistrySettings::Data {
  std::map<std::string, RegistryTable> tables;              ///< by prefix
  std::map<std::string, CertificateDirectory> certificates; ///< by "host[:port]"
  bool plain_http = false;

  /// Tables of a later file: they replace those of the same prefix
  /// (containers-registries.conf.d(5)), aipack's own say only what is different.
  void add(std::vector<RegistryTable> more, SettingsFormat format);

  struct Match {
    const RegistryTable* table = nullptr; ///< null: no table is about this name
    std::string rest;                     ///< of the repository, after the prefix
  };
  /// The longest prefix wins; a host that is written out beats any "*.host".
  [[nodiscard]] Match match(const RepositoryName& name) const;
  [[nodiscard]] bool is_blocked(const RepositoryName& name) const;
  /// Throws Error{denied} when it is.
  void check_blocked(const RepositoryName& name) const;
  /// What is said about the place itself. A table whose `location` is another host speaks about
  /// that one: its `insecure` must not open the connection to the host that it stands in for.
  [[nodiscard]] Traits traits_at(const RepositoryName& name) const;
  /// `named`: by the reference itself, not by a mirror's or a registry's location.
  [[nodiscard]] Endpoint endpoint_at(const RepositoryName& name, const Traits& traits,
                                     bool named) const;
  void add_certificates(Endpoint& endpoint) const;
};

} // namespace aipack::registry
