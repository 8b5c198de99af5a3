// Judges candidates: parse, who signed, purpose, digest, reference, annotations, in that order, so
// that the first thing that is wrong is the reason.
#include "aipack/sign/verify.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/overloaded.hpp"
#include "aipack/core/text.hpp"
#include "aipack/sign/bundle.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/timestamp.hpp"

#include "certificate_impl.hpp"
#include "claims.hpp"
#include "encoding.hpp"
#include "json.hpp"
#include "notation.hpp"
#include "signing_impl.hpp"
#include "time_text.hpp"
#include "trust.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace aipack::sign {
namespace {

/// A judged candidate: filled in as far as it was understood before something was wrong.
struct Judgement {
  std::string predicate_type{}; ///< empty: a signature
  std::string predicate{};
  std::string key{};
  std::string fingerprint{}; ///< of the key that verified, whatever `key` calls it
  std::string scheme{};
  bool verified = false;
  std::string reason{};
};

/// Counts different signers. One key is one signer however it is shown: by its fingerprint, by what
/// a certificate of it says, by the subject of another. One identity is one signer as well: a
/// keyless authority gives it another key for each signature.
class Signers {
public:
  void add(const Judgement& judgement) {
    std::set<std::string> signer{judgement.key, judgement.fingerprint};
    std::erase_if(signers_, [&](const std::set<std::string>& known) {
      const bool is_same = std::any_of(known.begin(), known.end(), [&](const std::string& name) {
        return name == judgement.key || name == judgement.fingerprint;
      });
      if (is_same) {
        signer.insert(known.begin(), known.end());
      }
      return is_same;
    });
    signers_.push_back(std::move(signer));
  }
  [[nodiscard]] std::size_t count() const noexcept { return signers_.size(); }

private:
  std::vector<std::set<std::string>> signers_; ///< what each of them is known by
};

class Judge {
public:
  explicit Judge(const Policy& policy)
      : policy_(policy), trust_{policy.keys, policy.identities, policy.trusted_root, policy.time} {}

  [[nodiscard]] Judgement judge(const Candidate& candidate) const {
    Judgement judgement;
    try {
      if (!candidate.refusal.empty()) {
        throw Error(ErrorCode::corrupt, candidate.refusal);
      }
      if (policy_.ignored_formats.contains(candidate.format)) {
        distrust("its format is ignored");
      }
      dispatch(candidate, judgement);
      judgement.verified = true;
      judgement.reason = fmt::format("signed by {} ({})", judgement.key, judgement.scheme);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::internal || error.code() == ErrorCode::invalid_input) {
        throw; // a bug, or a pattern of the policy's own
      }
      judgement.reason = error.message();
    }
    return judgement;
  }

private:
  void dispatch(const Candidate& candidate, Judgement& judgement) const {
    switch (candidate.format) {
    case Format::bundle:
      return judge_bundle(candidate, judgement);
    case Format::simple_signing:
      return judge_simple(candidate, judgement);
    case Format::envelope:
      return judge_envelope(candidate, judgement);
    case Format::notation_jws:
      return judge_notation(candidate, parse_notation_jws(candidate.content, "signature"),
                            judgement);
    case Format::notation_cose:
      return judge_notation(candidate, parse_notation_cose(candidate.content, "signature"),
                            judgement);
    }
  }

  void judge_bundle(const Candidate& candidate, Judgement& judgement) const {
    const Bundle bundle = parse_bundle(candidate.content, "bundle");
    const auto* const envelope = std::get_if<Envelope>(&bundle.content);
    if (envelope == nullptr) {
      distrust("the bundle signs bytes of its own, not a statement on the image");
    }
    const Statement statement = read_statement(*envelope, judgement);
    const std::string message =
        pre_authentication_encoding(envelope->payload_type, envelope->payload);
    const std::string& signature = envelope->signatures.front().signature;
    remember(std::visit(overloaded{[&](const KeyHint&) {
                                     return check_key_signature(trust_, message, signature);
                                   },
                                   [&](const CertificateChain& chain) {
                                     return check_certificate_signature(trust_, message, signature,
                                                                        chain, bundle.timestamps);
                                   }},
                        bundle.material),
             judgement);
    check_statement(statement, "bundle", judgement);
  }

  /// The attestations of cosign 2: an envelope alone. A signature never looks like that.
  void judge_envelope(const Candidate& candidate, Judgement& judgement) const {
    const Envelope envelope = parse_envelope(candidate.content, "envelope");
    const Statement statement = read_statement(envelope, judgement);
    const std::string message =
        pre_authentication_encoding(envelope.payload_type, envelope.payload);
    remember(find_signer(candidate, message, envelope), judgement);
    check_statement(statement, "envelope", judgement);
  }

