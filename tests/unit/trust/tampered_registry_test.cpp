// A registry, or somebody who may write to it, changes what stands beside an image: the good
// signature beside it still counts, and alone nothing verifies.
#include "aipack/sign/signing.hpp"

#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::trust;
using namespace aipack::trust::test;
using aipack::test::RegistryFault;
using aipack::test::RegistryRequest;

namespace {

constexpr const char* repository = "team/model";

/// An index with a bundle, and with a signature at cosign's tag if it is wanted.
struct Setting {
  RegistryServer server;
  registry::Registry registry;
  image::Location place;
  oci::Descriptor root;

  explicit Setting(bool has_tag, RegistryDialect dialect = {})
      : server({.dialect = std::move(dialect)}), registry(impatient()),
        place(in_registry(server, std::string(repository) + ":1")),
        root(put_sample(place, registry)) {
    auto options = options_for(place);
    if (!has_tag) {
      options.formats = {sign::Format::bundle};
    }
    sign_at(place, registry, key(), options);
  }
  static registry::RegistryOptions impatient() {
    auto options = patient();
    options.patience.attempts = 2;
    return options;
  }
  [[nodiscard]] std::string fallback_tag() const { return "sha256-" + root.digest.hex(); }
  /// The bundle's manifest, as it is listed.
  [[nodiscard]] oci::Descriptor bundle() {
    for (auto& item : transfer::open_origin(place, registry, {})->attachments(root.digest, {})) {
      if (item.tag.empty()) {
        return item.descriptor;
      }
    }
    throw Error(ErrorCode::internal, "cannot test: no bundle is listed");
  }
  /// As a process that knows nothing of the registry yet would verify it.
  [[nodiscard]] VerifyReport verify() const {
    registry::Registry fresh(impatient());
    return verify_at(place, fresh, key().public_key(), false);
  }
  /// Every answer to such a request is changed like this.
  void change(std::string part, RegistryFault fault, std::string method = "GET") {
    server.set_faults([=](const RegistryRequest& request) {
      const bool is_meant =
          request.method == method && request.path.find(part) != std::string::npos;
      return is_meant ? fault : RegistryFault{};
    });
  }
  void put_fallback(const std::string& bytes, std::string_view type = oci::media_type::index) {
    server.put_manifest(repository, bytes, std::string(type), fallback_tag());
  }
};

/// Verified by the tag beside what was tampered with, or by nothing; what was is there with why.
void check_verdict(const VerifyReport& report, bool has_tag, std::string_view why) {
  CHECK(report.verified == has_tag);
  CHECK(report.reason == (has_tag ? "signed by 1 trusted signer"
                                  : "none of the signatures is "
                                    "trusted"));
  const auto& signatures = report.images.front().verdict.signatures;
  std::size_t verified = 0;
  std::size_t explained = 0;
  for (const auto& signature : signatures) {
    CAPTURE(signature.reason);
    CHECK((!signature.verified || signature.format == sign::Format::simple_signing));
    verified += signature.verified ? 1 : 0;
    explained += signature.reason.find(why) != std::string::npos ? 1U : 0U;
  }
  CHECK(verified == (has_tag ? 2 : 0)); // for the repository, and for its tag
  CHECK(explained == 1);
}

std::string index_of(const std::vector<oci::Descriptor>& entries) {
  oci::Index index;
  index.manifests = entries;
  return oci::seal(std::move(index)).bytes();
}

} // namespace

TEST_CASE("a signature's manifest that was tampered with counts for nothing, and hides nothing",
          "[trust][verification][registry]") {
  const bool has_tag = GENERATE(true, false);
  Setting setting(has_tag);
  REQUIRE(setting.verify().verified);
  const auto bundle = setting.bundle();
  setting.change("/manifests/" + bundle.digest.to_string(), RegistryFault::flip_at(20));
  check_verdict(setting.verify(), has_tag, "instead");
  setting.change("/manifests/" + bundle.digest.to_string(), RegistryFault::respond(404));
  check_verdict(setting.verify(), has_tag, bundle.digest.to_string());
}

TEST_CASE("a signature's blob that was tampered with counts for nothing, and hides nothing",
          "[trust][verification][registry]") {
  const bool has_tag = GENERATE(true, false);
  Setting setting(has_tag);
  const auto stored = setting.server.manifest(repository, setting.bundle().digest.to_string());
  REQUIRE(stored);
  const auto manifest = oci::parse_manifest(stored->bytes, "bundle");
  const auto blob = manifest->layers.front().digest.to_string();
  setting.change("/blobs/" + blob, RegistryFault::flip_at(20));
  check_verdict(setting.verify(), has_tag, blob);
}

TEST_CASE("the tag's manifest that was tampered with does not hide the listing",
          "[trust][verification][registry]") {
  Setting setting(true);
  const auto tag = sign::signature_tag(setting.root.digest);
  const auto check = [&](std::string_view why) {
    const auto report = setting.verify();
    CHECK(report.verified);
    std::size_t refused = 0;
    for (const auto& signature : report.images.front().verdict.signatures) {
      CAPTURE(signature.reason);
      CHECK(signature.verified == (signature.format == sign::Format::bundle &&
                                   signature.reason.find(why) == std::string::npos));
      refused += signature.verified ? 0 : 1;
    }
    CHECK(refused == 1);
  };
  const auto stored = setting.server.manifest(repository, tag);
  REQUIRE(stored);
  setting.change("/manifests/" + stored->digest, RegistryFault::flip_at(20));
  check("instead");
  setting.server.set_faults({});
  setting.server.put_manifest(repository, R"({"schemaVersion":1})",
                              "application/vnd.docker.distribution.manifest.v1+json", tag);
  check("schema 1");
}

