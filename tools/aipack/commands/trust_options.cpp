#include "commands/trust_options.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include "commands/key_options.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

constexpr std::array<std::pair<const char*, sign::ReferenceMatch>, 4> matches{{
    {"ignore", sign::ReferenceMatch::ignore},
    {"exact", sign::ReferenceMatch::match_exact},
    {"repo-digest-or-exact", sign::ReferenceMatch::match_repo_digest_or_exact},
    {"repository", sign::ReferenceMatch::match_repository},
}};

constexpr std::array formats{sign::Format::bundle, sign::Format::simple_signing,
                             sign::Format::envelope, sign::Format::notation_jws,
                             sign::Format::notation_cose};

/// "TYPE", "TYPE,/pointer=value,/other": rules of one TYPE.
sign::AttestationRule parse_attestation_rule(const std::string& text) {
  sign::AttestationRule rule;
  for (const auto word : split(text, ',')) {
    if (rule.predicate_type.empty()) {
      rule.predicate_type = sign::predicate_type_of(word);
      continue;
    }
    if (!word.starts_with('/')) {
      throw Error(
          ErrorCode::invalid_input,
          fmt::format("cannot use --attestation {}: {} is no field", quoted(text), quoted(word)))
          .with_hint("fields are JSON pointers into the predicate: /runDetails/builder/id=VALUE");
    }
    const auto equals = word.find('=');
    rule.fields.push_back({std::string(word.substr(0, equals)),
                           equals == std::string_view::npos
                               ? std::nullopt
                               : std::optional(std::string(word.substr(equals + 1)))});
  }
  return rule;
}

sign::TrustedRoot read_trusted_root(const std::string& file) {
  const auto text = io::read_text_file(file, sign::max_trusted_root_bytes);
  if (text.find("-----BEGIN CERTIFICATE-----") != std::string::npos) {
    return {.certificate_authorities = sign::parse_authorities(text, file)};
  }
  return sign::TrustedRoot::parse(text, file);
}

} // namespace

void TrustOptions::add_to(CLI::App& command) {
  const auto add = [&](const char* name, auto& value, const char* description, const char* type) {
    return command.add_option(name, value, description)->type_name(type);
  };
  add("--key", keys, "Public key that is trusted (repeatable)", "FILE");
  add("--threshold", threshold, "How many different trusted signers it takes (default: 1)", "N")
      ->check(CLI::Range(0, 1000));
  add("--certificate-identity", identities,
      "Whom a certificate must have been issued to (repeatable)", "NAME");
  add("--certificate-identity-regexp", identity_patterns,
      "The same as a regular expression that matches the whole name", "PATTERN");
  add("--certificate-oidc-issuer", issuer,
      "Who must have vouched for the identity (default: anybody under --trusted-root)", "URL");
  add("--trusted-root", trusted_root,
      "Authorities of certificates and time stamps: trusted_root.json, or PEM", "FILE");
  add("--notation-certificate", notation_certificates,
      "Trust notation signatures under these certificates, PEM (repeatable)", "FILE");
  add("--notation-subject", notation_subjects,
      "Whose, for example 'C=US, ST=WA, O=Example' (default: anybody's under them)", "ATTRIBUTES");
  add("-a,--annotation", annotations, "What signatures must carry (repeatable)", "KEY=VALUE");
  add("--attestation", attestations,
      "An attestation that must be there: its type, and fields as in 'slsaprovenance1,"
      "/runDetails/builder/id=URL' (repeatable)",
      "TYPE[,FIELD…]");
  add("--match", match,
      "How far a signature's own name of the image must agree: ignore, exact, "
      "repo-digest-or-exact, repository",
      "HOW")
      ->check(CLI::IsMember({"ignore", "exact", "repo-digest-or-exact", "repository"}));
  add("--ignore-format", ignored_formats,
      "Do not look at: bundle, simple-signing, envelope, notation-jws, notation-cose", "FORMAT");
}

sign::Policy TrustOptions::policy(std::int64_t now) const {
  sign::Policy policy{.keys = read_public_keys(keys),
                      .threshold = threshold,
                      .image = {.media_type = {}, .digest = oci::Digest::of("")},
                      .annotations = parse_annotations(annotations, "--annotation"),
                      .time = std::chrono::sys_seconds(std::chrono::seconds(now))};
  for (const auto& name : identities) {
    policy.identities.push_back({.name = name, .issuer = issuer});
  }
  for (const auto& pattern : identity_patterns) {
    policy.identities.push_back({.name = pattern, .issuer = issuer, .is_pattern = true});
  }
  if (!trusted_root.empty()) {
    policy.trusted_root = read_trusted_root(trusted_root);
  }
  for (const auto& file : notation_certificates) {
    for (auto& certificate : sign::read_certificates(file)) {
      policy.notation.certificates.push_back(std::move(certificate));
    }
  }
  if (!notation_subjects.empty()) {
    policy.notation.subjects = notation_subjects;
  }
  for (const auto& rule : attestations) {
    policy.attestations.push_back(parse_attestation_rule(rule));
  }
  for (const auto& [name, value] : matches) {
    if (match == name) {
      policy.reference_match = value;
    }
  }
  for (const auto& word : ignored_formats) {
    const auto* const found = std::ranges::find(
        formats, word, [](sign::Format format) { return sign::to_string(format); });
    if (found == formats.end()) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot ignore the form {}: there is no such one", quoted(word)));
    }
    policy.ignored_formats.insert(*found);
  }
  if (!issuer.empty() && policy.identities.empty()) {
    throw Error(ErrorCode::invalid_input,
                "cannot use --certificate-oidc-issuer: no identity is asked for")
        .with_hint("add --certificate-identity");
  }
  if (!policy.identities.empty() && trusted_root.empty()) {
    throw Error(ErrorCode::invalid_input,
                "cannot use --certificate-identity: no authority is trusted")
        .with_hint("name the authority with --trusted-root");
  }
  if (policy.keys.empty() && policy.identities.empty() && policy.notation.certificates.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot verify: nobody is trusted")
        .with_hint("name a public key with --key, or an authority with --trusted-root and "
                   "--certificate-identity");
  }
  return policy;
}

std::vector<sign::PublicKey> read_public_keys(const std::vector<std::string>& files) {
  std::vector<sign::PublicKey> keys;
  for (const auto& file : files) {
    keys.push_back(sign::PublicKey::read(file));
  }
  return keys;
}

} // namespace aipack::cli
