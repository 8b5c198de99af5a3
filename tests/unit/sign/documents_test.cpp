#include "aipack/core/error.hpp"
#include "aipack/sign/bundle.hpp"
#include "aipack/sign/envelope.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/statement.hpp"

#include "../../support/catch.hpp"
#include "certificates.hpp"
#include "encoding.hpp"
#include "failure.hpp"

#include <string>

using namespace aipack;
using namespace aipack::sign;
using aipack::testing::failure_of;
using aipack::testing::now;

namespace {

const auto digest = oci::Digest::of("image");
const oci::Descriptor image{
    .media_type = std::string(oci::media_type::manifest), .digest = digest, .size_bytes = 5};

} // namespace

TEST_CASE("a statement is written in the specification's order, its predicate word for word",
          "[sign][statement]") {
  const Statement statement{.subjects = {{.name = "m", .digests = {{"sha256", "ab"}}}},
                            .predicate_type = "https://example.org/p",
                            .predicate = "{ \"z\": 1.0,\n \"a\":\"\\u00e9\" }"};
  const std::string json = write(statement);
  CHECK(json == "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"m\","
                "\"digest\":{\"sha256\":\"ab\"}}],\"predicateType\":\"https://example.org/p\","
                "\"predicate\":{ \"z\": 1.0,\n \"a\":\"\\u00e9\" }}");
  const Statement again = parse_statement(json, "statement");
  CHECK(again.subjects == statement.subjects);
  CHECK(again.predicate_type == statement.predicate_type);
}

TEST_CASE("a predicate must be a JSON object", "[sign][statement]") {
  const std::string predicate = GENERATE("", "[]", "1", "{", "{}{}", "{\"a\":1,\"a\":2}", "null");
  CAPTURE(predicate);
  CHECK_THROWS_AS(write(Statement{.subjects = {}, .predicate_type = "x", .predicate = predicate}),
                  Error);
}

TEST_CASE("predicate types have cosign's names", "[sign][statement]") {
  CHECK(predicate_type_of("slsaprovenance1") == "https://slsa.dev/provenance/v1");
  CHECK(predicate_type_of("spdxjson") == "https://spdx.dev/Document");
  CHECK(predicate_type_of("https://example.org/x") == "https://example.org/x");
  CHECK(failure_of([] { (void)predicate_type_of("slsa"); }).code() == ErrorCode::invalid_input);
}

