#include "aipack/core/error.hpp"
#include "aipack/sign/certificate.hpp"

#include "../../support/catch.hpp"
#include "certificates.hpp"
#include "encoding.hpp"
#include "failure.hpp"
#include "time_text.hpp"

#include <string>

using namespace aipack;
using namespace aipack::sign;
using aipack::testing::failure_of;
using aipack::testing::Issued;
using aipack::testing::now;

TEST_CASE("a certificate says who, by whom and when", "[sign][certificate]") {
  const Issued root = testing::make_authority();
  const Issued leaf({.alternative_name =
                         "email:a@example.org,URI:https://b.example/c,DNS:d.example,"
                         "otherName:1.3.6.1.4.1.57264.1.7;UTF8:e!example.org",
                     .issuer_v2 = "https://issuer.example"},
                    testing::openssl_ec("P-256"), &root);
  const Certificate certificate = leaf.certificate();
  CHECK(certificate.subject() == "CN=release,O=Example,C=US");
  CHECK(certificate.issuer() == "CN=Example Root,O=Example,C=US");
  CHECK(certificate.identities() == std::vector<std::string>{"a@example.org", "https://b.example/c",
                                                             "d.example", "e!example.org"});
  CHECK(certificate.identity_issuer() == "https://issuer.example");
  CHECK(certificate.valid_from() == now - std::chrono::hours(24));
  CHECK(certificate.valid_until() == now + std::chrono::hours(24));
  CHECK(parse_certificates(certificate.to_pem(), "pem").at(0) == certificate);
  CHECK_NOTHROW(check_signing_certificate({certificate}, {{.chain = {root.certificate()}}}, now));
}

TEST_CASE("an intermediate may come with the leaf or with the authority", "[sign][certificate]") {
  const Issued root = testing::make_authority();
  const Issued middle(testing::authority_spec("Middle"), testing::openssl_ec("P-256"), &root);
  const Issued leaf({}, testing::openssl_ec("P-256"), &middle);
  CHECK_NOTHROW(check_signing_certificate({leaf.certificate(), middle.certificate()},
                                          {{.chain = {root.certificate()}}}, now));
  CHECK_NOTHROW(check_signing_certificate(
      {leaf.certificate()}, {{.chain = {middle.certificate(), root.certificate()}}}, now));
  // An anchor need not be a root.
  CHECK_NOTHROW(
      check_signing_certificate({leaf.certificate()}, {{.chain = {middle.certificate()}}}, now));
  CHECK_THROWS_AS(
      check_signing_certificate({leaf.certificate()}, {{.chain = {root.certificate()}}}, now),
      Error);
}

TEST_CASE("an authority that is limited to servers may not issue for code", "[sign][certificate]") {
  auto spec = testing::authority_spec("Middle");
  spec.extended_key_usage = "serverAuth";
  const Issued root = testing::make_authority();
  const Issued middle(spec, testing::openssl_ec("P-256"), &root);
  const Issued leaf({}, testing::openssl_ec("P-256"), &middle);
  const Error error = failure_of([&] {
    check_signing_certificate({leaf.certificate(), middle.certificate()},
                              {{.chain = {root.certificate()}}}, now);
  });
  CHECK_THAT(error.message(), ContainsSubstring("it may not issue for code signing"));
}

TEST_CASE("an authority is trusted only while it is said to be", "[sign][certificate]") {
  const Issued root = testing::make_authority();
  const Issued leaf({}, testing::openssl_ec("P-256"), &root);
  const auto check = [&](ValidFor valid_for) {
    return failure_of([&] {
             check_signing_certificate({leaf.certificate()},
                                       {{.chain = {root.certificate()}, .valid_for = valid_for}},
                                       now);
           })
        .message();
  };
  CHECK(check({now - std::chrono::hours(1), now + std::chrono::hours(1)}) == "nothing was thrown");
  CHECK_THAT(check({now + std::chrono::hours(1), {}}),
             ContainsSubstring("not trusted at 2026-06-01T00:00:00Z"));
  CHECK_THAT(check({{}, now - std::chrono::hours(1)}), ContainsSubstring("not trusted at"));
}

TEST_CASE("names that hide a zero are no identities", "[sign][certificate]") {
  // "a@example.org\0.evil.example" as an e-mail address of 27 octets.
  const Issued leaf({.alternative_name = "email:a@example.orgX.evil.example"},
                    testing::openssl_ec("P-256"));
  std::string der = leaf.der();
  const std::size_t at = der.find("orgX.evil");
  REQUIRE(at != std::string::npos);
  der[at + 3] = '\0';
  CHECK(Certificate::parse_der(der, "certificate").identities().empty());
}

