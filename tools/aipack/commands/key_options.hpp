#pragma once

#include "aipack/core/operation.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/verify.hpp"

#include "session.hpp"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace aipack::cli {

/// A key that was opened, with what is proved beside it.
struct OpenedKey {
  std::unique_ptr<sign::Signer> signer;
  std::unique_ptr<sign::Signatory> signatory;
};

/// The options of every verb that signs.
struct KeyOptions {
  std::string key;
  std::string certificate;
  std::string timestamp_server;
  std::string token_module;

  void add_to(CLI::App& command, const char* when = "");
  /// --key, else AIPACK_KEY. Asks for its password when it has one: AIPACK_KEY_PASSWORD,
  /// COSIGN_PASSWORD, the terminal; for a token's PIN: AIPACK_PIN, the terminal. `op` must outlive
  /// what comes out. A key that cannot be relied on is Error{corrupt}: wrong password, readable by
  /// others.
  [[nodiscard]] OpenedKey open(const Session& session, const Operation& op) const;
};

/// "bundle,simple-signing,notation-jws". Throws Error{invalid_input} for others.
[[nodiscard]] std::set<sign::Format> parse_signature_formats(const std::string& text);
inline constexpr const char* default_signature_formats = "bundle,simple-signing";

/// "K=V" words as annotations. Throws Error{invalid_input}.
[[nodiscard]] oci::Annotations parse_annotations(const std::vector<std::string>& words,
                                                 const char* option);

/// AIPACK_KEY_PASSWORD, else COSIGN_PASSWORD; null when neither is set. It may be empty.
[[nodiscard]] const char* key_password();
inline constexpr const char* without_password_terminal =
    "set AIPACK_KEY_PASSWORD, or make the key with --format pkcs8 for one without a password";

} // namespace aipack::cli