TEST_CASE("a listing of referrers that was tampered with does not hide the tag",
          "[trust][verification][registry]") {
  const bool has_tag = GENERATE(true, false);
  Setting setting(has_tag);
  const auto fault = GENERATE(0, 1, 2);
  auto answer = RegistryFault::respond(fault == 2 ? 403 : 200, fault == 2 ? "DENIED" : "");
  answer.body = fault == 0 ? "no JSON" : fault == 1 ? R"({"schemaVersion":2,"manifests":7})" : "";
  CAPTURE(fault);
  setting.change("/referrers/", answer);
  check_verdict(setting.verify(), has_tag, "what refers to");
}

TEST_CASE("a fallback tag that was tampered with does not hide the other tag",
          "[trust][verification][registry]") {
  const bool has_tag = GENERATE(true, false);
  Setting setting(has_tag, RegistryDialect::no_referrers());
  REQUIRE(setting.verify().verified);
  const auto bundle = setting.bundle();
  SECTION("a manifest in place of the index") {
    const auto stored = setting.server.manifest(repository, bundle.digest.to_string());
    setting.put_fallback(stored->bytes, oci::media_type::manifest);
    check_verdict(setting.verify(), has_tag, "not an index");
  }
  SECTION("no JSON") {
    setting.put_fallback("no JSON");
    check_verdict(setting.verify(), has_tag, "what refers to");
  }
  SECTION("another list of that kind") {
    setting.put_fallback(R"({"schemaVersion":2,"manifests":"none"})");
    check_verdict(setting.verify(), has_tag, "what refers to");
  }
  SECTION("a flipped bit") {
    setting.change("/manifests/" + setting.fallback_tag(), RegistryFault::flip_at(5));
    check_verdict(setting.verify(), has_tag, "what refers to");
  }
  SECTION("a size that is wrong") {
    const auto wrong = GENERATE(-1, 1);
    auto lie = bundle;
    lie.size_bytes += static_cast<std::uint64_t>(wrong);
    setting.put_fallback(index_of({lie}));
    check_verdict(setting.verify(), has_tag, bundle.digest.to_string());
  }
  SECTION("a size beyond all limits") {
    auto lie = bundle;
    lie.size_bytes = 9'000'000'000;
    setting.put_fallback(index_of({lie}));
    check_verdict(setting.verify(), has_tag, "9000000000 bytes");
  }
  SECTION("a signature of another image") {
    const auto other = put_sample(in_registry(setting.server, "team/model:2"), setting.registry);
    const auto artifact = sign::make_bundle_referrer(
        {.media_type = other.media_type,
         .digest = oci::Digest::of("another image"),
         .size_bytes = 13},
        sign::sign_image(oci::Digest::of("another image"), {}, {.signer = key()}), test_time);
    for (const auto& blob : artifact.blobs) {
      setting.server.put_blob(repository, blob.bytes);
    }
    setting.server.put_manifest(repository, artifact.manifest.bytes(),
                                std::string(oci::media_type::manifest));
    setting.put_fallback(index_of({artifact.manifest.descriptor()}));
    check_verdict(setting.verify(), has_tag, "its own subject is another");
  }
}

TEST_CASE("lying entries beside a good one use up none of its room",
          "[trust][verification][registry]") {
  Setting setting(false, RegistryDialect::no_referrers());
  std::vector<oci::Descriptor> entries;
  for (std::size_t i = 0; i < 100; ++i) {
    entries.push_back({.media_type = std::string(oci::media_type::manifest),
                       .digest = oci::Digest::of(std::to_string(i)),
                       .size_bytes = i % 2 == 0 ? oci::max_manifest_bytes : 9'000'000'000});
  }
  entries.push_back(setting.bundle());
  setting.put_fallback(index_of(entries));
  const auto report = setting.verify();
  CHECK(report.verified);
  CHECK(report.images.front().verdict.signatures.size() == entries.size());
}

TEST_CASE("an image's index that was tampered with is not what was signed",
          "[trust][verification][registry]") {
  const bool has_tag = GENERATE(true, false);
  Setting setting(has_tag);
  SECTION("on its way") {
    setting.change("/manifests/" + setting.root.digest.to_string(), RegistryFault::flip_at(20));
    registry::Registry fresh(Setting::impatient());
    try {
      static_cast<void>(verify_at(setting.place, fresh, key().public_key()));
      FAIL("an index was believed that is not what its digest says");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::corrupt);
    }
  }
  SECTION("under the name") {
    const auto stored = setting.server.manifest(repository, "1");
    auto index = oci::parse_index(stored->bytes, "index").value();
    index.manifests.pop_back();
    const auto changed = oci::seal(index);
    setting.server.put_manifest(repository, changed.bytes(), std::string(oci::media_type::index),
                                "1");
    const auto report = setting.verify();
    CHECK(report.root.digest == changed.descriptor().digest);
    CHECK_FALSE(report.verified);
    CHECK(report.reason == "there is no signature");
    // Not even with the signatures of what it was before.
    const auto tag = sign::signature_tag(setting.root.digest);
    if (const auto old = setting.server.manifest(repository, tag)) {
      setting.server.tag(repository, sign::signature_tag(changed.descriptor().digest), old->digest);
      CHECK_FALSE(setting.verify().verified);
    }
  }
}

TEST_CASE("a network that fails is an error and no empty list", "[trust][verification][registry]") {
  Setting setting(true);
  const auto* part = GENERATE("/referrers/", ".sig", ".att");
  const auto* method = std::string_view(part) == "/referrers/" ? "GET" : "HEAD";
  CAPTURE(part);
  setting.change(part, RegistryFault::respond(503), method);
  try {
    static_cast<void>(setting.verify());
    FAIL("a verdict was given without having seen it all");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unavailable);
  }
}
