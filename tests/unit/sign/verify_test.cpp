#include "aipack/core/error.hpp"
#include "aipack/sign/bundle.hpp"
#include "aipack/sign/verify.hpp"

#include "../../support/catch.hpp"
#include "candidates.hpp"
#include "test_keys.hpp"

#include <string>
#include <vector>

using namespace aipack;
using namespace aipack::sign;
using namespace aipack::testing;

TEST_CASE("a bundle by the trusted key verifies, and says by what", "[sign][verify]") {
  const auto verdict = single(key_policy(), bundle_by(world().key));
  CHECK(verdict.verified);
  CHECK(verdict.format == Format::bundle);
  CHECK(verdict.key == world().key.public_key().fingerprint().to_string());
  CHECK(verdict.scheme == "ecdsa-sha256");
  CHECK(verdict.reason == "signed by " + verdict.key + " (ecdsa-sha256)");
}

TEST_CASE("the signature tag verifies for repository and tag", "[sign][verify]") {
  const auto candidates =
      simple_by(world().key, {"r.example/team/model", "r.example/team/model:1"});
  REQUIRE(candidates.size() == 2);
  const Verdict verdict = verify(key_policy(), candidates);
  CHECK(verdict.verified);
  CHECK(verdict.signatures[0].verified);
  CHECK(verdict.signatures[1].verified);
  CHECK(verdict.reason == "signed by 1 trusted signer");
}

TEST_CASE("keys of every kind verify in both formats", "[sign][verify]") {
  const std::string name = GENERATE("p256", "p384", "p521", "rsa2048", "ed25519");
  const PrivateKey key = testing::test_key(name);
  Policy policy = key_policy();
  policy.keys = {key.public_key()};
  CHECK(verify(policy, {bundle_by(key)}).verified);
  CHECK(verify(policy, simple_by(key, {"r.example/m"})).verified);
}

TEST_CASE("the hash that matches the curve is accepted as well, and named", "[sign][verify]") {
  // cosign 3 signs so.
  const PrivateKey key = testing::test_key("p384");
  Policy policy = key_policy();
  policy.keys = {key.public_key()};
  const std::string statement =
      write(Statement{.subjects = {Subject::of(image.digest)},
                      .predicate_type = std::string(predicate_type::signature)});
  const auto envelope = sign_envelope(statement, key, Scheme::ecdsa_sha384);
  const auto verdict = single(policy, bundle_of(write(Bundle{.content = envelope})));
  CHECK(verdict.verified);
  CHECK(verdict.scheme == "ecdsa-sha384");
}

TEST_CASE("what cosign accepts of bundles is accepted", "[sign][verify]") {
  const Candidate good = bundle_by(world().key);
  const std::string hint = "\"hint\":\"" + world().key.public_key().cosign_hint() + "\"";
  const auto unpadded = [&] {
    std::string text = good.content;
    for (std::size_t at; (at = text.find("=\"")) != std::string::npos;) {
      text.erase(at, 1);
    }
    return text;
  };
  const std::vector<std::string> variations{
      good.content,
      replaced(good.content, hint, ""),
      replaced(good.content, hint, "\"hint\":\"x\""),
      replaced(good.content, "},\"dsseEnvelope\"", ",\"tlogEntries\":[]},\"dsseEnvelope\""),
      replaced(good.content, "{\"sig\":", "{\"keyid\":\"\",\"sig\":"),
      replaced(good.content, "bundle.v0.3+json", "bundle+json;version=0.3"),
      unpadded()};
  for (const std::string& content : variations) {
    CAPTURE(content);
    const auto verdict = single(key_policy(), bundle_of(content));
    CAPTURE(verdict.reason);
    CHECK(verdict.verified);
  }
}

TEST_CASE("statements of version 0.1 and without predicate are accepted", "[sign][verify]") {
  const std::string type = GENERATE("Statement/v1", "Statement/v0.1");
  const std::string statement = "{\"_type\":\"https://in-toto.io/" + type +
                                "\",\"subject\":[{\"digest\":{\"sha256\":\"" + image.digest.hex() +
                                "\"}}],\"predicateType\":\"https://sigstore.dev/cosign/sign/v1\"}";
  CHECK(single(key_policy(), bundle_around(statement)).verified);
}