TEST_CASE("certificates of a PEM text become authorities", "[sign][certificate]") {
  const Issued root = testing::make_authority();
  const Issued other = testing::make_authority("Other");
  const Issued middle(testing::authority_spec("Middle"), testing::openssl_ec("P-256"), &root);
  const auto pem = [](const Issued& issued) { return issued.certificate().to_pem(); };
  const auto authorities = parse_authorities(pem(root) + pem(middle) + pem(other), "ca.pem");
  REQUIRE(authorities.size() == 2);
  CHECK(authorities[0].chain.front() == middle.certificate());
  CHECK(authorities[0].chain.back() == root.certificate());
  CHECK(authorities[1].chain.back() == other.certificate());
  CHECK(failure_of([&] { (void)parse_authorities(pem(middle), "ca.pem"); }).code() ==
        ErrorCode::invalid_input);
  CHECK_THROWS_AS(parse_certificates("", "ca.pem"), FormatError);
}

TEST_CASE("truncated and padded certificates are refused", "[sign][certificate]") {
  const std::string der = testing::make_authority().der();
  for (std::size_t length = 0; length < der.size(); ++length) {
    CHECK_THROWS_AS(Certificate::parse_der(std::string_view(der).substr(0, length), "c"),
                    FormatError);
  }
  CHECK_THROWS_AS(Certificate::parse_der(der + '\0', "c"), FormatError);
}

TEST_CASE("a trusted root is read", "[sign][certificate]") {
  const Issued root = testing::make_authority();
  const std::string raw = base64(root.der());
  const std::string json =
      "{\"mediaType\":\"application/vnd.dev.sigstore.trustedroot+json;version=0.1\","
      "\"certificateAuthorities\":[{\"subject\":{\"organization\":\"Example\"},\"uri\":\"u\","
      "\"certChain\":{\"certificates\":[{\"rawBytes\":\"" +
      raw +
      "\"}]},\"validFor\":{\"start\":\"2026-01-01T00:00:00.000Z\",\"end\":\"2026-12-31T23:59:59+"
      "01:00\"}}],\"timestampAuthorities\":[{\"certChain\":{\"certificates\":[{\"rawBytes\":\"" +
      raw + "\"}]}}],\"tlogs\":[]}";
  const TrustedRoot parsed = TrustedRoot::parse(json, "root.json");
  REQUIRE(parsed.certificate_authorities.size() == 1);
  const Authority& authority = parsed.certificate_authorities[0];
  CHECK(authority.chain.back() == root.certificate());
  CHECK(rfc3339(*authority.valid_for.start) == "2026-01-01T00:00:00Z");
  CHECK(rfc3339(*authority.valid_for.end) == "2026-12-31T22:59:59Z");
  CHECK(parsed.timestamp_authorities.size() == 1);
  CHECK_FALSE(parsed.timestamp_authorities[0].valid_for.end.has_value());

  const auto fails = [&](const std::string& from, const std::string& to) {
    std::string changed = json;
    changed.replace(changed.find(from), from.size(), to);
    return failure_of([&] { (void)TrustedRoot::parse(changed, "root.json"); }).message();
  };
  CHECK_THAT(fails("trustedroot", "other"), ContainsSubstring("its media type is"));
  CHECK_THAT(fails("2026-01-01T", "2026-13-01T"), ContainsSubstring("must be a time"));
  CHECK_THAT(fails("{\"rawBytes\":\"" + raw + "\"}", ""), ContainsSubstring("1 to 16"));
  CHECK(TrustedRoot::parse(
            "{\"mediaType\":\"application/vnd.dev.sigstore.trustedroot+json;version=0.1\"}", "r")
            .certificate_authorities.empty());
}

TEST_CASE("times are read as RFC 3339 has them", "[sign][time]") {
  CHECK(rfc3339(*try_rfc3339("2026-11-21T12:00:00Z")) == "2026-11-21T12:00:00Z");
  CHECK(rfc3339(*try_rfc3339("2026-11-21t12:00:00.123456z")) == "2026-11-21T12:00:00Z");
  CHECK(rfc3339(*try_rfc3339("2026-03-01T00:30:00+01:00")) == "2026-02-28T23:30:00Z");
  CHECK(rfc3339(*try_rfc3339("2024-02-29T23:59:60Z")) == "2024-03-01T00:00:00Z");
  for (const char* bad :
       {"", "2026-11-21", "2026-11-21T12:00:00", "2026-11-21 12:00:00Z", "2026-02-30T12:00:00Z",
        "2026-11-21T24:00:00Z", "2026-11-21T12:60:00Z", "2026-11-21T12:00:00.Z",
        "2026-11-21T12:00:00+1:00", "2026-11-21T12:00:00Zx", "+026-11-21T12:00:00Z"}) {
    CAPTURE(bad);
    CHECK_FALSE(try_rfc3339(bad).has_value());
  }
}
