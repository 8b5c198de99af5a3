#include "aipack/sign/bundle.hpp"

#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::trust;
using namespace aipack::trust::test;

namespace {

/// An index in memory with artifacts beside it, honest or not.
struct Place {
  MemoryPlace memory;
  oci::Descriptor root{.media_type = {}, .digest = oci::Digest::of("")};

  Place() {
    MemoryStore store;
    const auto index = sample_index(store, zstd, {"amd64", "arm64"}, 1000);
    root = put_index(memory, index);
    memory.list(root, "v1");
  }
  oci::Descriptor attach(const sign::Artifact& artifact) {
    for (const auto& blob : artifact.blobs) {
      memory.put(blob.descriptor.media_type, blob.bytes);
    }
    const auto& sealed = artifact.manifest;
    auto descriptor = memory.put(sealed.descriptor().media_type, sealed.bytes());
    memory.list(descriptor, artifact.tag);
    return descriptor;
  }
  oci::Descriptor attach_signature(const sign::Signer& signer) {
    return attach(sign::make_bundle_referrer(
        root, sign::sign_image(root.digest, {}, {.signer = signer}), test_time));
  }
  [[nodiscard]] VerifyReport verify(const VerifyOptions& options) const {
    return verify_image(*memory.open(root), options, {});
  }
  [[nodiscard]] VerifyReport verify() const {
    return verify({.policy = policy_for(key().public_key())});
  }
};

} // namespace

TEST_CASE("An image without a signature is not verified, and the reason says so",
          "[trust][verification]") {
  const Place place;
  const auto report = place.verify();
  CHECK_FALSE(report.verified);
  CHECK(report.reason == "there is no signature");
  CHECK_THROWS_AS(require_verified(report, "oci:x"), Error);
}

TEST_CASE("Foreign, broken, missing and lying attachments change nothing for a good signature",
          "[trust][verification]") {
  Place place;
  const auto foreign = sign::PrivateKey::generate();
  place.attach_signature(foreign);
  const auto good = place.attach_signature(key());

  // A bundle that is no JSON.
  place.attach(sign::make_referrer(place.root, sign::bundle_media_type, sign::bundle_media_type,
                                   "not a bundle", {}, test_time));
  // Listed, and not there.
  place.memory.list({.media_type = std::string(oci::media_type::manifest),
                     .digest = oci::Digest::of("nothing"),
                     .size_bytes = 7});
  // About another image, and listed here by who keeps the list.
  const oci::Descriptor other{.media_type = std::string(oci::media_type::manifest),
                              .digest = oci::Digest::of("another image"),
                              .size_bytes = 13};
  place.attach(sign::make_bundle_referrer(
      other, sign::sign_image(other.digest, {}, {.signer = key()}), test_time));

  const auto report = place.verify();
  CHECK(report.verified);
  std::size_t verified = 0;
  for (const auto& signature : report.images.front().verdict.signatures) {
    verified += signature.verified ? 1 : 0;
    CHECK((signature.digest == good.digest) == signature.verified);
    CHECK_FALSE(signature.reason.empty());
  }
  CHECK(verified == 1);
}

TEST_CASE("A signature whose bytes were changed in the store is refused with that reason",
          "[trust][verification]") {
  Place place;
  auto artifact = sign::make_bundle_referrer(
      place.root, sign::sign_image(place.root.digest, {}, {.signer = key()}), test_time);
  auto& bundle = artifact.blobs.back();
  bundle.bytes[bundle.bytes.size() / 2] ^= 1;
  place.memory.put_as(bundle.descriptor, bundle.bytes);
  place.memory.put(artifact.blobs.front().descriptor.media_type, artifact.blobs.front().bytes);
  place.memory.list(
      place.memory.put(artifact.manifest.descriptor().media_type, artifact.manifest.bytes()));
  const auto report = place.verify();
  CHECK_FALSE(report.verified);
  REQUIRE(report.images.front().verdict.signatures.size() == 1);
  CHECK(report.images.front().verdict.signatures.front().reason.find("do not match") !=
        std::string::npos);
}

TEST_CASE("A signature of the index alone does not vouch for each platform",
          "[trust][verification]") {
  Place place;
  place.attach_signature(key());
  CHECK(place.verify().verified);
  const auto report =
      place.verify({.policy = policy_for(key().public_key()), .every_platform = true});
  CHECK_FALSE(report.verified);
  CHECK(report.reason == "linux/amd64: there is no signature");
}

TEST_CASE("A bundle from elsewhere counts as if it were attached", "[trust][verification]") {
  const Place place;
  const auto bundle = sign::sign_image(place.root.digest, {}, {.signer = key()});
  CHECK(place.verify({.policy = policy_for(key().public_key()), .bundles = {bundle}}).verified);
  const auto of_another = sign::sign_image(oci::Digest::of("another image"), {}, {.signer = key()});
  CHECK_FALSE(
      place.verify({.policy = policy_for(key().public_key()), .bundles = {of_another}}).verified);
}

TEST_CASE("Attachments without end are looked at up to a limit, and the rest is said",
          "[trust][verification]") {
  Place place;
  const auto signature = place.attach_signature(key());
  for (std::size_t i = 0; i < max_attachments + 5; ++i) {
    place.memory.list({.media_type = std::string(oci::media_type::manifest),
                       .digest = signature.digest,
                       .size_bytes = signature.size_bytes,
                       .annotations = {{"n", std::to_string(i)}}});
  }
  const auto candidates = find_candidates(*place.memory.open(place.root), place.root, {});
  CHECK(candidates.size() == max_attachments + 1);
  CHECK(candidates.back().refusal.find("are looked at") != std::string::npos);
}

TEST_CASE("Statements are given out only when a trusted key signed them", "[trust][verification]") {
  Place place;
  const auto foreign = sign::PrivateKey::generate();
  const auto attest = [&](const sign::Signer& signer, const std::string& predicate) {
    place.attach(sign::make_bundle_referrer(
        place.root,
        sign::sign_statement({.subjects = {sign::Subject::of(place.root.digest)},
                              .predicate_type = "https://example.org/t/v1",
                              .predicate = predicate},
                             {.signer = signer}),
        test_time));
  };
  const auto ask = [&] {
    return trusted_statements(*place.memory.open(place.root), place.root,
                              policy_for(key().public_key()), "https://example.org/t/v1", {});
  };
  CHECK_THROWS_AS(ask(), Error);
  attest(foreign, R"({"ours":false})");
  CHECK_THROWS_AS(ask(), Error);
  attest(key(), R"({"ours":true})");
  REQUIRE(ask().size() == 1);
  CHECK(ask().front().predicate == R"({"ours":true})");
}