TEST_CASE("an attestation by the trusted key is no signature", "[sign][verify]") {
  // cosign 3.1 `verify` passes here.
  const Verdict verdict = verify(
      key_policy(), {attestation_by(world().key, std::string(predicate_type::slsa_provenance_v1))});
  CHECK_FALSE(verdict.verified);
  CHECK(verdict.signatures.empty());
  REQUIRE(verdict.attestations.size() == 1);
  CHECK(verdict.attestations[0].verified);
  CHECK(verdict.attestations[0].predicate_type == "https://slsa.dev/provenance/v1");
  CHECK(verdict.reason == "there is no signature");
}

TEST_CASE("a signature is no attestation", "[sign][verify]") {
  Policy policy = key_policy();
  policy.attestations = {{.predicate_type = std::string(predicate_type::spdx)}};
  const Verdict verdict = verify(policy, {bundle_by(world().key)});
  CHECK_FALSE(verdict.verified);
  CHECK(verdict.reason == "there is no trusted attestation of type 'https://spdx.dev/Document'");
}

TEST_CASE("foreign and broken candidates change nothing for a good one", "[sign][verify]") {
  // cosign 3.1 stops at the first bundle that it can read and never looks at the tag.
  std::vector<Candidate> candidates{
      bundle_by(world().stranger), bundle_of("{"),
      attestation_by(world().stranger, std::string(predicate_type::spdx)),
      Candidate{.format = Format::bundle,
                .manifest = image.digest,
                .refusal = "cannot read bundle: it is not there"}};
  const Verdict without = verify(key_policy(), candidates);
  CHECK_FALSE(without.verified);
  CHECK(without.reason == "none of the signatures is trusted");
  for (const Candidate& good : simple_by(world().key, {"r.example/m"})) {
    candidates.push_back(good);
  }
  const Verdict verdict = verify(key_policy(), candidates);
  CHECK(verdict.verified);
  REQUIRE(verdict.signatures.size() == 4);
  CHECK(verdict.signatures[2].reason == "cannot read bundle: it is not there");
  CHECK(verdict.signatures[3].verified);
  CHECK_FALSE(verdict.attestations[0].verified);
}

TEST_CASE("a threshold counts signers, not signatures", "[sign][verify]") {
  Policy policy = key_policy();
  policy.keys.push_back(world().stranger.public_key());
  policy.threshold = 2;
  const Candidate one = bundle_by(world().key);
  const Verdict twice = verify(policy, {one, one, bundle_by(world().key)});
  CHECK_FALSE(twice.verified);
  CHECK(twice.reason == "1 of 2 trusted signers signed");
  CHECK(verify(policy, {one, bundle_by(world().stranger)}).verified);
  auto mixed = simple_by(world().stranger, {"r.example/m"});
  mixed.push_back(one);
  CHECK(verify(policy, mixed).verified);
}

TEST_CASE("a signer is one key and one identity, whatever name is shown", "[sign][verify]") {
  const PrivateKey other_key = PrivateKey::generate();
  const auto certified_as = [&](const std::string& name, const PrivateKey& key) {
    const Issued leaf({.alternative_name = "email:" + name, .issuer_v2 = "https://issuer.example"},
                      openssl_key(key), &world().root);
    return bundle_of(
        sign_image(image.digest, {}, {.signer = key, .certificates = {leaf.certificate()}}));
  };
  const Issued notation_leaf({}, openssl_key(world().leaf_key), &world().root);
  const Artifact notation = make_notation_referrer(
      image,
      sign_notation(image, {},
                    {.signer = world().leaf_key,
                     .certificates = {notation_leaf.certificate(), world().root.certificate()}},
                    now),
      now);
  const auto by_notation =
      read_candidates(notation.manifest, [&](const auto&) { return notation.blobs[1].bytes; });
  Policy policy = certificate_policy();
  policy.identities = {{.name = "a@example.org", .issuer = "https://issuer.example"},
                       {.name = "b@example.org", .issuer = "https://issuer.example"}};
  policy.notation.certificates = {world().root.certificate()};
  policy.threshold = 2;
  const auto count = [&](const std::vector<Candidate>& candidates) {
    const Verdict verdict = verify(policy, candidates);
    for (const auto& signature : verdict.signatures) {
      CAPTURE(signature.key, signature.reason);
      CHECK(signature.verified);
    }
    return verdict.reason;
  };
  const std::string one = "1 of 2 trusted signers signed";
  const std::string two = "signed by 2 trusted signers";
  const Candidate a = certified_as("a@example.org", world().leaf_key);
  // One key under two identities, and under notation's name for it.
  CHECK(count({a, certified_as("b@example.org", world().leaf_key)}) == one);
  REQUIRE(by_notation.size() == 1);
  CHECK(count({a, by_notation.front()}) == one);
  // One identity with two keys, as a keyless authority hands them out.
  CHECK(count({a, certified_as("a@example.org", other_key)}) == one);
  // Two of both, until something ties them together.
  const Candidate b = certified_as("b@example.org", other_key);
  CHECK(count({a, b}) == two);
  CHECK(count({a, b, certified_as("a@example.org", other_key)}) == one);
  CHECK(count({certified_as("b@example.org", PrivateKey::generate()), by_notation.front(), b}) ==
        two);
  // A key by itself and in a certificate of notation.
  policy.keys = {world().leaf_key.public_key()};
  CHECK(count({bundle_by(world().leaf_key), by_notation.front()}) == one);
  CHECK(count({bundle_by(world().leaf_key), a, by_notation.front()}) == one);
}

