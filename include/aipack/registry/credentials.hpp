#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::registry {

/// Text that nobody shall see: it has no conversion and no stream operator, reveal() is the one
/// word to look for, and its memory is overwritten when it goes away.
class AIPACK_API Secret {
public:
  Secret() = default;
  explicit Secret(std::string_view text) : text_(text) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
  /// For the wire and for the store, never for a message.
  [[nodiscard]] const std::string& reveal() const noexcept { return text_; }
  bool operator==(const Secret&) const = default;

private:
  std::string text_;
};

/// What to say to a registry. One of three: user name and password; an identity token, which a
/// token server turns into access tokens (OAuth2 refresh token); a registry token, which goes to
/// the registry as it is (bearer).
struct Credential {
  std::string username{};
  Secret password{};
  Secret identity_token{};
  Secret registry_token{};
  /// Where it came from, for messages: "'~/.docker/config.json'", "the environment".
  std::string origin{};
};

/// Finds credentials. Threads: calls may run side by side.
struct AIPACK_API CredentialStore {
  virtual ~CredentialStore() = default;
  /// For `repository` (may be empty) of the registry at `registry_host` ("host[:port]", "docker.io"
  /// for Docker Hub). Empty: anonymous. May run a helper program that asks a person or a key ring;
  /// callers remember the answer.
  virtual std::optional<Credential> find(std::string_view registry_host,
                                         std::string_view repository, const Operation& op) = 0;
};

/// `getenv`, or a test's table: the value of a variable, null when it is not set.
using Environment = std::function<const char*(const char* name)>;

struct CredentialFilesOptions {
  /// `--authfile`: asked before all others, and written by store(); it must exist to be read.
  std::filesystem::path auth_file{};
  Environment environment{};             ///< null: no variable is set
  std::filesystem::path home{};          ///< the user's; empty: no files there
  std::filesystem::path run_dir{"/run"}; ///< where runtime files of users are
  /// A helper may wait for a person at a key ring's prompt.
  std::chrono::milliseconds helper_timeout{60'000};
  /// Told why a source was passed over: the helper that `credsStore` names is not installed or
  /// failed (docker goes on without it as well). Called from any thread; holds no secret.
  std::function<void(const std::string& sentence)> notice{};
};

/// The credentials of `docker login`, `podman login` and `aipack login`, as they lie on this
/// machine. Files are read anew by each call. Sources, the first that answers wins:
///
/// 1. `auth_file`
/// 2. the environment: AIPACK_REGISTRY names the one host[:port] that gets AIPACK_REGISTRY_USER and
///    AIPACK_REGISTRY_PASSWORD, or AIPACK_REGISTRY_TOKEN (a bearer token). Without AIPACK_REGISTRY
///    the others are refused: a password without an address would go to whoever asks first.
/// 3. $REGISTRY_AUTH_FILE, which must exist when it is set
/// 4. $XDG_RUNTIME_DIR/containers/auth.json (podman), without it /run/containers/UID/auth.json and
///    /run/user/UID/containers/auth.json
/// 5. $XDG_CONFIG_HOME/containers/auth.json, without it ~/.config/containers/auth.json
/// 6. $DOCKER_CONFIG/config.json, without it ~/.docker/config.json
/// 7. ~/.dockercfg
///
/// Within a file: the helper that `credHelpers` names for the host, the helper of `credsStore`,
/// then `auths` by the longest of "host/namespace/repository", "host/namespace", "host", then by
/// keys that are URLs of the host, as older dockers wrote them. Sources: containers-auth.json(5),
/// the documentation of `docker login`.
///
/// Throws FormatError for a file that cannot be understood (never quoting it), Error{invalid_input}
/// for a contradictory environment, Error{unavailable} when the helper of `credHelpers` fails.
class AIPACK_API CredentialFiles final : public CredentialStore {
public:
  explicit CredentialFiles(CredentialFilesOptions options);

  std::optional<Credential> find(std::string_view registry_host, std::string_view repository,
                                 const Operation& op) override;

  /// Keeps `credential` for `registry_host` in the helper that the file names for it, else in the
  /// file: `auth_file`, $REGISTRY_AUTH_FILE, or docker's config.json. A file is replaced whole,
  /// with mode 0600, under a lock; members that aipack does not know stay, in their order. Returns
  /// where it went, for a message.
  std::string store(std::string_view registry_host, const Credential& credential,
                    const Operation& op);
  /// Takes the credentials of `registry_host` out of the place where store() puts them. Returns
  /// where they were; empty: nothing was there. Other sources are left alone: find() tells whether
  /// one still answers.
  std::optional<std::string> erase(std::string_view registry_host, const Operation& op);

private:
  CredentialFilesOptions options_;
};

} // namespace aipack::registry