TEST_CASE("the pre-authentication encoding is that of the DSSE specification", "[sign][envelope]") {
  // protocol.md, "Test Vectors".
  CHECK(pre_authentication_encoding("http://example.com/HelloWorld", "hello world") ==
        "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  CHECK(pre_authentication_encoding("", std::string("\0", 1)) == std::string("DSSEv1 0  1 \0", 13));
}

TEST_CASE("envelopes survive being written and read", "[sign][envelope]") {
  const PrivateKey key = PrivateKey::generate();
  const Envelope envelope = sign_envelope("{}", key);
  CHECK(parse_envelope(write(envelope), "envelope") == envelope);
  CHECK(key.public_key().verify("DSSEv1 28 application/vnd.in-toto+json 2 {}",
                                envelope.signatures[0].signature, Scheme::ecdsa_sha256));
}

TEST_CASE("bundles survive being written and read", "[sign][bundle]") {
  const PrivateKey key = PrivateKey::generate();
  const auto root = testing::make_authority();
  const testing::Issued leaf({}, testing::openssl_key(key), &root);
  Bundle bundle{.material = KeyHint{key.public_key().cosign_hint()},
                .content = sign_envelope("{}", key),
                .timestamps = {"stamp"}};
  const auto same = [&] {
    const Bundle again = parse_bundle(write(bundle), "bundle");
    return again.material == bundle.material && again.content == bundle.content &&
           again.timestamps == bundle.timestamps;
  };
  CHECK(same());
  bundle.material = CertificateChain{leaf.certificate()};
  CHECK(same());
  bundle.content = MessageSignature{"SHA2_256", std::string(32, 'd'), "s"};
  CHECK(same());
  bundle.material = CertificateChain{};
  CHECK(failure_of([&] { (void)write(bundle); }).code() == ErrorCode::invalid_input);
}

TEST_CASE("a bundle is what cosign 3 writes", "[sign][bundle]") {
  const PrivateKey key = PrivateKey::generate();
  const std::string json = sign_image(digest, {{"k", "v"}}, {.signer = key});
  const std::string statement =
      "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"digest\":{\"sha256\":\"" +
      digest.hex() +
      "\"},\"annotations\":{\"k\":\"v\"}}],\"predicateType\":\"https://sigstore.dev/cosign/sign/"
      "v1\",\"predicate\":{}}";
  const std::string head =
      "{\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\",\"verificationMaterial\":{"
      "\"publicKey\":{\"hint\":\"" +
      key.public_key().cosign_hint() + "\"}},\"dsseEnvelope\":{\"payload\":\"" + base64(statement) +
      "\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[{\"sig\":\"";
  CHECK(json.substr(0, head.size()) == head);
  CHECK(json.ends_with("\"}]}}"));
}

TEST_CASE("referrers carry the time that they are given, and no other", "[sign][artifact]") {
  const Artifact artifact = make_referrer(image, "application/spdx+json", "application/spdx+json",
                                          "{}", {{"a", "b"}}, now);
  const auto& manifest = artifact.manifest.value();
  CHECK(manifest.artifact_type == "application/spdx+json");
  CHECK(manifest.subject->digest == digest);
  CHECK(manifest.annotations ==
        oci::Annotations{{"a", "b"}, {"org.opencontainers.image.created", "2026-06-01T00:00:00Z"}});
  CHECK(artifact.blobs.size() == 2);
  CHECK(artifact.blobs[0].bytes == "{}");
  CHECK(artifact.blobs[0].descriptor.digest.to_string() ==
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
  CHECK(artifact.tag.empty());
}

TEST_CASE("a signature of bytes cannot be attached to an image", "[sign][artifact]") {
  const std::string json = write(Bundle{.content = MessageSignature{.signature = "s"}});
  CHECK(failure_of([&] { (void)make_bundle_referrer(image, json, now); }).code() ==
        ErrorCode::invalid_input);
}

TEST_CASE("signatures are added to the tag, never lost and never doubled", "[sign][simple]") {
  const PrivateKey one = PrivateKey::generate();
  const PrivateKey two = PrivateKey::generate();
  const std::vector<std::string> references{"r.example/m", "r.example/m:1"};
  const Artifact first = sign_simple(digest, references, {}, {.signer = one}, nullptr);
  CHECK(first.tag == "sha256-" + digest.hex() + ".sig");
  CHECK(first.manifest->layers.size() == 2);
  CHECK(first.blobs.size() == 3);
  CHECK(first.blobs[0].descriptor == first.manifest->config);

  const Artifact again = sign_simple(digest, references, {}, {.signer = one}, &first.manifest);
  CHECK(again.manifest.bytes() == first.manifest.bytes());
  CHECK(again.blobs.empty());

  const Artifact both = sign_simple(digest, references, {}, {.signer = two}, &first.manifest);
  REQUIRE(both.manifest->layers.size() == 4);
  CHECK(both.manifest->layers[0] == first.manifest->layers[0]);
  CHECK(both.manifest->layers[1] == first.manifest->layers[1]);
  CHECK(both.blobs.size() == 3);
  const auto config = oci::parse_config(both.blobs[0].bytes, "config");
  CHECK(config->diff_ids.size() == 4);

  oci::Manifest foreign = first.manifest.value();
  foreign.layers[0].media_type = "application/octet-stream";
  const auto sealed = oci::seal(foreign);
  CHECK(failure_of([&] {
          (void)sign_simple(digest, references, {}, {.signer = one}, &sealed);
        }).code() == ErrorCode::unsupported);
}

TEST_CASE("the payload of the signature tag is byte for byte cosign's", "[sign][simple]") {
  const SimplePayload payload{.reference = "r.example/m", .image = digest};
  CHECK(payload.to_json() ==
        "{\"critical\":{\"identity\":{\"docker-reference\":\"r.example/m\"},\"image\":{\"docker-"
        "manifest-digest\":\"" +
            digest.to_string() +
            "\"},\"type\":\"cosign container image signature\"},\"optional\":null}");
  CHECK(SimplePayload::parse(payload.to_json(), "payload") == payload);
  const SimplePayload annotated{
      .reference = "r.example/m:1", .image = digest, .annotations = {{"b", "2"}, {"a", "1"}}};
  CHECK(annotated.to_json().ends_with("\"optional\":{\"a\":\"1\",\"b\":\"2\"}}"));
  CHECK(SimplePayload::parse(annotated.to_json(), "payload") == annotated);
}

TEST_CASE("a certificate of another key is not signed with", "[sign]") {
  const PrivateKey key = PrivateKey::generate();
  const testing::Issued other({}, testing::openssl_ec("P-256"));
  const Signatory signatory{.signer = key, .certificates = {other.certificate()}};
  CHECK(failure_of([&] { (void)sign_image(digest, {}, signatory); }).code() ==
        ErrorCode::invalid_input);
  CHECK(failure_of([&] {
          (void)sign_simple(digest, {"r.example/m"}, {}, signatory, nullptr);
        }).code() == ErrorCode::invalid_input);
}

TEST_CASE("base64 is strict", "[sign][encoding]") {
  CHECK(try_base64("Zm9v") == "foo");
  CHECK(try_base64("Zm8=") == "fo");
  CHECK(try_base64("Zm8") == "fo");
  CHECK(try_base64("") == "");
  for (const char* bad : {"Zm8=\n", " Zm8=", "Zm9=", "Zm8==", "Zm9v=", "Z", "Zm-_", "Zm=8"}) {
    CAPTURE(bad);
    CHECK_FALSE(try_base64(bad).has_value());
  }
  CHECK(try_base64_url("-_8") == "\xfb\xff");
  CHECK_FALSE(try_base64_url("-_8=").has_value());
  CHECK_FALSE(try_base64_url("+/8").has_value());
}
