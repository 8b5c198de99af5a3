#pragma once

#include "aipack/sign/verify.hpp"
#include "aipack/trust/signing.hpp"

#include <string>
#include <string_view>

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

/// Whether a candidate is a bundle that says nothing but "mine", whoever made it.
[[nodiscard]] bool is_signature_bundle(const sign::Candidate& candidate);

/// Whether a candidate is a bundle with this very payload by this signatory: as well proved as it
/// would be proved now.
[[nodiscard]] bool says(const sign::Candidate& candidate, std::string_view payload,
                        const sign::Signatory& signatory);

/// The same whenever and by whomever it is made.
[[nodiscard]] transfer::MemoryArtifact document_artifact(const Document& document,
                                                         std::chrono::sys_seconds created);

[[nodiscard]] transfer::MemoryArtifact to_memory(const sign::Artifact& artifact);

} // namespace aipack::trust
