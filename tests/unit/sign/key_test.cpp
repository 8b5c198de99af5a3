#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/sign/key.hpp"

#include "../../support/catch.hpp"
#include "../../support/temp.hpp"
#include "encoding.hpp"
#include "failure.hpp"
#include "openssl_keys.hpp"
#include "test_keys.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <unistd.h>

using namespace aipack;
using namespace aipack::sign;
using aipack::testing::failure_of;
using aipack::testing::openssl_ec;
using aipack::testing::OpenSslKey;

namespace {

PasswordSource password(std::string text) {
  return [text = std::move(text)] { return text; };
}

} // namespace

TEST_CASE("a key of every kind signs, and only its public half verifies", "[sign][key]") {
  const std::string name =
      GENERATE("p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519");
  const PrivateKey key = testing::test_key(name);
  const PublicKey other = PrivateKey::generate().public_key();
  for (const Scheme scheme : accepted_schemes(key.public_key().type())) {
    CAPTURE(name, to_string(scheme));
    if (scheme == Scheme::ed25519ph) {
      CHECK(failure_of([&] { (void)key.sign("message", scheme); }).code() ==
            ErrorCode::invalid_input);
      continue;
    }
    std::string signature = key.sign("message", scheme);
    CHECK(key.public_key().verify("message", signature, scheme));
    CHECK_FALSE(key.public_key().verify("massage", signature, scheme));
    CHECK_FALSE(other.verify("message", signature, scheme));
    CHECK(key.public_key().verify_any("message", signature,
                                      accepted_schemes(key.public_key().type())) == scheme);
    CHECK_FALSE(key.public_key().verify("message", "", scheme));
    CHECK_FALSE(key.public_key().verify("message", signature + '\0', scheme));
    signature[signature.size() / 2] ^= 1;
    CHECK_FALSE(key.public_key().verify("message", signature, scheme));
  }
}

TEST_CASE("RSA-PSS signatures carry a salt as long as the digest", "[sign][key]") {
  const PrivateKey key = testing::test_key("rsa2048");
  for (const Scheme scheme :
       {Scheme::rsa_pss_sha256, Scheme::rsa_pss_sha384, Scheme::rsa_pss_sha512}) {
    CHECK(key.public_key().verify("message", key.sign("message", scheme), scheme));
  }
  CHECK_FALSE(key.public_key().verify("message", key.sign("message", Scheme::rsa_pkcs1_sha256),
                                      Scheme::rsa_pss_sha256));
}

TEST_CASE("a key refuses schemes of other kinds", "[sign][key]") {
  const PrivateKey key = PrivateKey::generate();
  CHECK(failure_of([&] { (void)key.sign("m", Scheme::ed25519); }).message() ==
        "cannot sign: ed25519 is no scheme for a key of type ecdsa-p256");
  CHECK_FALSE(key.public_key().verify("m", key.sign("m", Scheme::ecdsa_sha256), Scheme::ed25519));
}

TEST_CASE("Ed25519ph verifies the vector of RFC 8032, section 7.3", "[sign][key]") {
  const auto raw = try_hex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf");
  const auto signature =
      try_hex("98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
              "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406");
  // SubjectPublicKeyInfo of RFC 8410, section 4.
  const PublicKey key = PublicKey::parse_der(*try_hex("302a300506032b6570032100") + *raw, "RFC");
  CHECK(key.type() == KeyType::ed25519);
  CHECK(key.verify("abc", *signature, Scheme::ed25519ph));
  CHECK_FALSE(key.verify("abc", *signature, Scheme::ed25519));
  CHECK_FALSE(key.verify("abd", *signature, Scheme::ed25519ph));
  CHECK(key.verify_any("abc", *signature, accepted_schemes(key.type())) == Scheme::ed25519ph);
}

