#pragma once

#include "aipack/core/error.hpp"
#include "aipack/sign/bundle.hpp"
#include "aipack/sign/envelope.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/verify.hpp"

#include "../../support/catch.hpp"
#include "certificates.hpp"
#include "encoding.hpp"
#include "failure.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

/// Candidates, good and bad, and the policies that judge them.
namespace aipack::testing {

using namespace aipack::sign;

inline const oci::Descriptor image{.media_type = std::string(oci::media_type::manifest),
                                   .digest = oci::Digest::of("the image"),
                                   .size_bytes = 9};
inline const oci::Descriptor other_image{.media_type = std::string(oci::media_type::manifest),
                                         .digest = oci::Digest::of("another image"),
                                         .size_bytes = 13};

/// Made once: keys cost milliseconds.
struct World {
  PrivateKey key = PrivateKey::generate();
  PrivateKey stranger = PrivateKey::generate();
  Issued root = make_authority();
  Issued other_root = make_authority("Other Root");
  PrivateKey leaf_key = PrivateKey::generate();
  Issued leaf = issue({.issuer_v2 = "https://issuer.example"});

  [[nodiscard]] Issued issue(const CertificateSpec& spec) const {
    return Issued(spec, openssl_key(leaf_key), &root);
  }
};
inline World& world() {
  static World made;
  return made;
}

inline Policy key_policy() {
  return {.keys = {world().key.public_key()}, .image = image, .time = now};
}

inline Policy certificate_policy() {
  return {.identities = {{.name = "release@example.org", .issuer = "https://issuer.example"}},
          .trusted_root = {.certificate_authorities = {{.chain = {world().root.certificate()}}}},
          .image = image,
          .time = now};
}

inline Candidate bundle_of(std::string json) {
  return {.format = Format::bundle, .manifest = oci::Digest::of(json), .content = std::move(json)};
}

inline Candidate bundle_by(const Signer& signer, const oci::Descriptor& signed_image = image,
                           const oci::Annotations& annotations = {}) {
  return bundle_of(sign_image(signed_image.digest, annotations, {.signer = signer}));
}

inline Candidate certified(const Issued& leaf, const TimestampAuthority& timestamp = {}) {
  return bundle_of(sign_image(
      image.digest, {},
      {.signer = world().leaf_key, .certificates = {leaf.certificate()}, .timestamp = timestamp}));
}

inline Candidate attestation_by(const Signer& signer, const std::string& type,
                                const std::string& predicate = "{}") {
  return bundle_of(sign_statement(
      {.subjects = {Subject::of(image.digest)}, .predicate_type = type, .predicate = predicate},
      {.signer = signer}));
}

inline Candidate bundle_around(const std::string& payload, const Signer& signer = world().key) {
  return bundle_of(write(Bundle{.material = KeyHint{}, .content = sign_envelope(payload, signer)}));
}

/// Every signature layer of the tag as a candidate.
inline std::vector<Candidate> simple_by(const Signer& signer,
                                        const std::vector<std::string>& references,
                                        const oci::Descriptor& signed_image = image,
                                        const oci::Annotations& annotations = {}) {
  const Artifact artifact =
      sign_simple(signed_image.digest, references, annotations, {.signer = signer}, nullptr);
  return read_candidates(artifact.manifest, [&](const oci::Descriptor& wanted) {
    for (const auto& blob : artifact.blobs) {
      if (blob.descriptor.digest == wanted.digest) {
        return blob.bytes;
      }
    }
    throw Error(ErrorCode::not_found, "cannot find a blob: it is not there");
  });
}

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

inline Candidate edited(Candidate candidate, const std::string& from, const std::string& to) {
  candidate.content = replaced(candidate.content, from, to);
  return candidate;
}

/// The candidate with its payload decoded, edited and encoded again; the signature stays.
inline Candidate with_payload(Candidate candidate, const std::string& from, const std::string& to) {
  const std::string head = "\"payload\":\"";
  const std::size_t begin = candidate.content.find(head) + head.size();
  const std::size_t end = candidate.content.find('"', begin);
  const std::string payload = *try_base64(candidate.content.substr(begin, end - begin));
  candidate.content.replace(begin, end - begin, base64(replaced(payload, from, to)));
  return candidate;
}

inline SignatureVerdict single(const Policy& policy, const Candidate& candidate) {
  const Verdict verdict = verify(policy, {candidate});
  REQUIRE(verdict.signatures.size() == 1);
  CHECK(verdict.verified == verdict.signatures[0].verified);
  return verdict.signatures[0];
}

} // namespace aipack::testing
