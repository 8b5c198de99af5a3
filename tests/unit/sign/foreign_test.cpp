// What cosign 2.5 and 3.1 and notation 1.3 wrote; tests/data/sign/README.md says how.
#include "aipack/core/error.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/verify.hpp"

#include "../../support/catch.hpp"
#include "test_keys.hpp"

#include <string>
#include <vector>

using namespace aipack;
using namespace aipack::sign;

namespace {

using testing::sign_data;

oci::Descriptor image() {
  return oci::parse_manifest(sign_data("image.manifest"), "image").descriptor();
}

std::vector<Candidate> candidates_of(const std::string& name) {
  return read_candidates(oci::parse_manifest(sign_data(name + ".manifest"), name),
                         [&](const oci::Descriptor&) { return sign_data(name + ".blob"); });
}

/// While notation's test certificate was valid.
constexpr std::chrono::sys_seconds signed_at{
    std::chrono::sys_days{std::chrono::year{2026} / std::chrono::November / 21} +
    std::chrono::hours(13)};

Policy policy_for(const std::string& key) {
  return {.keys = {PublicKey::parse(sign_data(key), key)}, .image = image(), .time = signed_at};
}

} // namespace

TEST_CASE("what cosign signs verifies", "[sign][foreign]") {
  struct Row {
    const char* name;
    const char* key;
    Format format;
    const char* scheme;
    bool has_annotation;
  };
  const auto row = GENERATE(
      Row{"cosign2-signature", "cosign2.pub", Format::simple_signing, "ecdsa-sha256", true},
      Row{"cosign3-bundle", "cosign3.pub", Format::bundle, "ecdsa-sha256", true},
      // cosign 3.1 cannot verify these two itself.
      Row{"cosign3-ed25519", "cosign3-ed25519.pub", Format::bundle, "ed25519ph", false},
      Row{"cosign3-p384", "cosign3-p384.pub", Format::bundle, "ecdsa-sha384", false});
  CAPTURE(row.name);
  Policy policy = policy_for(row.key);
  if (row.has_annotation) {
    policy.annotations = {{"stage", "release"}};
  }
  const Verdict verdict = verify(policy, candidates_of(row.name));
  REQUIRE(verdict.signatures.size() == 1);
  CAPTURE(verdict.signatures[0].reason);
  CHECK(verdict.verified);
  CHECK(verdict.signatures[0].format == row.format);
  CHECK(verdict.signatures[0].scheme == row.scheme);
  CHECK_FALSE(verify(policy_for("cosign3.pub").keys == policy.keys ? policy_for("cosign2.pub")
                                                                   : policy_for("cosign3.pub"),
                     candidates_of(row.name))
                  .verified);
}

TEST_CASE("what cosign attests verifies", "[sign][foreign]") {
  Policy policy = policy_for("cosign2.pub");
  policy.threshold = 0;
  policy.attestations = {
      {.predicate_type = "https://slsa.dev/provenance/v1",
       .fields = {{.pointer = "/runDetails/builder/id", .value = "https://example.org/b"}}}};
  const Verdict verdict = verify(policy, candidates_of("cosign2-attestation"));
  REQUIRE(verdict.attestations.size() == 1);
  CAPTURE(verdict.attestations[0].reason);
  CHECK(verdict.verified);
}

TEST_CASE("aipack writes the manifest that cosign writes", "[sign][foreign]") {
  const auto theirs = oci::parse_manifest(sign_data("cosign3-bundle.manifest"), "theirs");
  const Artifact ours = make_bundle_referrer(image(), sign_data("cosign3-bundle.blob"), signed_at);
  auto expected = theirs.value();
  expected.annotations["org.opencontainers.image.created"] = "2026-11-21T13:00:00Z";
  CHECK(ours.manifest.value() == expected);
}

TEST_CASE("aipack writes the payload that cosign writes", "[sign][foreign]") {
  const std::string theirs = sign_data("cosign2-signature.blob");
  const auto payload = SimplePayload::parse(theirs, "payload");
  CHECK(payload.reference == "127.0.0.1:5719/t/m");
  CHECK(payload.image == image().digest);
  CHECK(payload.to_json() == theirs);
}

TEST_CASE("what notation signs verifies", "[sign][foreign]") {
  const std::string name = GENERATE("notation-jws", "notation-cose");
  Policy policy{.notation = {.certificates = parse_certificates(sign_data("notation.crt"), "crt")},
                .image = image(),
                .annotations = {{"stage", "release"}},
                .time = signed_at};
  const Verdict verdict = verify(policy, candidates_of(name));
  REQUIRE(verdict.signatures.size() == 1);
  CAPTURE(verdict.signatures[0].reason);
  CHECK(verdict.verified);
  CHECK(verdict.signatures[0].key == "CN=example,O=Notary,L=Seattle,ST=WA,C=US");

  const auto reason_of = [&](const Policy& changed) {
    const Verdict refused = verify(changed, candidates_of(name));
    CHECK_FALSE(refused.verified);
    return refused.signatures[0].reason;
  };
  policy.notation.subjects = {"C=US, ST=WA, O=Notary"};
  CHECK(verify(policy, candidates_of(name)).verified);
  policy.notation.subjects = {"C=US, ST=WA, O=Other"};
  CHECK_THAT(reason_of(policy), ContainsSubstring("which is no trusted identity"));
  policy.notation.subjects = {"*"};
  policy.image.size_bytes += 1;
  CHECK_THAT(reason_of(policy), ContainsSubstring("another media type or size"));
  policy.image = image();
  policy.image.digest = oci::Digest::of("other");
  CHECK_THAT(reason_of(policy), ContainsSubstring("another image"));
  policy.image = image();
  policy.time = signed_at + std::chrono::hours(24 * 3650);
  CHECK_THAT(reason_of(policy), ContainsSubstring("certificate has expired"));
  policy = policy_for("cosign2.pub");
  CHECK_THAT(reason_of(policy), ContainsSubstring("no certificate is trusted for these"));
}

TEST_CASE("every changed byte of a notation signature is noticed", "[sign][foreign]") {
  const std::string name = GENERATE("notation-jws", "notation-cose");
  const Policy policy{
      .notation = {.certificates = parse_certificates(sign_data("notation.crt"), "crt")},
      .image = image(),
      .time = signed_at};
  const auto good = candidates_of(name).at(0);
  // What is not signed: notation's name for itself.
  const std::size_t agent = good.content.find("notation-go");
  REQUIRE(agent != std::string::npos);
  for (std::size_t at = 0; at < good.content.size(); at += 7) {
    Candidate changed = good;
    changed.content[at] = static_cast<char>(changed.content[at] ^ 1);
    const bool is_unsigned = at + 60 > agent && at < agent + 60;
    CAPTURE(name, at);
    if (!is_unsigned) {
      CHECK_FALSE(verify(policy, {changed}).verified);
    } else {
      CHECK_NOTHROW(verify(policy, {changed}));
    }
  }
}