TEST_CASE("references match as containers-policy.json(5) says", "[sign][verify]") {
  const std::string hex = "@sha256:" + image.digest.hex();
  struct Row {
    ReferenceMatch match;
    std::string asked;
    std::string signed_as;
    bool verified;
  };
  using enum ReferenceMatch;
  const auto row =
      GENERATE_COPY(Row{ignore, "r.example/m:1", "elsewhere/n", true},
                    Row{match_exact, "r.example/m:1", "r.example/m:1", true},
                    Row{match_exact, "r.example/m:1", "r.example/m:2", false},
                    Row{match_exact, "r.example/m:1", "r.example/m", false},
                    Row{match_exact, "r.example/m", "r.example/m", false},
                    Row{match_exact, "r.example/m" + hex, "r.example/m:1", false},
                    Row{match_exact, "r.example/m" + hex, "r.example/m" + hex, true},
                    Row{match_repo_digest_or_exact, "r.example/m:1", "r.example/m:1", true},
                    Row{match_repo_digest_or_exact, "r.example/m:1", "r.example/m", false},
                    Row{match_repo_digest_or_exact, "r.example/m" + hex, "r.example/m:1", true},
                    Row{match_repo_digest_or_exact, "r.example/m" + hex, "r.example/m", true},
                    Row{match_repo_digest_or_exact, "r.example/m" + hex, "r.example/n", false},
                    Row{match_repository, "r.example/m:1", "r.example/m", true},
                    Row{match_repository, "r.example/m:1", "r.example/m:2", true},
                    Row{match_repository, "r.example/m:1", "r.example/n:1", false},
                    Row{match_repository, "r.example/m:1", "Not A Reference", false});
  CAPTURE(row.asked, row.signed_as, static_cast<int>(row.match));
  Policy policy = key_policy();
  policy.reference = oci::Reference::parse(row.asked);
  policy.reference_match = row.match;
  CHECK(verify(policy, simple_by(world().key, {row.signed_as})).verified == row.verified);
}

TEST_CASE("annotations are found in both formats", "[sign][verify]") {
  Policy policy = key_policy();
  policy.annotations = {{"stage", "release"}};
  const oci::Annotations annotations{{"stage", "release"}, {"other", "<&>"}};
  CHECK(verify(policy, {bundle_by(world().key, image, annotations)}).verified);
  CHECK(verify(policy, simple_by(world().key, {"r.example/m"}, image, annotations)).verified);
}

