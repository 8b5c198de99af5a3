#include "commands/key_options.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/core/version.hpp"
#include "aipack/http/transport.hpp"
#include "aipack/trust/timestamp_client.hpp"

#include "prompt.hpp"

#include <cstdlib>

#include <fmt/format.h>

namespace aipack::cli {

void KeyOptions::add_to(CLI::App& command, const char* when) {
  command
      .add_option("--key", key,
                  fmt::format("Private key{}: a file of 'aipack keygen', cosign or openssl, or "
                              "pkcs11:… (default: $AIPACK_KEY)",
                              when))
      ->type_name("KEY");
  command
      .add_option("--certificate", certificate,
                  "Certificate of the key with its chain, leaf first, PEM")
      ->type_name("FILE");
  command
      .add_option("--timestamp-server", timestamp_server,
                  "Time-stamping authority (RFC 3161) that proves when it was signed")
      ->type_name("URL");
  command
      .add_option(
          "--pkcs11-module", token_module,
          "Library of the token that a pkcs11: key is in (default: OpenSSL's configuration)")
      ->type_name("FILE");
}

namespace {

/// A token counts wrong PINs and locks itself: a password that is meant for a file is not tried.
std::string pin() {
  const char* const preset = environment("AIPACK_PIN");
  return preset != nullptr ? preset : prompt_secret("PIN of the token: ", "set AIPACK_PIN");
}

std::unique_ptr<sign::Signer> open_signer(const std::string& name, const std::string& module) {
  try {
    if (sign::is_token_uri(name)) {
      return sign::open_token_key(name, {.module = module}, pin);
    }
    return std::make_unique<sign::PrivateKey>(sign::PrivateKey::read(name, [&]() -> std::string {
      const char* const preset = key_password();
      return preset != nullptr
                 ? preset
                 : prompt_secret(fmt::format("Password of {}: ", name), without_password_terminal);
    }));
  } catch (const Error& error) {
    // Access to a registry is one thing, a key that cannot be relied on another: scripts see "not
    // trusted" (exit 5), whether its password is wrong, or others can read it.
    if (error.code() != ErrorCode::unauthenticated && error.code() != ErrorCode::denied) {
      throw;
    }
    Error untrusted(ErrorCode::corrupt, error.message());
    for (const auto& frame : error.context()) {
      untrusted.add_context(frame);
    }
    throw std::move(untrusted).with_hint(error.hint());
  }
}

} // namespace

OpenedKey KeyOptions::open(const Session& session, const Operation& op) const {
  if (!timestamp_server.empty() && session.offline) {
    throw Error(ErrorCode::invalid_input,
                "cannot get a time stamp: --offline and --timestamp-server exclude each other");
  }
  const char* const preset = environment("AIPACK_KEY");
  const auto name = !key.empty() ? key : std::string(preset != nullptr ? preset : "");
  if (name.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot sign: there is no key")
        .with_hint("give one with --key or AIPACK_KEY; 'aipack keygen' makes one");
  }
  OpenedKey result;
  result.signer = open_signer(name, token_module);
  result.signatory = std::make_unique<sign::Signatory>(sign::Signatory{.signer = *result.signer});
  if (!certificate.empty()) {
    result.signatory->certificates = sign::read_certificates(certificate);
  }
  if (!timestamp_server.empty()) {
    result.signatory->timestamp = trust::timestamp_authority(
        timestamp_server, http::make_transport({.user_agent = fmt::format("aipack/{}", version())}),
        op);
  }
  return result;
}

std::set<sign::Format> parse_signature_formats(const std::string& text) {
  std::set<sign::Format> formats;
  for (const auto word : split(text, ',')) {
    if (word == "notation" || word == sign::to_string(sign::Format::notation_jws)) {
      formats.insert(sign::Format::notation_jws);
    } else if (word == sign::to_string(sign::Format::bundle)) {
      formats.insert(sign::Format::bundle);
    } else if (word == sign::to_string(sign::Format::simple_signing)) {
      formats.insert(sign::Format::simple_signing);
    } else {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot sign in the form {}: there is no such one", quoted(word)))
          .with_hint("forms are bundle, simple-signing and notation");
    }
  }
  return formats;
}

oci::Annotations parse_annotations(const std::vector<std::string>& words, const char* option) {
  oci::Annotations annotations;
  for (const auto& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot use {} {}: it must read KEY=VALUE", option, quoted(word)));
    }
    annotations[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return annotations;
}

const char* key_password() {
  for (const char* const variable : {"AIPACK_KEY_PASSWORD", "COSIGN_PASSWORD"}) {
    // An empty password is a password: whether it is set decides, not whether it says something.
    if (const char* const value = std::getenv(variable)) { // NOLINT(concurrency-mt-unsafe)
      return value;
    }
  }
  return nullptr;
}

} // namespace aipack::cli
