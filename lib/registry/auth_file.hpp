#pragma once

#include "aipack/registry/credentials.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace aipack::registry {

inline constexpr std::uint64_t max_auth_file_bytes = std::uint64_t{4} << 20;
inline constexpr std::size_t max_auth_depth = 64;

/// Foreign JSON whose text must not show up in messages: at most `max_auth_depth` deep, no
/// duplicate key, an object at the root. `name` is what errors call it. Throws FormatError.
[[nodiscard]] nlohmann::ordered_json parse_secret_json(std::string_view text,
                                                       const std::string& name);

/// "host[:port]" in lower case; the names of Docker Hub as one: "docker.io". Throws
/// Error{invalid_input}: the text becomes a key, a line for a helper, a part of a URL.
[[nodiscard]] std::string canonical_host(std::string_view text);

inline constexpr std::string_view docker_hub = "docker.io";
/// What docker's config file and credential helpers call Docker Hub.
inline constexpr std::string_view docker_hub_key = "https://index.docker.io/v1/";
/// The user name that says that a password is an identity token (credential helper protocol).
inline constexpr std::string_view token_user = "<token>";

/// Sorts a password into its place: see token_user. `username` and `secret` as they came.
[[nodiscard]] Credential make_credential(std::string_view username, std::string_view secret,
                                         std::string origin);
/// True for text that can stand in a header: no space, no control character.
[[nodiscard]] bool is_token_text(std::string_view text) noexcept;

enum class AuthFormat {
  current, ///< { "auths": {…}, "credHelpers": {…}, "credsStore": "…" }
  legacy,  ///< ~/.dockercfg: what "auths" holds, without the rest
};

/// docker's config.json or podman's auth.json as a value: what is asked for is decoded then, so
/// that a broken entry of one registry does not hide another's.
///
///     "auths": { KEY: { "auth": base64("user:password"), "identitytoken": "…", "registrytoken":
///     "…",
///                       "username": "…", "password": "…" } }
///     KEY = host[:port][/namespace…] | http[s]://host[:port][/…] | host[:port]/v1/ |
///     host[:port]/v2/
///
/// Sources: containers-auth.json(5); docker's documentation of `docker login`. Hosts are parameters
/// in the form of canonical_host().
class AuthFile {
public:
  /// An empty text is an empty file. Throws FormatError{invalid_input}, never quoting the text.
  [[nodiscard]] static AuthFile parse(std::string_view text, std::string name,
                                      AuthFormat format = AuthFormat::current);

  /// The credential helper of a host, and what to call the host when talking to it.
  struct Helper {
    std::string name;
    std::string server;
  };
  [[nodiscard]] std::optional<Helper> own_helper(std::string_view host) const;     ///< credHelpers
  [[nodiscard]] std::optional<Helper> default_helper(std::string_view host) const; ///< credsStore
  /// Of `auths`; an entry without any secret counts as none. `origin` stays empty.
  [[nodiscard]] std::optional<Credential> find(std::string_view host,
                                               std::string_view repository) const;

  /// Sets the entry that find(host, "") reads; `new_key` names it when there is none yet. A null
  /// credential leaves `{}`, which is docker's mark for "a helper knows".
  void set(std::string_view host, std::string_view new_key, const Credential* credential);
  /// Removes every entry for the whole host; false: there was none with a secret in it.
  bool erase(std::string_view host);
  /// Indented with tabs, as docker and podman write it.
  [[nodiscard]] std::string to_text() const;

private:
  using Json = nlohmann::ordered_json;
  AuthFile(Json root, std::string name, AuthFormat format)
      : root_(std::move(root)), name_(std::move(name)), format_(format) {}
  [[nodiscard]] const Json* member(const char* name, bool (Json::*is_type)() const noexcept,
                                   std::string_view cause) const;
  [[nodiscard]] const Json* auths() const;
  [[nodiscard]] Credential decode(std::string_view host, const Json& entry) const;
  [[noreturn]] void refuse(std::string_view cause) const;

  Json root_;
  std::string name_;
  AuthFormat format_;
};

} // namespace aipack::registry
