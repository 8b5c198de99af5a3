#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/document.hpp"
#include "aipack/oci/reference.hpp"
#include "aipack/sign/certificate.hpp"
#include "aipack/sign/key.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

/// How a signature or attestation is written.
enum class Format {
  bundle,         ///< Sigstore bundle 0.3, a referrer
  simple_signing, ///< a layer at the tag "sha256-….sig"
  envelope,       ///< DSSE, a layer at the tag "sha256-….att"
  notation_jws,   ///< Notary Project, a referrer
  notation_cose,
};
/// "bundle", "simple-signing", "envelope", "notation-jws", "notation-cose".
[[nodiscard]] AIPACK_API std::string_view to_string(Format format) noexcept;

/// Something that claims to be a signature or an attestation: nothing in it is believed yet.
struct Candidate {
  Format format = Format::bundle;
  oci::Digest manifest;           ///< where it was found
  std::string content;            ///< bundle, payload or envelope
  oci::Annotations annotations{}; ///< of its layer; for notation of the manifest
  std::string refusal{};          ///< why it cannot be judged at all; empty: it can
};

/// Fetches a blob of the manifest's repository.
using FetchBlob = std::function<std::string(const oci::Descriptor&)>;

/// What a referrer, or the manifest at a signature or attestation tag, offers; empty for other
/// artifacts. The manifest's own layers decide, not what a listing called it. What cannot be
/// fetched or is damaged comes as a candidate with its refusal.
[[nodiscard]] AIPACK_API std::vector<Candidate>
read_candidates(const oci::Sealed<oci::Manifest>& manifest, const FetchBlob& fetch);

/// How far a simple signature's reference must agree with the one asked for. The names are those of
/// containers-policy.json(5).
enum class ReferenceMatch {
  ignore,                     ///< as cosign
  match_exact,                ///< the same tag or digest
  match_repo_digest_or_exact, ///< the same tag; the same repository when asked for by digest
  match_repository,
};

/// A field of a predicate: RFC 6901 pointer, and what it must be.
struct FieldRule {
  std::string pointer;                ///< "/runDetails/builder/id"
  std::optional<std::string> value{}; ///< a text, or compact JSON; empty: anything but null
};

/// An attestation that must be there.
struct AttestationRule {
  std::string predicate_type;
  std::vector<FieldRule> fields{};
};

/// Trust in Notary Project signatures: its trust store and trusted identities.
struct NotationTrust {
  std::vector<Certificate> certificates{};
  /// "*", or attributes that the subject must have: "C=US, ST=WA, O=Example".
  std::vector<std::string> subjects{"*"};
};

/// What must hold. Signatures and attestations are trusted when made by one of `keys`, or by a
/// certificate of `trusted_root` that was issued to one of `identities`, or (notation) as
/// `notation` says.
struct Policy {
  std::vector<PublicKey> keys{};
  std::vector<Identity> identities{};
  TrustedRoot trusted_root{};
  NotationTrust notation{};

  /// Different signers: neither the key nor the identity of a certificate may be the same. 0:
  /// attestations alone are asked for.
  unsigned threshold = 1;
  oci::Descriptor image;          ///< what must have been signed
  oci::Annotations annotations{}; ///< that signatures must carry
  std::optional<oci::Reference> reference{};
  ReferenceMatch reference_match = ReferenceMatch::ignore;
  std::vector<AttestationRule> attestations{};
  std::set<Format> ignored_formats{};
  /// For certificates without a trusted time stamp: the present.
  std::chrono::sys_seconds time{};
};

struct SignatureVerdict {
  Format format = Format::bundle;
  oci::Digest digest;   ///< of the manifest
  std::string key{};    ///< fingerprint of the key, or the certificate's identity; empty: unknown
  std::string scheme{}; ///< "ecdsa-sha256"; empty: none matched
  bool verified = false;
  std::string reason{}; ///< a sentence, also when verified
};

struct AttestationVerdict {
  std::string predicate_type; ///< a claim until verified
  Format format = Format::bundle;
  oci::Digest digest;
  std::string key{};
  std::string scheme{};
  bool verified = false;
  std::string reason{};
};

struct Verdict {
  bool verified = false;
  std::string reason; ///< what is missing, or how many signers agree
  std::vector<SignatureVerdict> signatures;
  std::vector<AttestationVerdict> attestations;
};

/// Judges each candidate by itself, so that a broken or foreign one changes nothing for the others,
/// then the whole. A function of its arguments alone. Statements of cosign's signature type are
/// signatures, all others attestations: one never stands for the other. Throws Error{invalid_input}
/// for a policy that asks for nothing or trusts nobody.
[[nodiscard]] AIPACK_API Verdict verify(const Policy& policy,
                                        const std::vector<Candidate>& candidates);

} // namespace aipack::sign
