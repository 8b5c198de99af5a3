#include "aipack/sign/bundle.hpp"
#include "aipack/sign/model_signature.hpp"

#include "support.hpp"
#include "support/catch.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <set>
#include <thread>

using namespace aipack;
using namespace aipack::trust;
using namespace aipack::trust::test;

namespace {

/// The tag of cosign's signatures of `digest`, as the server has it.
std::vector<oci::Descriptor> signatures_at_tag(const RegistryServer& server,
                                               const std::string& repository,
                                               const oci::Digest& digest) {
  const auto stored = server.manifest(repository, sign::signature_tag(digest));
  return stored ? oci::parse_manifest(stored->bytes, "signatures")->layers
                : std::vector<oci::Descriptor>{};
}

} // namespace

TEST_CASE("A signature of an image is one of the index and of each platform, as bundle and at the "
          "tag, wherever the image is",
          "[trust][signing]") {
  RegistryServer with_api;
  RegistryServer without({.dialect = RegistryDialect::no_referrers()});
  const io::TempDirectory directory;
  registry::Registry registry(patient());
  const std::array places{in_registry(with_api, "team/model:1"),
                          in_registry(without, "team/model:1"),
                          in_layout(directory.path() / "model.oci")};
  const auto& place = places.at(static_cast<std::size_t>(GENERATE(0, 1, 2)));
  put_sample(place, registry);
  const auto report = sign_at(place, registry, key(), options_for(place));
  CHECK(report.signatures == 6);
  CHECK(report.present == 0);
  const auto verdict = verify_at(place, registry, key().public_key());
  CHECK(verdict.verified);
  REQUIRE(verdict.images.size() == 3);
  for (const auto& image : verdict.images) {
    std::multiset<sign::Format> forms;
    for (const auto& signature : image.verdict.signatures) {
      CHECK(signature.verified);
      forms.insert(signature.format);
    }
    CHECK(forms.count(sign::Format::bundle) == 1);
    CHECK(forms.count(sign::Format::simple_signing) == 2); // the repository, and repository:tag
  }
}

TEST_CASE("Signing again with the same key writes nothing, with another key it adds",
          "[trust][signing]") {
  RegistryServer server;
  registry::Registry registry(patient());
  const auto place = in_registry(server, "team/model:1");
  const auto root = put_sample(place, registry);
  sign_at(place, registry, key(), options_for(place));
  server.clear_log();
  const auto again = sign_at(place, registry, key(), options_for(place));
  CHECK(again.signatures == 0);
  CHECK(again.present == 6);
  CHECK(server.count("PUT") == 0);

  const auto other = sign::PrivateKey::generate();
  CHECK(sign_at(place, registry, other, options_for(place)).signatures == 6);
  CHECK(signatures_at_tag(server, "team/model", root.digest).size() == 4);
  CHECK(verify_at(place, registry, key().public_key()).verified);
  CHECK(verify_at(place, registry, other.public_key()).verified);

  auto annotated = options_for(place);
  annotated.annotations = {{"stage", "release"}};
  CHECK(sign_at(place, registry, key(), annotated).signatures == 6);
}

TEST_CASE("An attestation about several images is signed once and found from each",
          "[trust][signing]") {
  RegistryServer server;
  registry::Registry registry(patient());
  const auto place = in_registry(server, "team/model:1");
  put_sample(place, registry);
  const auto origin = transfer::open_origin(place, registry, {});
  const auto images = images_of(*origin, {});
  const auto annex = transfer::open_annex(place, registry);
  const Annotating what{
      .attestations = {{images, "https://example.org/eval/v1", R"({ "accuracy": 0.97 })"}}};
  const auto report = annotate(*annex, what, {.signer = key()}, options_for(place), {});
  CHECK(report.attestations == 3);
  std::set<std::string> bundles;
  for (const auto& image : images) {
    for (const auto& candidate : find_candidates(*origin, image, {})) {
      bundles.insert(candidate.content);
    }
    const auto statements = trusted_statements(*origin, image, policy_for(key().public_key()),
                                               "https://example.org/eval/v1", {});
    REQUIRE(statements.size() == 1);
    CHECK(statements.front().subjects.size() == 3);
    CHECK(statements.front().predicate == R"({"accuracy":0.97})");
  }
  CHECK(bundles.size() == 1);
  CHECK(annotate(*annex, what, {.signer = key()}, options_for(place), {}).present == 3);
  // An attestation is no signature, whoever signed it.
  CHECK_FALSE(verify_at(place, registry, key().public_key(), false).verified);
}