TEST_CASE("attestations are held against the rules for their fields", "[sign][verify]") {
  const std::string type(predicate_type::slsa_provenance_v1);
  const std::string predicate =
      "{\"runDetails\":{\"builder\":{\"id\":\"https://aipack.example\"}},\"n\":[1,{\"a/b\":true}]}";
  Policy policy = key_policy();
  policy.threshold = 0;
  policy.attestations = {{.predicate_type = type}};
  auto& fields = policy.attestations[0].fields;
  const Candidate candidate = attestation_by(world().key, type, predicate);
  CHECK(verify(policy, {candidate}).verified);
  fields = {{.pointer = "/runDetails/builder/id", .value = "https://aipack.example"},
            {.pointer = "/n/0", .value = "1"},
            {.pointer = "/n/1/a~1b", .value = "true"},
            {.pointer = "/runDetails"}};
  CHECK(verify(policy, {candidate}).verified);
  fields.push_back({.pointer = "/runDetails/builder/id", .value = "https://evil.example"});
  const Verdict other = verify(policy, {candidate});
  CHECK_FALSE(other.verified);
  CHECK(other.attestations[0].reason ==
        "cannot accept the attestation: its field '/runDetails/builder/id' is "
        "'https://aipack.example' instead of 'https://evil.example'");
  fields = {{.pointer = "/n/7"}};
  CHECK_THAT(verify(policy, {candidate}).attestations[0].reason,
             ContainsSubstring("its field '/n/7' is missing"));
  // A second attestation that does fulfil the rules is enough.
  fields = {{.pointer = "/ok"}};
  CHECK(verify(policy, {candidate, attestation_by(world().key, type, "{\"ok\":1}")}).verified);
}

TEST_CASE("attestations of cosign 2, envelopes alone, are judged", "[sign][verify]") {
  const std::string statement = write(Statement{.type = "https://in-toto.io/Statement/v0.1",
                                                .subjects = {Subject::of(image.digest)},
                                                .predicate_type = "https://spdx.dev/Document"});
  Policy policy = key_policy();
  policy.threshold = 0;
  policy.attestations = {{.predicate_type = "https://spdx.dev/Document"}};
  const Candidate good{.format = Format::envelope,
                       .manifest = image.digest,
                       .content = write(sign_envelope(statement, world().key))};
  CHECK(verify(policy, {good}).verified);
  const Candidate foreign{.format = Format::envelope,
                          .manifest = image.digest,
                          .content = write(sign_envelope(statement, world().stranger))};
  const Verdict verdict = verify(policy, {foreign});
  CHECK_FALSE(verdict.verified);
  CHECK_THAT(verdict.attestations[0].reason, ContainsSubstring("it is not by the trusted key"));
}

TEST_CASE("a certificate of a trusted authority verifies for its identity", "[sign][verify]") {
  const auto verdict = single(certificate_policy(), certified(world().leaf));
  CAPTURE(verdict.reason);
  CHECK(verdict.verified);
  CHECK(verdict.key == "release@example.org (https://issuer.example)");

  Policy pattern = certificate_policy();
  pattern.identities = {{.name = ".*@example\\.org", .issuer = "https://.*", .is_pattern = true}};
  CHECK(single(pattern, certified(world().leaf)).verified);
  pattern.identities = {{.name = "example\\.org", .is_pattern = true}}; // must match as a whole
  CHECK_FALSE(single(pattern, certified(world().leaf)).verified);
  pattern.identities = {{.name = "(", .is_pattern = true}};
  CHECK(failure_of([&] { (void)verify(pattern, {certified(world().leaf)}); }).code() ==
        ErrorCode::invalid_input);
}

TEST_CASE("Fulcio's older issuer extension is read", "[sign][verify]") {
  const Issued old = world().issue({.issuer_v1 = "https://issuer.example"});
  CHECK(single(certificate_policy(), certified(old)).verified);
}

TEST_CASE("the signature tag carries certificates as well", "[sign][verify]") {
  const Issued middle(authority_spec("Middle"), openssl_ec("P-384"), &world().root);
  const Issued leaf({.issuer_v2 = "https://issuer.example"}, openssl_key(world().leaf_key),
                    &middle);
  const Artifact artifact = sign_simple(
      image.digest, {"r.example/m"}, {},
      {.signer = world().leaf_key, .certificates = {leaf.certificate(), middle.certificate()}},
      nullptr);
  const auto candidates =
      read_candidates(artifact.manifest, [&](const auto&) { return artifact.blobs[1].bytes; });
  CHECK(verify(certificate_policy(), candidates).verified);
}

