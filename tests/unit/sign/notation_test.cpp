#include "aipack/core/error.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/verify.hpp"

#include "../../support/catch.hpp"
#include "cbor.hpp"
#include "certificates.hpp"
#include "encoding.hpp"
#include "failure.hpp"
#include "notation.hpp"
#include "test_keys.hpp"

#include <string>
#include <vector>

using namespace aipack;
using namespace aipack::sign;
using aipack::testing::failure_of;
using aipack::testing::Issued;
using aipack::testing::now;

namespace {

const oci::Descriptor image{.media_type = std::string(oci::media_type::manifest),
                            .digest = oci::Digest::of("image"),
                            .size_bytes = 5};

std::vector<Candidate> candidates_of(const Artifact& artifact) {
  return read_candidates(artifact.manifest, [&](const auto&) { return artifact.blobs[1].bytes; });
}

Policy policy_for(const Certificate& certificate) {
  return {.notation = {.certificates = {certificate}}, .image = image, .time = now};
}

} // namespace

TEST_CASE("notation signatures by every kind of key verify", "[sign][notation]") {
  const std::string name = GENERATE("p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096");
  const PrivateKey key = testing::test_key(name);
  const Issued root = testing::make_authority();
  const Issued leaf({}, testing::openssl_key(key), &root);
  const std::string jws =
      sign_notation(image, {{"a", "b"}},
                    {.signer = key, .certificates = {leaf.certificate(), root.certificate()}}, now);
  const auto candidates = candidates_of(make_notation_referrer(image, jws, now));
  Policy policy = policy_for(root.certificate());
  policy.annotations = {{"a", "b"}};
  const Verdict verdict = verify(policy, candidates);
  CAPTURE(verdict.signatures.at(0).reason);
  CHECK(verdict.verified);
  CHECK(verify(policy_for(leaf.certificate()), candidates).verified); // trusted by itself
  const Verdict foreign =
      verify(policy_for(testing::make_authority("Other").certificate()), candidates);
  CHECK_FALSE(foreign.verified);
  CHECK_THAT(foreign.signatures[0].reason, ContainsSubstring("no trusted authority issued it"));
}

TEST_CASE("certificates that notation does not accept are not signed with", "[sign][notation]") {
  const PrivateKey key = PrivateKey::generate();
  const Issued root = testing::make_authority();
  struct Row {
    const char* what;
    testing::CertificateSpec spec;
    const char* reason;
  };
  const auto row =
      GENERATE(Row{"usage not critical", {.key_usage = "digitalSignature"}, "not critical"},
               Row{"no usage", {.key_usage = ""}, "its key usage is not there"},
               Row{"two usages", {.key_usage = "critical,digitalSignature,keyAgreement"}, "alone"},
               Row{"server", {.extended_key_usage = "serverAuth"}, "is not code signing"},
               Row{"authority", {.basic_constraints = "critical,CA:TRUE"}, "an authority's own"});
  CAPTURE(row.what);
  const Issued leaf(row.spec, testing::openssl_key(key), &root);
  const auto sign_with = [&](CertificateChain chain) {
    return failure_of([&] {
      (void)sign_notation(image, {}, {.signer = key, .certificates = std::move(chain)}, now);
    });
  };
  const Error error = sign_with({leaf.certificate(), root.certificate()});
  CHECK(error.code() == ErrorCode::invalid_input);
  if (std::string(row.what) != "authority") {
    CHECK_THAT(error.message(), ContainsSubstring(row.reason));
  }
  const Issued good({}, testing::openssl_key(key), &root);
  CHECK_THAT(sign_with({good.certificate()}).message(),
             ContainsSubstring("does not end in a self-signed root"));
  CHECK_THAT(sign_with({good.certificate(), testing::make_authority().certificate()}).message(),
             ContainsSubstring("the next of its chain did not issue it"));
  CHECK_THAT(sign_with({}).message(), ContainsSubstring("it needs the key's certificates"));
  CHECK(sign_with({good.certificate(), root.certificate()}).message() == "nothing was thrown");
}

TEST_CASE("Ed25519 is no key for notation", "[sign][notation]") {
  const PrivateKey key = testing::test_key("ed25519");
  const Issued root = testing::make_authority();
  const Issued leaf({}, testing::openssl_key(key), &root);
  CHECK_THAT(failure_of([&] {
               (void)sign_notation(
                   image, {},
                   {.signer = key, .certificates = {leaf.certificate(), root.certificate()}}, now);
             }).message(),
             ContainsSubstring("cannot use a key of type ed25519"));
}

