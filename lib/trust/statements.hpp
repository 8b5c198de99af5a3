#pragma once

#include "aipack/sign/bundle.hpp"
#include "aipack/sign/verify.hpp"
#include "aipack/trust/signing.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::trust {

/// What signing an image says, byte for byte.
[[nodiscard]] std::string signature_payload(const oci::Descriptor& image,
                                            const oci::Annotations& annotations);
/// Throws Error{invalid_input} when it is about nothing.
[[nodiscard]] sign::Statement statement_of(const Attestation& attestation);

/// What a bundle signs; empty when it is no bundle with a statement.
[[nodiscard]] std::string payload_of(std::string_view bundle_json);
/// The same of a bundle or an envelope.
[[nodiscard]] std::string payload_of(const sign::Candidate& candidate);

/// What is to be said beside images, byte for byte: made once for all who write, compare and prove.
struct Payloads {
  /// Throws as statement_of() and sign::write().
  explicit Payloads(const Annotating& what);
  std::vector<std::string> attestations; ///< in the order of `what`
  std::vector<std::string> bundles;      ///< likewise
};

/// The statements in the bundles beside an image, each bundle read once.
class Statements {
public:
  /// What does not parse says nothing.
  explicit Statements(const std::vector<sign::Candidate>& candidates);

  /// One has this very payload, and is by this signatory: as well proved as it would be now.
  [[nodiscard]] bool has(std::string_view payload, const sign::Signatory& signatory) const;
  /// One says nothing but "mine", whoever made it.
  [[nodiscard]] bool has_signature() const;

private:
  struct Said {
    sign::Bundle bundle; ///< holds an envelope
    [[nodiscard]] const sign::Envelope& envelope() const;
  };
  std::vector<Said> said_;
};

/// The same whenever and by whomever it is made.
[[nodiscard]] transfer::MemoryArtifact document_artifact(const Document& document,
                                                         std::chrono::sys_seconds created);

[[nodiscard]] transfer::MemoryArtifact to_memory(const sign::Artifact& artifact);

} // namespace aipack::trust
