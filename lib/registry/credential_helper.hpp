#pragma once

#include "aipack/core/operation.hpp"
#include "aipack/registry/credentials.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::registry {

inline constexpr std::size_t max_helper_name_bytes = 64;
inline constexpr std::size_t max_helper_answer_bytes = std::size_t{128} << 10;

/// One `docker-credential-NAME` program. Source: docker-credential-helpers, "Development": the verb
/// is the one argument, everything else goes through standard input and output, so that no secret
/// is ever in a list of processes. No shell, and no AIPACK_REGISTRY_* variable in its environment.
///
///     get    in: server                                   out: {"ServerURL","Username","Secret"}
///     store  in: {"ServerURL","Username","Secret"}        out: nothing
///     erase  in: server                                   out: nothing
///
/// Failure is an exit status that is not 0 with a sentence on standard output; one such sentence
/// means that there is nothing. No other sentence is ever repeated: it may hold a secret.
class CredentialHelper {
public:
  /// Throws Error{invalid_input} for a name that is no part of a file name, Error{unauthenticated}
  /// when no directory of $PATH holds the program. `named_in` is the file, for messages.
  CredentialHelper(const std::string& name, std::string named_in, const Environment& environment,
                   std::chrono::milliseconds timeout);

  /// Empty: the helper has nothing for `server`. This and the others throw Error{unauthenticated}
  /// for a helper that fails, does not answer in time or answers nonsense.
  [[nodiscard]] std::optional<Credential> get(const std::string& server, const Operation& op) const;
  void store(const std::string& server, const Credential& credential, const Operation& op) const;
  /// False: there was nothing.
  bool erase(const std::string& server, const Operation& op) const;

  /// "docker-credential-pass (named in '~/.docker/config.json')"
  [[nodiscard]] std::string origin() const { return program_ + " (named in " + named_in_ + ")"; }

private:
  struct Answer {
    int status = 0; ///< of the exit; 128 + number for a signal
    std::string output;
  };
  [[nodiscard]] Answer run(const char* verb, std::string_view input, const Operation& op) const;
  [[nodiscard]] bool says_nothing_there(const Answer& answer) const;
  [[noreturn]] void fail(const char* verb, std::string_view cause) const;

  std::string program_;
  std::string named_in_;
  std::filesystem::path path_;
  std::chrono::milliseconds timeout_;
};

} // namespace aipack::registry
