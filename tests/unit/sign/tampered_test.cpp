// Everything that was changed, by whom or what ever, is refused for its own reason.
#include "aipack/sign/bundle.hpp"
#include "aipack/sign/verify.hpp"

#include "../../support/catch.hpp"
#include "candidates.hpp"

#include <string>
#include <vector>

using namespace aipack;
using namespace aipack::sign;
using namespace aipack::testing;

TEST_CASE("everything that was tampered with is refused for its reason", "[sign][verify]") {
  World& w = world();
  const Candidate good = bundle_by(w.key);
  const std::string statement =
      "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"digest\":{\"sha256\":\"" +
      image.digest.hex() +
      "\"}}],\"predicateType\":\"https://sigstore.dev/cosign/sign/v1\",\"predicate\":{}}";
  const Candidate simple = simple_by(w.key, {"r.example/m:1"}).front();
  const auto simple_with = [&](const std::string& payload) {
    Candidate candidate = simple;
    candidate.content = payload;
    candidate.annotations["dev.cosignproject.cosign/signature"] =
        base64(w.key.sign(payload, Scheme::ecdsa_sha256));
    return candidate;
  };
  const auto leaf = [&](CertificateSpec spec) {
    if (spec.issuer_v2.empty()) {
      spec.issuer_v2 = "https://issuer.example";
    }
    return certified(w.issue(spec));
  };
  const Issued foreign({.issuer_v2 = "https://issuer.example"}, openssl_key(w.leaf_key),
                       &w.other_root);
  const Issued self_signed({.issuer_v2 = "https://issuer.example"}, openssl_key(w.leaf_key));
  const Issued no_authority({.common_name = "not an authority"}, openssl_ec("P-256"), &w.root);
  const Issued grandchild({.issuer_v2 = "https://issuer.example"}, openssl_key(w.leaf_key),
                          &no_authority);
  Candidate weak_certificate = certified(w.leaf);
  {
    const Issued weak({.common_name = "weak"}, OpenSslKey(EVP_RSA_gen(1024)), &w.root);
    weak_certificate = edited(weak_certificate, base64(w.leaf.der()), base64(weak.der()));
  }
  Candidate wrong_curve = certified(w.leaf);
  {
    const Issued curve({.common_name = "curve"}, openssl_ec("secp256k1"), &w.root);
    wrong_curve = edited(wrong_curve, base64(w.leaf.der()), base64(curve.der()));
  }
  std::string deep = "{\"mediaType\":";
  for (int i = 0; i < 100; ++i) {
    deep += "[";
  }

  Policy by_key = key_policy();
  Policy by_certificate = certificate_policy();
  Policy by_tag = key_policy();
  by_tag.reference = oci::Reference::parse("r.example/m:1");
  by_tag.reference_match = ReferenceMatch::match_repo_digest_or_exact;
  Policy annotated = key_policy();
  annotated.annotations = {{"stage", "release"}};

  struct Row {
    const char* what;
    const Policy* policy;
    Candidate candidate;
    const char* reason;
  };
  const std::vector<Row> rows{
      // --- bundles by keys ---
      {"another key", &by_key, bundle_by(w.stranger), "it is not by the trusted key"},
      {"another image", &by_key, bundle_by(w.key, other_image), "another image"},
      {"payload changed", &by_key, with_payload(good, "{}", "{\"a\":1}"),
       "or what it signs was changed"},
      {"digest changed in the payload", &by_key,
       with_payload(bundle_by(w.key, other_image), other_image.digest.hex(), image.digest.hex()),
       "or what it signs was changed"},
      {"signature cut", &by_key,
       bundle_of(write(
           Bundle{.content = Envelope{.payload = statement, .signatures = {{.signature = "0E"}}}})),
       "it is not by the trusted key"},
      {"payload type changed", &by_key, edited(good, "vnd.in-toto+json", "vnd.other+json"),
       "its payload is of type 'application/vnd.other+json'"},
      {"statement of another version", &by_key,
       bundle_around(replaced(statement, "Statement/v1", "Statement/v9")),
       "it is a statement of type"},
      {"no subject", &by_key,
       bundle_around("{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[],"
                     "\"predicateType\":\"https://sigstore.dev/cosign/sign/v1\"}"),
       "none of its subjects is the image"},
      {"null subject", &by_key,
       bundle_around(replaced(statement, "[{\"digest\"", "[null,{\"digest\"")), "must not be null"},
      {"sha512 only", &by_key, bundle_around(replaced(statement, "\"sha256\"", "\"sha512\"")),
       "none of its subjects is the image"},
      {"digest in capitals", &by_key,
       bundle_around(replaced(statement, image.digest.hex(), std::string(64, 'A'))),
       "another image"},
      {"duplicate key in the statement", &by_key,
       bundle_around(
           replaced(statement, "\"predicate\":{}", "\"predicate\":{},\"predicateType\":\"x\"")),
       "'predicateType' stands twice"},
      {"duplicate key in the bundle", &by_key,
       edited(good, "{\"mediaType\"", "{\"mediaType\":\"x\",\"mediaType\""),
       "'mediaType' stands twice"},
      {"unknown field", &by_key, edited(good, "{\"mediaType\"", "{\"extra\":1,\"mediaType\""),
       "'extra' is unknown"},
      {"unknown field deeper", &by_key, edited(good, "{\"sig\"", "{\"cert\":\"x\",\"sig\""),
       "is unknown"},
      {"version 0.2", &by_key, edited(good, "bundle.v0.3", "bundle.v0.2"),
       "version 0.3 is accepted"},
      {"no verification material", &by_key,
       edited(good, "{\"publicKey\":{\"hint\":\"" + w.key.public_key().cosign_hint() + "\"}}",
              "{}"),
       "must hold a public key or a certificate"},
      {"two signatures", &by_key, edited(good, "[{\"sig\":", "[{\"sig\":\"AAAA\"},{\"sig\":"),
       "its envelope has 2 signatures instead of one"},
      {"no signatures", &by_key, bundle_of(write(Bundle{.content = Envelope{.payload = "{}"}})),
       "must hold 1 to 16 signatures"},
      {"key id", &by_key, edited(good, "{\"sig\":", "{\"keyid\":\"k\",\"sig\":"), "has a key id"},
      {"bad base64", &by_key, edited(good, "\"sig\":\"", "\"sig\":\"*"), "must be base64"},
      {"message signature", &by_key,
       bundle_of(write(Bundle{.content = MessageSignature{.signature = "s"}})),
       "not a statement on the image"},
      {"cut off", &by_key, bundle_of(good.content.substr(0, good.content.size() - 1)),
       "it is not valid JSON"},
      {"a list", &by_key, bundle_of("[]"), "its JSON is no object"},
      {"nested deep", &by_key, bundle_of(deep), "nested more than 64 levels"},
      {"empty", &by_key, bundle_of(""), "it is not valid JSON"},
      {"reference asked of a bundle", &by_tag, good, "names no reference to compare"},
      {"annotation missing", &annotated, good, "it lacks the annotation 'stage'"},
      {"annotation other", &annotated, bundle_by(w.key, image, {{"stage", "test"}}),
       "its annotation 'stage' is 'test' instead of 'release'"},

      // --- the signature tag ---
      {"simple: another key", &by_key, simple_by(w.stranger, {"r.example/m"}).front(),
       "it is not by the trusted key"},
      {"simple: another image", &by_key, simple_by(w.key, {"r.example/m"}, other_image).front(),
       "another image"},
      {"simple: payload changed", &by_key, edited(simple, "r.example/m", "r.example/n"),
       "or what it signs was changed"},
      {"simple: no signature", &by_key,
       [&] {
         Candidate candidate = simple;
         candidate.annotations.clear();
         return candidate;
       }(),
       "is missing, or no base64"},
      {"simple: another purpose", &by_key,
       simple_with(replaced(simple.content, "cosign container image signature", "password")),
       "must be 'cosign container image signature'"},
      {"simple: unknown field", &by_key,
       simple_with(replaced(simple.content, "{\"critical\"", "{\"more\":1,\"critical\"")),
       "'more' is unknown"},
      {"simple: no digest", &by_key, simple_with(replaced(simple.content, "sha256:", "sha257:")),
       "must be a sha256 digest"},
      {"simple: another repository", &by_tag, simple_by(w.key, {"r.example/other:1"}).front(),
       "it is for 'r.example/other:1' instead of 'r.example/m:1'"},
      {"simple: another registry", &by_tag, simple_by(w.key, {"evil.example/m:1"}).front(),
       "it is for 'evil.example/m:1'"},
      {"simple: another tag", &by_tag, simple_by(w.key, {"r.example/m:2"}).front(),
       "it is for 'r.example/m:2'"},
      {"simple: no tag", &by_tag, simple_by(w.key, {"r.example/m"}).front(),
       "it is for 'r.example/m' instead of"},
      {"simple: annotation missing", &annotated, simple, "it lacks the annotation"},

      // --- certificates ---
      {"certificate: only keys trusted", &by_key, certified(w.leaf),
       "no authority with an identity"},
      {"key: only certificates trusted", &by_certificate, bundle_by(w.key), "no key is trusted"},
      {"certificate: foreign authority", &by_certificate, certified(foreign),
       "no trusted authority issued it"},
      {"certificate: self-signed", &by_certificate, certified(self_signed),
       "no trusted authority issued it"},
      {"certificate: issued by a leaf", &by_certificate,
       bundle_of(sign_image(image.digest, {},
                            {.signer = w.leaf_key, .certificates = {grandchild.certificate()}})),
       "no trusted authority issued it"},
      {"certificate: expired", &by_certificate, leaf({.until = now - std::chrono::hours(1)}),
       "certificate has expired"},
      {"certificate: not yet valid", &by_certificate, leaf({.from = now + std::chrono::hours(1)}),
       "certificate is not yet valid"},
      {"certificate: for servers", &by_certificate, leaf({.extended_key_usage = "serverAuth"}),
       "its extended key usage is not code signing"},
      {"certificate: for anything", &by_certificate, leaf({.extended_key_usage = ""}),
       "its extended key usage is not code signing"},
      {"certificate: for encryption", &by_certificate,
       leaf({.key_usage = "critical,keyEncipherment"}), "its key usage is not digital signature"},
      {"certificate: an authority's", &by_certificate,
       leaf({.basic_constraints = "critical,CA:TRUE"}), "it is a certificate authority's own"},
      {"certificate: another identity", &by_certificate,
       leaf({.alternative_name = "email:evil@example.org"}),
       "was issued to 'evil@example.org', which is no trusted identity"},
      {"certificate: another issuer", &by_certificate, leaf({.issuer_v2 = "https://evil.example"}),
       "which is no trusted identity"},
      {"certificate: no identity", &by_certificate, leaf({.alternative_name = ""}),
       "was issued to nobody"},
      {"certificate: issuers disagree", &by_certificate,
       leaf({.issuer_v1 = "https://evil.example"}), "two issuer extensions"},
      {"certificate: SHA-1", &by_certificate, leaf({.digest = "SHA1"}), "too weak"},
      {"certificate: weak RSA", &by_certificate, weak_certificate, "its RSA modulus has 1024 bits"},
      {"certificate: wrong curve", &by_certificate, wrong_curve,
       "its elliptic curve is 'secp256k1'"},
      {"certificate: truncated", &by_certificate,
       edited(certified(w.leaf), base64(w.leaf.der()), base64(w.leaf.der().substr(0, 200))),
       "it is no DER certificate"},
      {"certificate: of another key", &by_certificate,
       edited(certified(w.leaf), base64(w.leaf.der()),
              base64(Issued({}, openssl_ec("P-256"), &w.root).der())),
       "it is not by its certificate's key"},
      {"certificate: a chain in version 0.3", &by_certificate,
       edited(certified(w.leaf), "\"certificate\":{\"rawBytes\":\"" + base64(w.leaf.der()) + "\"}",
              "\"x509CertificateChain\":{\"certificates\":[{\"rawBytes\":\"" +
                  base64(w.leaf.der()) + "\"}]}"),
       "version 0.3 holds one certificate"},
  };
  CHECK(rows.size() >= 30);
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Verdict verdict = verify(*row.policy, {row.candidate});
    CHECK_FALSE(verdict.verified);
    CHECK(verdict.attestations.empty());
    REQUIRE(verdict.signatures.size() == 1);
    CHECK_FALSE(verdict.signatures[0].verified);
    CHECK_THAT(verdict.signatures[0].reason, ContainsSubstring(row.reason));
    CHECK_THAT(verdict.signatures[0].reason, ContainsSubstring("cannot "));
  }
}