TEST_CASE("a private key survives every format that it is written in", "[sign][key]") {
  const auto format = GENERATE(KeyFormat::cosign, KeyFormat::pkcs8_encrypted, KeyFormat::pkcs8);
  const std::string text = GENERATE("", "correct horse", "pässwörd");
  const std::string type = GENERATE("p256", "p521", "rsa2048", "ed25519");
  const PrivateKey key = testing::test_key(type);
  const Secret pem = key.to_pem(format, Secret(std::string_view(text)));
  const PrivateKey again = PrivateKey::parse(pem.view(), "key", password(text));
  CHECK(again.public_key() == key.public_key());
  const Scheme scheme = default_scheme(key.public_key().type());
  CHECK(key.public_key().verify("m", again.sign("m", scheme), scheme));
}

TEST_CASE("keys of cosign 2.5 and 3.1 are read", "[sign][key]") {
  const std::string name = GENERATE("cosign2", "cosign3");
  const PrivateKey key =
      PrivateKey::parse(testing::sign_data(name + ".key"), name, password("correct-horse"));
  CHECK(key.public_key() == PublicKey::parse(testing::sign_data(name + ".pub"), name));
  CHECK(key.public_key().to_pem() == testing::sign_data(name + ".pub"));
}

TEST_CASE("the older label of cosign's keys is read", "[sign][key]") {
  std::string pem = testing::sign_data("cosign2.key");
  for (std::size_t at; (at = pem.find("SIGSTORE")) != std::string::npos;) {
    pem.replace(at, 8, "COSIGN");
  }
  CHECK_NOTHROW(PrivateKey::parse(pem, "old", password("correct-horse")));
}

TEST_CASE("a wrong password is told from a missing one", "[sign][key]") {
  const auto format = GENERATE(KeyFormat::cosign, KeyFormat::pkcs8_encrypted);
  const PrivateKey key = PrivateKey::generate();
  const Secret pem = key.to_pem(format, Secret("right"));
  const Error wrong =
      failure_of([&] { (void)PrivateKey::parse(pem.view(), "my.key", password("wrong")); });
  CHECK(wrong.code() == ErrorCode::unauthenticated);
  CHECK(wrong.message() ==
        "cannot read private key 'my.key': the password is wrong, or the file damaged");
  const Error missing = failure_of([&] { (void)PrivateKey::parse(pem.view(), "my.key"); });
  CHECK(missing.code() == ErrorCode::unauthenticated);
  CHECK_THAT(missing.message(), ContainsSubstring("there is no password"));
}

TEST_CASE("SEC1 and PKCS#1 keys are read", "[sign][key]") {
  const OpenSslKey ec = openssl_ec("P-384");
  const OpenSslKey rsa(EVP_RSA_gen(2048));
  for (EVP_PKEY* const key : {ec.get(), rsa.get()}) {
    const PrivateKey read = PrivateKey::parse(testing::traditional_pem(key), "key");
    CHECK(read.public_key() == PublicKey::parse(testing::public_pem(key), "pub"));
  }
  const std::string parameters =
      "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n";
  CHECK_NOTHROW(PrivateKey::parse(parameters + testing::traditional_pem(ec.get()), "key"));
}