  /// The first signature that is trusted; the reason is the last one's.
  [[nodiscard]] SignedBy find_signer(const Candidate& candidate, std::string_view message,
                                     const Envelope& envelope) const {
    for (std::size_t at = 0; at + 1 < envelope.signatures.size(); ++at) {
      try {
        return check_annotated(candidate, message, envelope.signatures[at].signature);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) {
          throw;
        }
      }
    }
    return check_annotated(candidate, message, envelope.signatures.back().signature);
  }

  void judge_simple(const Candidate& candidate, Judgement& judgement) const {
    const auto annotation = candidate.annotations.find(std::string(signature_annotation));
    const auto signature =
        annotation == candidate.annotations.end() ? std::nullopt : try_base64(annotation->second);
    if (!signature) {
      distrust(
          fmt::format("its annotation {} is missing, or no base64", quoted(signature_annotation)));
    }
    // The payload is believed only once it is known who signed it.
    remember(check_annotated(candidate, candidate.content, *signature), judgement);
    const auto payload = SimplePayload::parse(candidate.content, "signature payload");
    check_digest(policy_.image.digest, payload.image);
    check_reference(policy_, payload.reference);
    check_annotations(policy_.annotations, payload.annotations);
  }

  void judge_notation(const Candidate& candidate, const NotationEnvelope& envelope,
                      Judgement& judgement) const {
    if (policy_.notation.certificates.empty()) {
      distrust("it is a notation signature, and no certificate is trusted for these");
    }
    check_notation_chain(envelope.chain);
    const Certificate& leaf = envelope.chain.front();
    const PublicKey key = leaf.public_key();
    if (envelope.algorithm != notation_algorithm(key)) {
      distrust(fmt::format("its algorithm {} is not that of its certificate's key",
                           quoted(envelope.algorithm)));
    }
    const auto der = key.type() == KeyType::rsa ? std::optional(envelope.signature)
                                                : ecdsa_to_der(envelope.signature, key.type());
    const Scheme scheme = notation_scheme_of(key);
    if (!der || !key.verify(envelope.signed_bytes, *der, scheme)) {
      distrust("it is not by its certificate's key, or what it signs was changed");
    }
    const auto thumbprints =
        candidate.annotations.find(std::string(notation_thumbprint_annotation));
    if (thumbprints != candidate.annotations.end()) {
      check_thumbprints(thumbprints->second, envelope.chain);
    }
    check_notation_trust(envelope);
    remember({leaf.subject(), scheme, key.fingerprint()}, judgement);
    const NotationTarget target = parse_notation_payload(envelope.payload, "notation payload");
    check_digest(policy_.image.digest, target.descriptor.digest);
    if (target.descriptor.media_type != policy_.image.media_type ||
        target.descriptor.size_bytes != policy_.image.size_bytes) {
      distrust("it names another media type or size for the image");
    }
    check_no_reference_asked(policy_, "notation signature");
    check_annotations(policy_.annotations, target.metadata);
  }

  /// The spelling of a foreign list may differ; what it lists may not.
  static void check_thumbprints(const std::string& listed, const CertificateChain& chain) {
    std::string lower = listed;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const auto json = nlohmann::json::parse(lower, nullptr, false);
    if (json != nlohmann::json::parse(notation_thumbprints(chain))) {
      distrust("its manifest lists thumbprints of other certificates");
    }
  }

  void check_notation_trust(const NotationEnvelope& envelope) const {
    std::vector<std::string> timestamps;
    if (!envelope.timestamp.empty()) {
      timestamps.push_back(envelope.timestamp);
    }
    const auto time = time_of(trust_, envelope.signature, timestamps);
    if (envelope.expiry && *envelope.expiry < policy_.time) {
      distrust("it expired at " + rfc3339(*envelope.expiry));
    }
    std::vector<Authority> anchors;
    for (const Certificate& certificate : policy_.notation.certificates) {
      anchors.push_back({.chain = {certificate}});
    }
    check_path(envelope.chain, anchors, time);
    const auto& subjects = policy_.notation.subjects;
    const Certificate& leaf = envelope.chain.front();
    const bool is_known =
        std::any_of(subjects.begin(), subjects.end(),
                    [&](const std::string& rule) { return matches_subject(leaf, rule); });
    if (!is_known) {
      distrust(fmt::format("its certificate was issued to {}, which is no trusted identity",
                           quoted(leaf.subject())));
    }
  }

  /// Of the formats that keep a certificate in annotations of the layer.
  SignedBy check_annotated(const Candidate& candidate, std::string_view message,
                           std::string_view signature) const {
    const auto find = [&](std::string_view key) -> const std::string* {
      const auto found = candidate.annotations.find(std::string(key));
      return found == candidate.annotations.end() || found->second.empty() ? nullptr
                                                                           : &found->second;
    };
    const std::string* const certificate = find(certificate_annotation);
    if (certificate == nullptr) {
      return check_key_signature(trust_, message, signature);
    }
    CertificateChain chain = parse_certificates(*certificate, "certificate annotation");
    chain.erase(chain.begin() + 1, chain.end());
    if (const std::string* const issuers = find(chain_annotation)) {
      for (Certificate& issuer : parse_certificates(*issuers, "chain annotation")) {
        chain.push_back(std::move(issuer));
      }
    }
    std::vector<std::string> timestamps;
    if (const std::string* const timestamp = find(timestamp_annotation)) {
      const auto document = parse_json(*timestamp, "time stamp annotation", max_timestamp_bytes);
      timestamps.push_back(
          JsonField(document, "time stamp annotation").get("SignedRFC3161Timestamp").bytes());
    }
    return check_certificate_signature(trust_, message, signature, chain, timestamps);
  }

  static Statement read_statement(const Envelope& envelope, Judgement& judgement) {
    if (envelope.payload_type != statement_payload_type) {
      distrust(fmt::format("its payload is of type {} instead of a statement",
                           quoted(envelope.payload_type)));
    }
    Statement statement = parse_statement(envelope.payload, "statement");
    judgement.predicate = statement.predicate;
    if (statement.predicate_type != predicate_type::signature) {
      judgement.predicate_type = statement.predicate_type;
    }
    return statement;
  }

  void check_statement(const Statement& statement, std::string_view format,
                       const Judgement& judgement) const {
    const Subject& subject = find_subject(statement, policy_.image.digest);
    if (judgement.predicate_type.empty()) {
      check_no_reference_asked(policy_, format);
      check_annotations(policy_.annotations, subject.annotations);
    }
  }

  static void remember(const SignedBy& signed_by, Judgement& judgement) {
    judgement.key = signed_by.key;
    judgement.fingerprint = signed_by.fingerprint.to_string();
    judgement.scheme = to_string(signed_by.scheme);
  }

  const Policy& policy_;
  Trust trust_;
};

