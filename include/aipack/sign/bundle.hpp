#pragma once

#include "aipack/core/export.hpp"
#include "aipack/sign/certificate.hpp"
#include "aipack/sign/envelope.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace aipack::sign {

inline constexpr std::uint64_t max_bundle_bytes = max_envelope_bytes / 3 * 4;
inline constexpr std::string_view bundle_media_type =
    "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The older spelling of the same version.
inline constexpr std::string_view bundle_media_type_alternative =
    "application/vnd.dev.sigstore.bundle+json;version=0.3";

/// Names the key that signed; may be empty. A claim: verifiers try the keys they trust.
struct KeyHint {
  std::string hint;
  bool operator==(const KeyHint&) const = default;
};

/// A signature over bytes that stand elsewhere.
struct MessageSignature {
  std::string algorithm{}; ///< "SHA2_256"
  std::string digest{};    ///< raw; a claim
  std::string signature;   ///< raw
  bool operator==(const MessageSignature&) const = default;
};

/// A Sigstore bundle of version 0.3. Source: sigstore protobuf-specs 0.5, sigstore_bundle.proto.
/// Entries of transparency logs are checked for their form and counted; they prove nothing here.
struct Bundle {
  std::variant<KeyHint, CertificateChain> material; ///< one certificate, or OMS' whole chain
  std::variant<Envelope, MessageSignature> content;
  std::vector<std::string> timestamps{}; ///< RFC 3161 responses, DER
  std::size_t log_entries = 0;           ///< read only
};

/// Which bundles are accepted.
enum class BundleRules {
  sigstore,      ///< as cosign 3: one leaf certificate, one signature, no key id
  model_signing, ///< OMS also writes chains
};

/// The protobuf JSON mapping, compact. Throws Error{invalid_input} for a chain of none.
[[nodiscard]] AIPACK_API std::string write(const Bundle& bundle);
/// Throws FormatError{corrupt} or Error{unsupported} with what is wrong; unknown fields are refused
/// as the mapping demands.
[[nodiscard]] AIPACK_API Bundle parse_bundle(std::string_view json, std::string_view name,
                                             BundleRules rules = BundleRules::sigstore);

} // namespace aipack::sign
