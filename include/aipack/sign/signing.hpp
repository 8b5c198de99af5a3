#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/sign/artifact.hpp"
#include "aipack/sign/certificate.hpp"
#include "aipack/sign/key.hpp"
#include "aipack/sign/statement.hpp"
#include "aipack/sign/timestamp.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

/// Sends a request to a time-stamping authority and returns its answer's body: the network is the
/// caller's.
using TimestampAuthority = std::function<std::string(const TimestampRequest&)>;

/// Who signs, and how it is proved beyond the key.
struct Signatory {
  const Signer& signer;
  /// Of the signer's key, leaf first; empty: verifiers know the key itself.
  CertificateChain certificates{};
  TimestampAuthority timestamp{}; ///< asked once per signature; empty: no time stamp
};

/// A statement as a bundle of version 0.3, in JSON. Throws Error{invalid_input} when the first
/// certificate is not one of the signer's key.
[[nodiscard]] AIPACK_API std::string sign_statement(const Statement& statement,
                                                    const Signatory& signatory);

/// The same of a statement that is written already (write(), statement.hpp).
[[nodiscard]] AIPACK_API std::string sign_payload(std::string statement,
                                                  const Signatory& signatory);

/// What cosign 3 writes for `sign`: a statement that holds nothing but the image's digest and
/// `annotations`.
[[nodiscard]] AIPACK_API std::string sign_image(const oci::Digest& image,
                                                const oci::Annotations& annotations,
                                                const Signatory& signatory);

// --- The signature tag of cosign 1 and 2, which podman, CRI-O and skopeo read ---

inline constexpr std::size_t max_simple_signatures = 1000; ///< in one manifest; cosign's limit
inline constexpr std::uint64_t max_simple_payload_bytes = std::uint64_t{64} << 10;
inline constexpr std::string_view simple_signing_media_type =
    "application/vnd.dev.cosign.simplesigning.v1+json";

/// What such a signature says.
struct AIPACK_API SimplePayload {
  std::string reference; ///< "r.example/team/model" or "r.example/team/model:1"
  oci::Digest image;
  oci::Annotations annotations{};
  bool operator==(const SimplePayload&) const = default;

  [[nodiscard]] std::string to_json() const; ///< exactly as cosign writes it
  /// Strict as podman is. Throws FormatError{corrupt}.
  [[nodiscard]] static SimplePayload parse(std::string_view json, std::string_view name);
};

/// "sha256-<hex>.sig", in the repository of the image.
[[nodiscard]] AIPACK_API std::string signature_tag(const oci::Digest& image);

/// The manifest at the signature tag: those of `existing` (null: none yet) and one signature per
/// reference that `signatory` has not signed there yet. Two references, the repository and
/// repository:tag, satisfy cosign and podman's default policy at once. Throws Error{unsupported}
/// when the tag holds something else.
[[nodiscard]] AIPACK_API Artifact sign_simple(const oci::Digest& image,
                                              const std::vector<std::string>& references,
                                              const oci::Annotations& annotations,
                                              const Signatory& signatory,
                                              const oci::Sealed<oci::Manifest>* existing);

// --- Notary Project ---

/// A JWS of the Notary Project over the image's descriptor. Throws Error{invalid_input} when the
/// certificates do not follow the project's rules or are not those of the key.
[[nodiscard]] AIPACK_API std::string sign_notation(const oci::Descriptor& image,
                                                   const oci::Annotations& metadata,
                                                   const Signatory& signatory,
                                                   std::chrono::sys_seconds time);
/// The same as a referrer.
[[nodiscard]] AIPACK_API Artifact make_notation_referrer(const oci::Descriptor& image,
                                                         std::string jws,
                                                         std::chrono::sys_seconds created);

} // namespace aipack::sign
