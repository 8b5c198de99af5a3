#pragma once

#include "aipack/oci/descriptor.hpp"
#include "aipack/sign/certificate.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

/// Signatures of the Notary Project. Source: notaryproject/specifications, specs/
/// signature-specification.md, signature-envelope-jws.md and signature-envelope-cose.md.
namespace aipack::sign {

inline constexpr std::string_view notation_artifact_type = "application/vnd.cncf.notary.signature";
inline constexpr std::string_view notation_payload_type =
    "application/vnd.cncf.notary.payload.v1+json";
inline constexpr std::string_view notation_jws_media_type = "application/jose+json";
inline constexpr std::string_view notation_cose_media_type = "application/cose";
inline constexpr std::string_view notation_thumbprint_annotation =
    "io.cncf.notary.x509chain.thumbprint#S256";
inline constexpr std::string_view notation_scheme = "notary.x509";
inline constexpr std::uint64_t max_notation_bytes = std::uint64_t{4} << 20;

/// Either envelope, taken apart: what was signed, by what, and what it claims. Nothing is verified
/// but its form.
struct NotationEnvelope {
  std::string algorithm;                 ///< JOSE's name, "ES256"
  std::string signed_bytes;              ///< over which the signature is
  std::string signature;                 ///< ECDSA as r and s, fixed length
  std::string payload;                   ///< JSON
  CertificateChain chain;                ///< leaf first
  std::chrono::sys_seconds signing_time; ///< as the signer claims it
  std::optional<std::chrono::sys_seconds> expiry{};
  std::string timestamp{}; ///< a token of RFC 3161 over the signature
};

[[nodiscard]] NotationEnvelope parse_notation_jws(std::string_view json, std::string_view name);
[[nodiscard]] NotationEnvelope parse_notation_cose(std::string_view cbor, std::string_view name);

/// What the payload names.
struct NotationTarget {
  oci::Descriptor descriptor; ///< media type, digest, size
  oci::Annotations metadata;
};
[[nodiscard]] NotationTarget parse_notation_payload(std::string_view json, std::string_view name);

/// JOSE's algorithm for a key, the only one that the project allows it. Throws Error{unsupported}.
[[nodiscard]] std::string_view notation_algorithm(const PublicKey& key);
[[nodiscard]] Scheme notation_scheme_of(const PublicKey& key);
/// DER to r and s of the curve's length, and back; empty when it is neither.
[[nodiscard]] std::optional<std::string> ecdsa_to_raw(std::string_view der, KeyType type);
[[nodiscard]] std::optional<std::string> ecdsa_to_der(std::string_view raw, KeyType type);

/// The value of the thumbprint annotation: a JSON list of hexadecimal SHA-256 fingerprints.
[[nodiscard]] std::string notation_thumbprints(const CertificateChain& chain);
/// Throws Error{corrupt} unless the chain is whole, in order, and its leaf meets the project's
/// rules.
void check_notation_chain(const CertificateChain& chain);

} // namespace aipack::sign