TEST_CASE("Documents without a signature are found by their type, and written once",
          "[trust][signing]") {
  RegistryServer server;
  registry::Registry registry(patient());
  const auto place = in_registry(server, "team/model:1");
  const auto root = put_sample(place, registry);
  const auto annex = transfer::open_annex(place, registry);
  const std::vector<Document> documents{{root, "application/spdx+json", "{}"}};
  attach_documents(*annex, documents, test_time, {});
  attach_documents(*annex, documents, test_time, {});
  const auto listed = registry.open(*place.reference, registry::Access::pull)
                          .referrers(root.digest, "application/spdx+json", {});
  CHECK(listed.size() == 1);
}

TEST_CASE("A model signature travels beside the image and is not made again", "[trust][signing]") {
  RegistryServer server;
  registry::Registry registry(patient());
  const auto place = in_registry(server, "team/model:1");
  put_sample(place, registry);
  const auto origin = transfer::open_origin(place, registry, {});
  const auto annex = transfer::open_annex(place, registry);
  const auto signed_model = [] {
    return sign::sign_model({{".", oci::Digest::of("weights")}}, {.name = "digits"},
                            {.signer = key()});
  };
  const auto write = [&] {
    return annotate(*annex, {.signed_images = images_of(*origin, {}), .bundles = {signed_model()}},
                    {.signer = key()}, options_for(place), {});
  };
  CHECK(write().attestations == 1);
  CHECK(write().attestations == 0);
  CHECK(verify_at(place, registry, key().public_key()).verified);
}

