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

TEST_CASE("A flood of referrers does not push out what is at cosign's tags",
          "[trust][verification]") {
  Place place;
  const auto foreign = place.attach_signature(sign::PrivateKey::generate());
  for (std::size_t i = 0; i < max_attachments; ++i) {
    place.memory.list(foreign);
  }
  place.attach(sign::sign_simple(place.root.digest, {"r.example/team/model"}, {}, {.signer = key()},
                                 nullptr));
  CHECK(place.verify().verified);
}

TEST_CASE("Announced sizes use up the room of nobody else", "[trust][verification]") {
  Place place;
  const auto announce = [&](const std::string& name, std::uint64_t size_bytes) {
    auto entry = put_document(place.memory, artifact(place.memory, place.root, name));
    entry.size_bytes = size_bytes;
    place.memory.list(entry);
  };
  announce("huge", 9'000'000'000);
  announce("greatest", ~std::uint64_t{0});
  // Together more than may be attached, each as large as a manifest may be.
  const auto enough = max_attachment_bytes / oci::max_manifest_bytes + 1;
  for (std::uint64_t i = 0; i < enough; ++i) {
    announce("large " + std::to_string(i), oci::max_manifest_bytes);
  }
  place.attach_signature(key());
  const auto report = place.verify();
  CHECK(report.verified);
  std::size_t too_large = 0;
  std::size_t left_out = 0;
  for (const auto& signature : report.images.front().verdict.signatures) {
    const auto says = [&](std::string_view what) {
      return signature.reason.find(what) != std::string::npos ? 1U : 0U;
    };
    too_large += says("manifests have at most");
    left_out += says("are attached to the image");
  }
  CHECK(too_large == 2);
  CHECK(left_out > 0); // the limit is one
}

TEST_CASE("Large bundles of others use up the room of what is larger only",
          "[trust][verification]") {
  Place place;
  // Their manifests say so; what the blobs really have is seen when they are read.
  const auto attach_large = [&](const std::string& name, bool is_there) {
    oci::Manifest manifest{.artifact_type = std::string(sign::bundle_media_type),
                           .config = place.memory.put(oci::media_type::empty, "{}"),
                           .layers = {{.media_type = std::string(sign::bundle_media_type),
                                       .digest = oci::Digest::of(name),
                                       .size_bytes = sign::max_bundle_bytes}}};
    manifest.subject = place.root;
    if (is_there) {
      place.memory.put(sign::bundle_media_type, name);
    }
    place.memory.list(put_document(place.memory, std::move(manifest)));
  };
  const bool is_there = GENERATE(true, false);
  const auto fitting = max_attachment_bytes / sign::max_bundle_bytes;
  for (std::uint64_t i = 0; i < fitting + 2; ++i) {
    attach_large("bundle " + std::to_string(i), is_there);
  }
  const auto good = place.attach_signature(key());
  const auto report = place.verify();
  CHECK(report.verified);
  std::size_t left_out = 0;
  for (const auto& signature : report.images.front().verdict.signatures) {
    CHECK(signature.verified == (signature.digest == good.digest));
    left_out += signature.reason.find("are attached to the image") != std::string::npos ? 1U : 0U;
  }
  CHECK(left_out == (is_there ? 2 : 0)); // what is not there costs nothing
}

TEST_CASE("A damaged neighbour in a layout is told, and changes nothing for a good signature",
          "[trust][verification]") {
  Place place;
  const bool has_signature = GENERATE(true, false);
  if (has_signature) {
    place.attach_signature(key());
  }
  SECTION("a manifest that is no JSON") {
    place.memory.list(place.memory.put(oci::media_type::manifest, "no JSON"));
  }
  SECTION("a manifest that is listed as an index") {
    auto lie = put_document(place.memory, artifact(place.memory, place.root, "x"));
    lie.media_type = oci::media_type::index;
    place.memory.list(lie);
  }
  SECTION("a manifest of another image that is too large") {
    place.memory.list(
        place.memory.put(oci::media_type::manifest, std::string(oci::max_manifest_bytes + 1, ' ')));
  }
  const auto report = place.verify();
  CHECK(report.verified == has_signature);
  const auto& signatures = report.images.front().verdict.signatures;
  REQUIRE(signatures.size() == (has_signature ? 2 : 1));
  CHECK_FALSE(signatures.back().verified);
  CHECK(signatures.back().reason.find("cannot read") != std::string::npos);
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
