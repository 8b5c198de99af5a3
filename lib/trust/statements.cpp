#include "statements.hpp"

#include "aipack/blob/blob.hpp"
#include "aipack/core/error.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace aipack::trust {
namespace {

/// Empty for what does not parse: then it says nothing.
std::optional<sign::Bundle> try_bundle(std::string_view json) {
  try {
    return sign::parse_bundle(json, "bundle", sign::BundleRules::model_signing);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// With a certificate or a time stamp where those are wanted.
bool is_proved_alike(const sign::Bundle& bundle, const sign::Signatory& signatory) {
  if (signatory.timestamp && bundle.timestamps.empty()) {
    return false;
  }
  if (signatory.certificates.empty()) {
    return true;
  }
  const auto* const chain = std::get_if<sign::CertificateChain>(&bundle.material);
  return chain != nullptr && !chain->empty() && chain->front() == signatory.certificates.front();
}

} // namespace

std::string signature_payload(const oci::Descriptor& image, const oci::Annotations& annotations) {
  return sign::write(
      sign::Statement{.subjects = {sign::Subject::of(image.digest, annotations)},
                      .predicate_type = std::string(sign::predicate_type::signature)});
}

sign::Statement statement_of(const Attestation& attestation) {
  if (attestation.images.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot make a statement about no image");
  }
  sign::Statement statement{.subjects = {},
                            .predicate_type = attestation.predicate_type,
                            .predicate = attestation.predicate};
  for (const auto& image : attestation.images) {
    statement.subjects.push_back(sign::Subject::of(image.digest));
  }
  return statement;
}

std::string payload_of(std::string_view bundle_json) {
  const auto bundle = try_bundle(bundle_json);
  const auto* const envelope = bundle ? std::get_if<sign::Envelope>(&bundle->content) : nullptr;
  return envelope != nullptr ? envelope->payload : std::string();
}

std::string payload_of(const sign::Candidate& candidate) {
  return candidate.format == sign::Format::envelope
             ? sign::parse_envelope(candidate.content, "envelope").payload
             : payload_of(std::string_view(candidate.content));
}

Payloads::Payloads(const Annotating& what) {
  std::ranges::transform(
      what.attestations, std::back_inserter(attestations),
      [](const Attestation& attestation) { return sign::write(statement_of(attestation)); });
  std::ranges::transform(what.bundles, std::back_inserter(bundles),
                         [](const std::string& bundle) { return payload_of(bundle); });
}

const sign::Envelope& Statements::Said::envelope() const {
  return std::get<sign::Envelope>(bundle.content);
}

Statements::Statements(const std::vector<sign::Candidate>& candidates) {
  for (const auto& candidate : candidates) {
    if (candidate.format != sign::Format::bundle || !candidate.refusal.empty()) {
      continue;
    }
    auto bundle = try_bundle(candidate.content);
    const auto* const envelope = bundle ? std::get_if<sign::Envelope>(&bundle->content) : nullptr;
    if (envelope != nullptr && envelope->payload_type == sign::statement_payload_type) {
      said_.push_back({*std::move(bundle)});
    }
  }
}

bool Statements::has(std::string_view payload, const sign::Signatory& signatory) const {
  const auto key = signatory.signer.public_key();
  return std::ranges::any_of(said_, [&](const Said& said) {
    const auto& envelope = said.envelope();
    return envelope.payload == payload && is_proved_alike(said.bundle, signatory) &&
           key.verify_any(sign::pre_authentication_encoding(envelope.payload_type, payload),
                          envelope.signatures.front().signature, sign::accepted_schemes(key.type()))
               .has_value();
  });
}

bool Statements::has_signature() const {
  return std::ranges::any_of(said_, [](const Said& said) {
    try {
      return sign::parse_statement(said.envelope().payload, "statement").predicate_type ==
             sign::predicate_type::signature;
    } catch (const Error&) {
      return false; // no statement
    }
  });
}

transfer::MemoryArtifact document_artifact(const Document& document,
                                           std::chrono::sys_seconds created) {
  return to_memory(sign::make_referrer(document.image, document.media_type, document.media_type,
                                       document.content, {}, created));
}

transfer::MemoryArtifact to_memory(const sign::Artifact& artifact) {
  transfer::MemoryArtifact result{
      .document = {artifact.manifest.descriptor(), artifact.manifest.bytes()}, .tag = artifact.tag};
  for (const auto& blob : artifact.blobs) {
    result.blobs.push_back(blob::memory_blob(blob.descriptor, blob.bytes));
  }
  return result;
}

} // namespace aipack::trust