TEST_CASE("64 signers at once lose no signature on a registry without the referrers API",
          "[trust][signing]") {
  RegistryServer server({.dialect = RegistryDialect::no_referrers()});
  registry::Registry setup(patient());
  const auto place = in_registry(server, "team/model:1");
  const auto root = put_sample(place, setup);
  constexpr std::size_t signers = 64;
  std::vector<sign::PrivateKey> keys;
  for (std::size_t i = 0; i < signers; ++i) {
    keys.push_back(sign::PrivateKey::generate());
  }
  std::vector<std::string> failures(signers);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < signers; ++i) {
    threads.emplace_back([&, i] {
      try {
        // Each is a process of its own as far as the registry can see.
        registry::Registry registry(patient());
        const auto annex = transfer::open_annex(place, registry);
        annotate(*annex, {.signed_images = {root}}, {.signer = keys[i]}, options_for(place), {});
      } catch (const std::exception& error) {
        failures[i] = error.what();
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  for (const auto& failure : failures) {
    CHECK(failure.empty());
    if (!failure.empty()) {
      UNSCOPED_INFO(failure);
    }
  }
  registry::Registry registry(patient());
  auto policy = policy_for(keys.front().public_key());
  policy.keys.clear();
  for (const auto& signer : keys) {
    policy.keys.push_back(signer.public_key());
  }
  policy.threshold = signers;
  CHECK(verify_image(*transfer::open_origin(place, registry, {}), {.policy = policy}, {}).verified);
  policy.ignored_formats = {sign::Format::simple_signing};
  CHECK(verify_image(*transfer::open_origin(place, registry, {}), {.policy = policy}, {}).verified);
  CHECK(signatures_at_tag(server, "team/model", root.digest).size() == 2 * signers);
}

TEST_CASE("Whatever a registry refuses while it is signed, the tag stays what it was",
          "[trust][signing]") {
  MemoryStore store;
  const auto old_index = sample_index(store, zstd, {"amd64"}, 1000);
  const auto new_index = sample_index(store, zstd, {"amd64", "arm64"}, 1000);
  const auto sign_and_push = [&](RegistryServer& server) {
    registry::Registry registry(patient());
    const auto place = in_registry(server, "team/model:1");
    transfer::CopyOptions options;
    options.before_name = [&](const Operation& op) {
      const auto annex = transfer::open_annex(place, registry);
      annotate(*annex, {.signed_images = {new_index.document.descriptor()}}, {.signer = key()},
               options_for(place), op);
    };
    transfer::copy(*transfer::open_origin(new_index), place, registry, options, {});
  };
  const auto prepare = [&](RegistryServer& server) {
    registry::Registry registry(patient());
    transfer::copy(*transfer::open_origin(old_index), in_registry(server, "team/model:1"), registry,
                   {}, {});
    server.clear_log();
  };
  std::size_t requests = 0;
  {
    RegistryServer server;
    prepare(server);
    sign_and_push(server);
    requests = server.log().size();
    CHECK(server.manifest("team/model", "1")->digest == new_index.digest().to_string());
  }
  for (std::size_t n = 1; n <= requests; ++n) {
    INFO("request " << n << " of " << requests << " is refused");
    RegistryServer server;
    prepare(server);
    server.set_faults(aipack::test::fault_at(n, aipack::test::RegistryFault::respond(403)));
    bool failed = false;
    try {
      sign_and_push(server);
    } catch (const Error&) {
      failed = true;
    }
    const auto stands_for = server.manifest("team/model", "1")->digest;
    if (failed) {
      CHECK(stands_for == old_index.digest().to_string());
    } else {
      CHECK(stands_for == new_index.digest().to_string());
      server.set_faults({});
      registry::Registry registry(patient());
      CHECK(verify_at(in_registry(server, "team/model:1"), registry, key().public_key(), false)
                .verified);
    }
  }
}

TEST_CASE("A key whose halves do not belong together writes nothing", "[trust][signing]") {
  RegistryServer server;
  registry::Registry registry(patient());
  const auto place = in_registry(server, "team/model:1");
  const auto root = put_sample(place, registry);
  const auto stranger = sign::PrivateKey::generate();
  /// Says that it is another key than the one it signs with.
  struct Confused final : sign::Signer {
    const sign::PrivateKey& signs;
    const sign::PrivateKey& claims;
    Confused(const sign::PrivateKey& a, const sign::PrivateKey& b) : signs(a), claims(b) {}
    [[nodiscard]] sign::PublicKey public_key() const override { return claims.public_key(); }
    [[nodiscard]] std::string sign(std::string_view message, sign::Scheme scheme) const override {
      return signs.sign(message, scheme);
    }
  };
  const Confused confused(key(), stranger);
  const auto annex = transfer::open_annex(place, registry);
  server.clear_log();
  try {
    annotate(*annex, {.signed_images = {root}}, {.signer = confused}, options_for(place), {});
    FAIL("it was not seen");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.message().find("does not verify what its private half signs") != std::string::npos);
  }
  CHECK(server.count("PUT") == 0);
}

TEST_CASE("What a registry shows altered after it was written is no signature",
          "[trust][signing]") {
  RegistryServer server;
  registry::Registry registry(patient());
  const auto place = in_registry(server, "team/model:1");
  const auto root = put_sample(place, registry);
  const auto annex = transfer::open_annex(place, registry);
  // Everything is taken; from then on each manifest of a referrer has gone astray.
  bool is_written = false;
  server.set_faults([&](const aipack::test::RegistryRequest& request) {
    is_written |= request.method == "PUT" && request.path.find("/manifests/") != std::string::npos;
    const bool is_read_back = is_written && request.method == "GET" &&
                              request.path.find("/manifests/sha256:") != std::string::npos &&
                              request.path.find(root.digest.hex()) == std::string::npos;
    return is_read_back ? aipack::test::RegistryFault::respond(404, "MANIFEST_UNKNOWN")
                        : aipack::test::RegistryFault{};
  });
  auto options = options_for(place);
  options.formats = {sign::Format::bundle};
  try {
    annotate(*annex, {.signed_images = {root}}, {.signer = key()}, options, {});
    FAIL("it was not seen");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.message().starts_with("cannot verify what was just written"));
  }
}

TEST_CASE("An archive holds what was made for it, and a docker archive has no place for it",
          "[trust][signing]") {
  MemoryStore store;
  const auto index = sample_index(store, zstd, {"amd64"}, 1000);
  const io::TempDirectory directory;
  registry::Registry registry(patient());
  const auto archive =
      image::Location::parse("oci-archive:" + (directory.path() / "m.tar").string() + ":1");
  auto artifacts = make_artifacts({.signed_images = {index.document.descriptor()}},
                                  {.signer = key()}, options_for(archive));
  CHECK(artifacts.size() == 2);
  transfer::copy(*transfer::open_origin(index, std::move(artifacts)), archive, registry, {}, {});
  CHECK(verify_at(archive, registry, key().public_key(), false).verified);
  CHECK_THROWS_AS(transfer::open_annex(archive, registry), Error);
}

TEST_CASE("Notation needs certificates, and forms that are only read cannot be written",
          "[trust][signing]") {
  RegistryServer server;
  registry::Registry registry(patient());
  const auto place = in_registry(server, "team/model:1");
  put_sample(place, registry);
  auto options = options_for(place);
  options.formats = {GENERATE(sign::Format::notation_jws, sign::Format::envelope)};
  server.clear_log();
  CHECK_THROWS_AS(sign_at(place, registry, key(), options), Error);
  CHECK(server.count("PUT") == 0);
}

namespace {

/// A token: slow, and each signature may cost its owner a touch.
class SlowToken final : public sign::Signer {
public:
  [[nodiscard]] sign::PublicKey public_key() const override { return key().public_key(); }
  [[nodiscard]] std::string sign(std::string_view message, sign::Scheme scheme) const override {
    ++signatures;
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    return key().sign(message, scheme);
  }
  mutable std::atomic<int> signatures{0};
};

} // namespace

TEST_CASE("A tag that is read again unchanged is not signed again", "[trust][signing]") {
  const RegistryServer server;
  registry::Registry registry(patient());
  const auto place = in_registry(server, "team/model:1");
  const auto root = put_sample(place, registry);
  auto options = options_for(place);
  options.formats = {sign::Format::simple_signing};
  REQUIRE(options.references.size() == 2);
  const SlowToken token;
  const auto annex = transfer::open_annex(place, registry);
  annotate(*annex, {.signed_images = {root}}, {.signer = token}, options, {});
  CHECK(token.signatures == 3); // one to see that its halves belong together
}

TEST_CASE("What a registry shows late is not signed twice", "[trust][signing]") {
  RegistryServer server; // with the referrers API
  registry::Registry registry(patient());
  const auto place = in_registry(server, "team/model:1");
  const auto root = put_sample(place, registry);
  auto options = options_for(place);
  options.formats = {sign::Format::bundle};
  // Listings that are asked for after the signature was written, and before it is shown.
  const int hidden = GENERATE(1, 2, 3);
  INFO(hidden);
  int shown_late = 0;
  bool is_written = false;
  server.set_faults([&](const aipack::test::RegistryRequest& request) {
    is_written |= request.method == "PUT" && request.path.find("/manifests/") != std::string::npos;
    if (!is_written || request.path.find("/referrers/") == std::string::npos ||
        shown_late == hidden) {
      return aipack::test::RegistryFault{};
    }
    ++shown_late;
    auto empty = aipack::test::RegistryFault::respond(200);
    empty.body = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",)"
                 R"("manifests":[]})";
    empty.headers = {{"Content-Type", "application/vnd.oci.image.index.v1+json"}};
    return empty;
  });
  const SlowToken token;
  const auto annex = transfer::open_annex(place, registry);
  const auto report = annotate(*annex, {.signed_images = {root}}, {.signer = token}, options, {});
  CHECK(report.signatures == 1);
  CHECK(shown_late == hidden);
  CHECK(token.signatures == 2); // one to see that its halves belong together
  const auto origin = transfer::open_origin(place, registry, {});
  CHECK(origin->attachments(root.digest, {}).size() == 1);
}