TEST_CASE("what was changed in a notation signature is refused for its reason",
          "[sign][notation]") {
  const PrivateKey key = PrivateKey::generate();
  const Issued leaf({}, testing::openssl_key(key)); // self-signed: notation allows it
  const std::string jws =
      sign_notation(image, {}, {.signer = key, .certificates = {leaf.certificate()}}, now);
  const auto field = [&](const std::string& name) {
    const std::string head = "\"" + name + "\":\"";
    const std::size_t begin = jws.find(head) + head.size();
    return jws.substr(begin, jws.find('"', begin) - begin);
  };
  const auto with_header = [&](const std::string& from, const std::string& to) {
    std::string header = *try_base64_url(field("protected"));
    REQUIRE(header.find(from) != std::string::npos);
    header.replace(header.find(from), from.size(), to);
    const std::string payload = field("payload");
    const std::string text = base64_url(header);
    const auto raw =
        ecdsa_to_raw(key.sign(text + "." + payload, Scheme::ecdsa_sha256), KeyType::ecdsa_p256);
    return "{\"payload\":\"" + payload + "\",\"protected\":\"" + text +
           "\",\"header\":{\"x5c\":[\"" + base64(leaf.der()) + "\"]},\"signature\":\"" +
           base64_url(*raw) + "\"}";
  };
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = jws;
    REQUIRE(text.find(from) != std::string::npos);
    return text.replace(text.find(from), from.size(), to);
  };
  const std::string der_signature = base64_url(key.sign("x", Scheme::ecdsa_sha256));
  struct Row {
    std::string jws;
    const char* reason;
  };
  const std::vector<Row> rows{
      {with_header("ES256", "ES384"), "is not that of its certificate's key"},
      {with_header("ES256", "none"), "is not that of its certificate's key"},
      {with_header("\"crit\":[\"io.cncf.notary.signingScheme\"]", "\"crit\":[]"), "must list"},
      {with_header("\"crit\":[", "\"crit\":[\"io.example.more\","), "which is not known"},
      {with_header("\"crit\":[", "\"crit\":[\"io.cncf.notary.expiry\","), "is missing"},
      {with_header("\"notary.x509\"", "\"notary.x509.signingAuthority\""), "must be 'notary.x509'"},
      {with_header("payload.v1+json", "payload.v2+json"), "must be 'application/vnd.cncf"},
      {with_header("2026-06-01T00:00:00Z\"",
                   "2026-06-01T00:00:00Z\",\"io.cncf.notary.expiry\":\"2026-05-01T00:00:00Z\""),
       "it expired at 2026-05-01T00:00:00Z"},
      {replaced(field("signature"), der_signature), "or what it signs was changed"},
      {replaced("\"header\"", "\"more\":1,\"header\""), "'more' is unknown"},
      {replaced("\"x5c\":[", "\"x5d\":["), "'header.x5c' is missing"},
      {replaced(field("payload"), field("payload") + "="), "must be unpadded base64url"},
  };
  for (const Row& row : rows) {
    const Verdict verdict =
        verify(policy_for(leaf.certificate()),
               {{.format = Format::notation_jws, .manifest = image.digest, .content = row.jws}});
    CHECK_FALSE(verdict.verified);
    CHECK_THAT(verdict.signatures.at(0).reason, ContainsSubstring(row.reason));
  }
  Candidate good{.format = Format::notation_jws, .manifest = image.digest, .content = jws};
  CHECK(verify(policy_for(leaf.certificate()), {good}).verified);
  good.annotations["io.cncf.notary.x509chain.thumbprint#S256"] = "[\"00\"]";
  CHECK_THAT(verify(policy_for(leaf.certificate()), {good}).signatures.at(0).reason,
             ContainsSubstring("thumbprints of other certificates"));
  std::string upper = "[\"" + leaf.certificate().fingerprint().hex() + "\"]";
  for (char& c : upper) {
    c = static_cast<char>(std::toupper(c));
  }
  good.annotations["io.cncf.notary.x509chain.thumbprint#S256"] = upper;
  CHECK(verify(policy_for(leaf.certificate()), {good}).verified);
}

TEST_CASE("ECDSA signatures change form and back", "[sign][notation]") {
  const std::string name = GENERATE("p256", "p384", "p521");
  const PrivateKey key = testing::test_key(name);
  const KeyType type = key.public_key().type();
  for (int i = 0; i < 20; ++i) {
    const std::string der = key.sign("m", Scheme::ecdsa_sha256);
    const auto raw = ecdsa_to_raw(der, type);
    REQUIRE(raw.has_value());
    CHECK(ecdsa_to_der(*raw, type) == der);
  }
  CHECK_FALSE(ecdsa_to_der("short", type).has_value());
  CHECK_FALSE(ecdsa_to_raw("no DER", type).has_value());
  const std::string large = testing::test_key("p521").sign("m", Scheme::ecdsa_sha256);
  CHECK_FALSE(ecdsa_to_raw(large, KeyType::ecdsa_p256).has_value());
}

TEST_CASE("CBOR is read as RFC 8949 has it", "[sign][cbor]") {
  const auto parse = [](const std::string& digits) { return parse_cbor(*try_hex(digits), "cbor"); };
  CHECK(parse("00").number == 0);
  CHECK(parse("1903e8").number == 1000);
  CHECK(parse("3903e7").number == -1000);
  CHECK(parse("1b7fffffffffffffff").number == INT64_MAX);
  CHECK(parse("43010203").text == "\x01\x02\x03");
  CHECK(parse("6449455446").text == "IETF");
  CHECK(parse("83010203").items.size() == 3);
  CHECK(parse("a201020304").find(3)->number == 4);
  CHECK(parse("a161610a").find("a")->number == 10);
  CHECK(parse("c11a514b67b0").items.at(0).number == 1363896240);
  CHECK(parse("f6").kind == CborItem::Kind::simple);
  for (const char* bad : {"", "18", "1bffffffffffffffff", "43", "430102", "8301", "9fff", "5f41ff",
                          "62c328", "a2010201", "a201020103", "fb3ff0000000000000", "1c", "0000",
                          "9b00000001000000000000", "8181818181818181818181818181818181818100"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(parse(bad), FormatError);
  }
  CHECK(hex(cbor_bytes("")) == "40");
  CHECK(hex(cbor_bytes(std::string(24, 'a'))).starts_with("581861"));
  CHECK(hex(cbor_bytes(std::string(256, 'a'))).starts_with("59010061"));
  CHECK(hex(cbor_bytes(std::string(70000, 'a'))).starts_with("5a0001117061"));
}