/// The first rule for this type that the attestation does not fulfil.
std::string unmet_rule(const Policy& policy, const Judgement& judgement) {
  for (const AttestationRule& rule : policy.attestations) {
    if (rule.predicate_type != judgement.predicate_type) {
      continue;
    }
    if (std::string cause = unmet_field(rule, judgement.predicate); !cause.empty()) {
      return "cannot accept the attestation: " + cause;
    }
  }
  return {};
}

/// Empty when everything that the policy asks for is there.
std::string missing(const Policy& policy, const Verdict& verdict, std::size_t signers) {
  if (signers < policy.threshold) {
    if (verdict.signatures.empty()) {
      return "there is no signature";
    }
    return policy.threshold == 1
               ? "none of the signatures is trusted"
               : fmt::format("{} of {} trusted signers signed", signers, policy.threshold);
  }
  for (const AttestationRule& rule : policy.attestations) {
    const bool found = std::any_of(verdict.attestations.begin(), verdict.attestations.end(),
                                   [&](const AttestationVerdict& attestation) {
                                     return attestation.verified &&
                                            attestation.predicate_type == rule.predicate_type;
                                   });
    if (!found) {
      return fmt::format("there is no trusted attestation of type {}", quoted(rule.predicate_type));
    }
  }
  return {};
}

} // namespace

Verdict verify(const Policy& policy, const std::vector<Candidate>& candidates) {
  check_policy(policy);
  const Judge judge(policy);
  Verdict verdict;
  Signers signers;
  for (const Candidate& candidate : candidates) {
    Judgement judgement = judge.judge(candidate);
    const bool is_attestation =
        !judgement.predicate_type.empty() || candidate.format == Format::envelope;
    if (is_attestation) {
      if (judgement.verified) {
        if (std::string cause = unmet_rule(policy, judgement); !cause.empty()) {
          judgement.verified = false;
          judgement.reason = std::move(cause);
        }
      }
      verdict.attestations.push_back({.predicate_type = judgement.predicate_type,
                                      .format = candidate.format,
                                      .digest = candidate.manifest,
                                      .key = judgement.key,
                                      .scheme = judgement.scheme,
                                      .verified = judgement.verified,
                                      .reason = judgement.reason});
      continue;
    }
    if (judgement.verified) {
      signers.add(judgement);
    }
    verdict.signatures.push_back({.format = candidate.format,
                                  .digest = candidate.manifest,
                                  .key = judgement.key,
                                  .scheme = judgement.scheme,
                                  .verified = judgement.verified,
                                  .reason = judgement.reason});
  }
  verdict.reason = missing(policy, verdict, signers.count());
  verdict.verified = verdict.reason.empty();
  if (verdict.verified) {
    verdict.reason = fmt::format("signed by {} trusted signer{}", signers.count(),
                                 signers.count() == 1 ? "" : "s");
  }
  return verdict;
}

} // namespace aipack::sign