TEST_CASE("a time stamp keeps an expired certificate good", "[sign][verify]") {
  const Issued clock(timestamp_spec(), openssl_ec("P-256"), &world().root);
  const TimestampServer server(clock, now - std::chrono::hours(2));
  const Issued expired =
      world().issue({.until = now - std::chrono::hours(1), .issuer_v2 = "https://issuer.example"});
  const Candidate candidate = certified(
      expired, [&](const TimestampRequest& request) { return server.answer(request.der); });
  Policy policy = certificate_policy();
  const auto without = single(policy, candidate);
  CHECK_FALSE(without.verified);
  CHECK_THAT(without.reason, ContainsSubstring("certificate has expired"));
  policy.trusted_root.timestamp_authorities = {{.chain = {world().root.certificate()}}};
  const auto with = single(policy, candidate);
  CAPTURE(with.reason);
  CHECK(with.verified);
  policy.trusted_root.timestamp_authorities = {{.chain = {world().other_root.certificate()}}};
  const auto foreign = single(policy, candidate);
  CHECK_FALSE(foreign.verified);
  CHECK_THAT(foreign.reason, ContainsSubstring("cannot accept the time stamp"));
}

TEST_CASE("manifests offer what their layers are", "[sign][verify]") {
  const std::string json = sign_image(image.digest, {}, {.signer = world().key});
  const Artifact artifact = make_bundle_referrer(image, json, now);
  const auto fetch = [&](const oci::Descriptor& wanted) {
    return wanted.digest == artifact.blobs[1].descriptor.digest ? artifact.blobs[1].bytes : "?";
  };
  const auto candidates = read_candidates(artifact.manifest, fetch);
  REQUIRE(candidates.size() == 1);
  CHECK(candidates[0].content == json);
  CHECK(candidates[0].manifest == artifact.manifest.descriptor().digest);

  oci::Manifest two = artifact.manifest.value();
  two.layers.push_back(two.layers[0]);
  CHECK_THAT(read_candidates(oci::seal(two), fetch).at(0).refusal,
             ContainsSubstring("2 layers instead of one"));
  oci::Manifest plain = artifact.manifest.value();
  plain.layers[0].media_type = "application/json";
  CHECK_THAT(read_candidates(oci::seal(plain), fetch).at(0).refusal,
             ContainsSubstring("its layer is of type 'application/json'"));
  plain.artifact_type = "application/spdx+json";
  CHECK(read_candidates(oci::seal(plain), fetch).empty());
  oci::Manifest unnamed = artifact.manifest.value(); // cosign does not look at the artifact type
  unnamed.artifact_type.clear();
  CHECK(read_candidates(oci::seal(unnamed), fetch).at(0).refusal.empty());
  oci::Manifest huge = artifact.manifest.value();
  huge.layers[0].size_bytes = std::uint64_t{1} << 40;
  CHECK_THAT(read_candidates(oci::seal(huge), fetch).at(0).refusal,
             ContainsSubstring("are more than"));
  CHECK_THAT(read_candidates(artifact.manifest, [](const auto&) { return "other"; }).at(0).refusal,
             ContainsSubstring("its bytes do not match"));
  const auto failing = [](const auto&) -> std::string {
    throw Error(ErrorCode::unavailable, "cannot fetch: the network is down");
  };
  CHECK(read_candidates(artifact.manifest, failing).at(0).refusal ==
        "cannot fetch: the network is down");
}

TEST_CASE("a policy that trusts nobody or asks for nothing is an error", "[sign][verify]") {
  const auto code_of = [](const Policy& policy) {
    return failure_of([&] { (void)verify(policy, {}); }).code();
  };
  CHECK(code_of({.image = image}) == ErrorCode::invalid_input);
  Policy nothing = key_policy();
  nothing.threshold = 0;
  CHECK(code_of(nothing) == ErrorCode::invalid_input);
  Policy no_reference = key_policy();
  no_reference.reference_match = ReferenceMatch::match_exact;
  CHECK(code_of(no_reference) == ErrorCode::invalid_input);
  Policy bad_pointer = key_policy();
  bad_pointer.attestations = {{.predicate_type = "x", .fields = {{.pointer = "no/slash"}}}};
  CHECK(code_of(bad_pointer) == ErrorCode::invalid_input);
  CHECK_FALSE(verify(key_policy(), {}).verified);
}

TEST_CASE("formats can be ignored", "[sign][verify]") {
  Policy policy = key_policy();
  policy.ignored_formats = {Format::bundle};
  const auto verdict = single(policy, bundle_by(world().key));
  CHECK_FALSE(verdict.verified);
  CHECK_THAT(verdict.reason, ContainsSubstring("its format is ignored"));
}