TEST_CASE("what is no usable key is refused with its reason", "[sign][key]") {
  const OpenSslKey weak(EVP_RSA_gen(1024));
  const OpenSslKey bitcoin = openssl_ec("secp256k1");
  const OpenSslKey small = openssl_ec("P-224");
  const OpenSslKey x25519(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  const OpenSslKey ec = openssl_ec("P-256");
  const OpenSslKey explicit_curve = openssl_ec("P-256");
  REQUIRE(EVP_PKEY_set_utf8_string_param(explicit_curve.get(), OSSL_PKEY_PARAM_EC_ENCODING,
                                         "explicit") == 1);
  const std::string pem = testing::public_pem(ec.get());
  struct Row {
    const char* what;
    std::string text;
    ErrorCode code;
    const char* cause;
  };
  const std::vector<Row> rows{
      {"weak RSA", testing::public_pem(weak.get()), ErrorCode::unsupported,
       "its RSA modulus has 1024 bits, fewer than 2048"},
      {"secp256k1", testing::public_pem(bitcoin.get()), ErrorCode::unsupported,
       "its elliptic curve is 'secp256k1'"},
      {"P-224", testing::public_pem(small.get()), ErrorCode::unsupported,
       "its elliptic curve is 'secp224r1'"},
      {"explicit curve", testing::public_pem(explicit_curve.get()), ErrorCode::unsupported,
       "given by parameters instead of a name"},
      {"X25519", testing::public_pem(x25519.get()), ErrorCode::unsupported, "it is a X25519 key"},
      {"empty", "", ErrorCode::corrupt, "there is no PEM block in it"},
      {"binary", std::string("\x00\x01\xff", 3), ErrorCode::corrupt, "there is no PEM block"},
      {"no end", pem.substr(0, pem.size() / 2), ErrorCode::corrupt, "its PEM block is damaged"},
      {"truncated DER",
       "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC "
       "KEY-----\n",
       ErrorCode::corrupt, "it is no DER public key"},
      {"private", testing::pkcs8_pem(ec.get()), ErrorCode::invalid_input, "it is a private key"},
      {"other", "-----BEGIN THING-----\nAAAA\n-----END THING-----\n", ErrorCode::corrupt,
       "there is no public key in it"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Error error = failure_of([&] { (void)PublicKey::parse(row.text, "it.pub"); });
    CHECK(error.code() == row.code);
    CHECK_THAT(error.message(), ContainsSubstring(row.cause));
  }
}

TEST_CASE("a key file that cannot be read is named, with the reason", "[sign][key]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "it.pub";
  const auto check = [&](ErrorCode code) {
    const Error of_public = failure_of([&] { (void)PublicKey::read(file); });
    CAPTURE(of_public.message());
    CHECK(of_public.code() == code);
    CHECK_THAT(of_public.message(), ContainsSubstring(file.string()));
    const Error of_private = failure_of([&] { (void)PrivateKey::read(file); });
    CAPTURE(of_private.message());
    CHECK(of_private.code() == code);
    CHECK_THAT(of_private.message(), ContainsSubstring(file.string()));
  };
  const auto write_private = [&](const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
    std::filesystem::permissions(file, std::filesystem::perms::owner_read |
                                           std::filesystem::perms::owner_write);
  };
  SECTION("missing") {
    check(ErrorCode::not_found);
  }
  SECTION("a directory") {
    std::filesystem::create_directory(file);
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    check(ErrorCode::io);
  }
  SECTION("empty") {
    write_private("");
    check(ErrorCode::corrupt);
  }
  SECTION("too large") {
    write_private(std::string(max_key_file_bytes + 1, 'x'));
    check(ErrorCode::corrupt);
  }
  SECTION("not for us") {
    if (::geteuid() == 0) {
      WARN("skipped: root may read everything");
      return;
    }
    write_private(PrivateKey::generate().public_key().to_pem());
    std::filesystem::permissions(file, std::filesystem::perms::none);
    check(ErrorCode::denied);
  }
}

TEST_CASE("DER with something behind the key is refused", "[sign][key]") {
  const std::string der = PrivateKey::generate().public_key().to_der();
  CHECK_NOTHROW(PublicKey::parse_der(der, "key"));
  CHECK_THROWS_AS(PublicKey::parse_der(der + "x", "key"), FormatError);
  for (std::size_t length = 0; length < der.size(); ++length) {
    CHECK_THROWS_AS(PublicKey::parse_der(std::string_view(der).substr(0, length), "key"),
                    FormatError);
  }
}

TEST_CASE("a point that is not on its curve is refused", "[sign][key]") {
  std::string der = PrivateKey::generate().public_key().to_der();
  der.back() ^= 1;
  CHECK_THROWS_AS(PublicKey::parse_der(der, "key"), FormatError);
}

TEST_CASE("private keys that are weak or strange are refused", "[sign][key]") {
  const OpenSslKey weak(EVP_RSA_gen(1024));
  const OpenSslKey ec = openssl_ec("P-256");
  const Error weak_error =
      failure_of([&] { (void)PrivateKey::parse(testing::pkcs8_pem(weak.get()), "key"); });
  CHECK(weak_error.code() == ErrorCode::unsupported);
  const Error md5 = failure_of([&] {
    (void)PrivateKey::parse(testing::traditional_pem(ec.get(), EVP_aes_128_cbc()), "key",
                            password("secret"));
  });
  CHECK(md5.code() == ErrorCode::unsupported);
  CHECK(md5.hint() == "convert it with 'openssl pkcs8 -topk8'");
  const Error is_public =
      failure_of([&] { (void)PrivateKey::parse(testing::public_pem(ec.get()), "key"); });
  CHECK(is_public.code() == ErrorCode::invalid_input);
}

TEST_CASE("a key whose halves do not belong together is refused", "[sign][key]") {
  // SEC1 carries both: the public part of another key is put in.
  const OpenSslKey one = openssl_ec("P-256");
  const OpenSslKey two = openssl_ec("P-256");
  const auto der = [](EVP_PKEY* key) {
    unsigned char* out = nullptr;
    const int length = i2d_PrivateKey(key, &out);
    std::string text(reinterpret_cast<char*>(out), static_cast<std::size_t>(length));
    OPENSSL_free(out);
    return text;
  };
  std::string mixed = der(one.get());
  const std::string other = der(two.get());
  mixed.replace(mixed.size() - 64, 64, other.substr(other.size() - 64));
  const std::string pem =
      "-----BEGIN EC PRIVATE KEY-----\n" + base64(mixed) + "\n-----END EC PRIVATE KEY-----\n";
  const Error error = failure_of([&] { (void)PrivateKey::parse(pem, "key"); });
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK_THAT(error.message(), ContainsSubstring("do not belong together"));
}

TEST_CASE("cosign keys with other parameters than cosign's are refused", "[sign][key]") {
  struct Row {
    const char* from;
    const char* to;
    ErrorCode code;
    const char* cause;
  };
  const auto row =
      GENERATE(Row{"65536", "16384", ErrorCode::unsupported, "its scrypt cost is 16384"},
               Row{"65536", "262144", ErrorCode::unsupported, "its scrypt cost is 262144"},
               Row{"65536", "32768", ErrorCode::unauthenticated, "the password is wrong"},
               Row{"\"r\":8", "\"r\":9", ErrorCode::unsupported, "are not r = 8 and p = 1"},
               Row{"\"p\":1", "\"p\":2", ErrorCode::unsupported, "are not r = 8 and p = 1"},
               Row{"scrypt", "argon2", ErrorCode::unsupported, "not locked by scrypt"},
               Row{"nacl/secretbox", "aes", ErrorCode::unsupported, "not locked by scrypt"},
               Row{"\"salt\":\"", "\"salt\":\"AAAA", ErrorCode::corrupt, "salt, nonce or box"},
               Row{"\"nonce\":\"", "\"nonce\":\"AAAA", ErrorCode::corrupt, "salt, nonce or box"},
               Row{"\"nonce\":\"", "\"nonce\":\"!", ErrorCode::corrupt, "must be base64"},
               Row{"{\"kdf\"", "{\"kdf\":1,\"kdf\"", ErrorCode::corrupt, "stands twice"},
               Row{"\"ciphertext\"", "\"text\"", ErrorCode::corrupt, "'ciphertext' is missing"});
  const std::string pem = testing::sign_data("cosign2.key");
  const std::size_t begin = pem.find('\n') + 1;
  std::string body = pem.substr(begin, pem.find("\n-----END") - begin);
  std::erase(body, '\n');
  std::string json = *try_base64(body);
  const std::size_t at = json.find(row.from);
  REQUIRE(at != std::string::npos);
  json.replace(at, std::string(row.from).size(), row.to);
  const std::string label = "ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
  // OpenSSL wants lines of at most 76 columns where they are wrapped at all.
  std::string wrapped;
  const std::string encoded = base64(json);
  for (std::size_t i = 0; i < encoded.size(); i += 64) {
    wrapped += encoded.substr(i, 64) + "\n";
  }
  const std::string changed = "-----BEGIN " + label + wrapped + "-----END " + label;
  CAPTURE(row.from, row.to);
  const Error error =
      failure_of([&] { (void)PrivateKey::parse(changed, "key", password("correct-horse")); });
  CHECK(error.code() == row.code);
  CHECK_THAT(error.message(), ContainsSubstring(row.cause));
}

TEST_CASE("key files are private, and stay so", "[sign][key]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "my.key";
  const PrivateKey key = PrivateKey::generate();
  write_private_key(path, key.to_pem(KeyFormat::pkcs8));
  using std::filesystem::perms;
  CHECK(std::filesystem::status(path).permissions() == (perms::owner_read | perms::owner_write));
  CHECK(PrivateKey::read(path).public_key() == key.public_key());

  const std::string before = testing::read_file(path);
  const Error exists =
      failure_of([&] { write_private_key(path, PrivateKey::generate().to_pem(KeyFormat::pkcs8)); });
  CHECK(exists.code() == ErrorCode::already_exists);
  CHECK(testing::read_file(path) == before);

  for (const perms more : {perms::group_read, perms::others_read, perms::group_write}) {
    std::filesystem::permissions(path, perms::owner_read | perms::owner_write | more);
    const Error open = failure_of([&] { (void)PrivateKey::read(path); });
    CHECK(open.code() == ErrorCode::denied);
    CHECK_THAT(open.message(), ContainsSubstring("lets others at it"));
    CHECK(open.hint() == "chmod 600 " + path.string());
  }
  CHECK(failure_of([&] { (void)PrivateKey::read(directory.path() / "none"); }).code() ==
        ErrorCode::not_found);
}

TEST_CASE("hints are those of cosign and of OpenSSF model signing", "[sign][key]") {
  const std::string pem = testing::sign_data("cosign3.pub");
  const PublicKey key = PublicKey::parse(pem, "key");
  // openssl pkey -pubin -in cosign3.pub -outform DER | openssl dgst -sha256 -binary | base64
  CHECK(key.cosign_hint() == base64(sha256(key.to_der())));
  CHECK(key.cosign_hint().size() == 44);
  // sha256sum cosign3.pub
  CHECK(key.model_signing_hint() == hex(sha256(pem)));
  CHECK(key.fingerprint().hex() == hex(*try_base64(key.cosign_hint())));
}

TEST_CASE("keys are made as they are named", "[sign][key]") {
  CHECK(PrivateKey::generate().public_key().type() == KeyType::ecdsa_p256);
  CHECK(PrivateKey::generate(KeySpec::parse("rsa2048")).public_key().bits() == 2048);
  CHECK(KeySpec::parse("rsa3072").rsa_bits == 3072);
  CHECK(KeySpec::parse("rsa4096").rsa_bits == 4096);
  CHECK_THROWS_AS(PrivateKey::generate({KeyType::rsa, 1024}), Error);
}

TEST_CASE("KeySpec::parse lists the names that it knows", "[sign][key]") {
  CHECK(failure_of([] { (void)KeySpec::parse("dsa"); }).message() ==
        "cannot make a key of type 'dsa': the types are p256, p384, p521, rsa2048, rsa3072, "
        "rsa4096, ed25519");
}

TEST_CASE("secrets are wiped, moved and taken over", "[sign][secret]") {
  std::string source = "a password that does not fit into a small string";
  const std::string copy = source;
  Secret secret(std::move(source));
  CHECK(secret.view() == copy);
  CHECK(source.empty()); // NOLINT(bugprone-use-after-move): promised by the constructor
  Secret moved(std::move(secret));
  CHECK(moved.view() == copy);
  CHECK(secret.view().empty()); // NOLINT(bugprone-use-after-move)
}
