#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"
#include "aipack/sign/key.hpp"

#include "encoding.hpp"
#include "key_impl.hpp"
#include "pem.hpp"

#include <array>
#include <cassert>
#include <utility>

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <sodium.h>

namespace aipack::sign {
namespace {

struct SchemeFacts {
  Scheme scheme;
  std::string_view name;
  const char* digest; ///< null: the scheme hashes by itself
  bool ecdsa = false;
  bool rsa = false;
  bool pss = false;
};
constexpr std::array scheme_facts{
    SchemeFacts{Scheme::ecdsa_sha256, "ecdsa-sha256", "SHA256", true},
    SchemeFacts{Scheme::ecdsa_sha384, "ecdsa-sha384", "SHA384", true},
    SchemeFacts{Scheme::ecdsa_sha512, "ecdsa-sha512", "SHA512", true},
    SchemeFacts{Scheme::rsa_pkcs1_sha256, "rsa-pkcs1-sha256", "SHA256", false, true},
    SchemeFacts{Scheme::rsa_pkcs1_sha512, "rsa-pkcs1-sha512", "SHA512", false, true},
    SchemeFacts{Scheme::rsa_pss_sha256, "rsa-pss-sha256", "SHA256", false, true, true},
    SchemeFacts{Scheme::rsa_pss_sha384, "rsa-pss-sha384", "SHA384", false, true, true},
    SchemeFacts{Scheme::rsa_pss_sha512, "rsa-pss-sha512", "SHA512", false, true, true},
    SchemeFacts{Scheme::ed25519, "ed25519", nullptr},
    SchemeFacts{Scheme::ed25519ph, "ed25519ph", nullptr},
};

const SchemeFacts& facts_of(Scheme scheme) noexcept {
  const SchemeFacts& facts = scheme_facts[static_cast<std::size_t>(scheme)];
  assert(facts.scheme == scheme); // the table is in the order of the enumeration
  return facts;
}

bool fits(const SchemeFacts& facts, KeyType type) noexcept {
  switch (type) {
  case KeyType::ecdsa_p256:
  case KeyType::ecdsa_p384:
  case KeyType::ecdsa_p521:
    return facts.ecdsa;
  case KeyType::rsa:
    return facts.rsa;
  case KeyType::ed25519:
    return !facts.ecdsa && !facts.rsa;
  }
  return false;
}

[[noreturn]] void refuse(std::string_view name, std::string_view cause) {
  throw Error(ErrorCode::unsupported, fmt::format("cannot use key {}: {}", quoted(name), cause));
}

/// The curve by OpenSSL's name for it. A curve spelled out by its parameters is refused even where
/// they are those of a named one: RFC 5480 forbids it, and it was a way to forge (CVE-2020-0601).
KeyType type_of_curve(EVP_PKEY* key, std::string_view name) {
  std::array<char, 64> curve{};
  std::size_t length = 0;
  int is_explicit = 0;
  EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit);
  if (is_explicit == 1 ||
      EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, curve.data(), curve.size(),
                                     &length) != 1) {
    drop_openssl_errors();
    refuse(name, "its elliptic curve is given by parameters instead of a name");
  }
  const std::string_view curve_name(curve.data(), length);
  if (curve_name == "prime256v1") {
    return KeyType::ecdsa_p256;
  }
  if (curve_name == "secp384r1") {
    return KeyType::ecdsa_p384;
  }
  if (curve_name == "secp521r1") {
    return KeyType::ecdsa_p521;
  }
  refuse(name, fmt::format("its elliptic curve is {}; P-256, P-384 and P-521 are accepted",
                           quoted(curve_name)));
}

KeyType type_of(EVP_PKEY* key, std::string_view name) {
  if (EVP_PKEY_is_a(key, "EC") == 1) {
    return type_of_curve(key, name);
  }
  if (EVP_PKEY_is_a(key, "ED25519") == 1) {
    return KeyType::ed25519;
  }
  if (EVP_PKEY_is_a(key, "RSA") != 1) {
    const char* const type = EVP_PKEY_get0_type_name(key);
    refuse(name, fmt::format("it is a {} key; ECDSA, RSA and Ed25519 are accepted",
                             type == nullptr ? "foreign" : type));
  }
  const int bits = EVP_PKEY_get_bits(key);
  if (bits < static_cast<int>(min_rsa_bits)) {
    refuse(name, fmt::format("its RSA modulus has {} bits, fewer than {}", bits, min_rsa_bits));
  }
  if (bits > static_cast<int>(max_rsa_bits)) {
    refuse(name, fmt::format("its RSA modulus has {} bits, more than {}", bits, max_rsa_bits));
  }
  return KeyType::rsa;
}

/// RFC 8032, section 5.1.7, for Ed25519ph: OpenSSL knows it from 3.2 on, libsodium always did.
bool verify_ed25519ph(EVP_PKEY* key, std::string_view message, std::string_view signature) {
  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> raw{};
  std::size_t length = raw.size();
  if (signature.size() != crypto_sign_BYTES ||
      EVP_PKEY_get_raw_public_key(key, raw.data(), &length) != 1) {
    drop_openssl_errors();
    return false;
  }
  crypto_sign_state state{};
  crypto_sign_init(&state);
  crypto_sign_update(&state, data_of(message), message.size());
  return crypto_sign_final_verify(&state, data_of(signature), raw.data()) == 0;
}

bool set_padding(EVP_PKEY_CTX* context, const SchemeFacts& facts) {
  if (!facts.rsa) {
    return true;
  }
  if (!facts.pss) {
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  }
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

const EVP_MD* digest_of(const SchemeFacts& facts) {
  return facts.digest == nullptr ? nullptr : EVP_get_digestbyname(facts.digest);
}

} // namespace

std::string_view to_string(Scheme scheme) noexcept {
  return facts_of(scheme).name;
}

std::string_view to_string(KeyType type) noexcept {
  switch (type) {
  case KeyType::ecdsa_p256:
    return "ecdsa-p256";
  case KeyType::ecdsa_p384:
    return "ecdsa-p384";
  case KeyType::ecdsa_p521:
    return "ecdsa-p521";
  case KeyType::rsa:
    return "rsa";
  case KeyType::ed25519:
    return "ed25519";
  }
  return "";
}

Scheme default_scheme(KeyType type) noexcept {
  return accepted_schemes(type).front();
}

std::span<const Scheme> accepted_schemes(KeyType type) noexcept {
  static constexpr std::array p256{Scheme::ecdsa_sha256};
  static constexpr std::array p384{Scheme::ecdsa_sha256, Scheme::ecdsa_sha384};
  static constexpr std::array p521{Scheme::ecdsa_sha256, Scheme::ecdsa_sha512};
  static constexpr std::array rsa{Scheme::rsa_pkcs1_sha256, Scheme::rsa_pkcs1_sha512};
  static constexpr std::array ed25519{Scheme::ed25519, Scheme::ed25519ph};
  switch (type) {
  case KeyType::ecdsa_p256:
    return p256;
  case KeyType::ecdsa_p384:
    return p384;
  case KeyType::ecdsa_p521:
    return p521;
  case KeyType::rsa:
    return rsa;
  case KeyType::ed25519:
    return ed25519;
  }
  return p256;
}

PublicKey public_key_of(EVP_PKEY* key, std::string_view name) {
  // Encoded and decoded again: the copy holds no private part, does not depend on a token, and its
  // DER is the canonical one that fingerprints are made of.
  return PublicKey::parse_der(encode_der(i2d_PUBKEY, key), name);
}

PublicKey PublicKey::parse_der(std::string_view der, std::string_view name) {
  KeyPtr key = decode_der<KeyPtr>(d2i_PUBKEY, der);
  if (key == nullptr) {
    throw FormatError(std::string(name), std::nullopt, "it is no DER public key (X.509 SPKI)");
  }
  const KeyType type = type_of(key.get(), name);
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  require(context != nullptr, "check a key");
  if (EVP_PKEY_public_check(context.get()) != 1) {
    throw FormatError(std::string(name), std::nullopt,
                      "its public key is not valid: " + take_openssl_error());
  }
  if (type == KeyType::ecdsa_p256 || type == KeyType::ecdsa_p384 || type == KeyType::ecdsa_p521) {
    // One form for one key, or its fingerprint would depend on who wrote it.
    require(EVP_PKEY_set_utf8_string_param(key.get(), OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                           "uncompressed") == 1,
            "normalise a key");
  }
  const auto bits = static_cast<unsigned>(EVP_PKEY_get_bits(key.get()));
  std::string canonical = encode_der(i2d_PUBKEY, key.get());
  return PublicKey(
      std::make_shared<const Impl>(Impl{std::move(key), type, bits, std::move(canonical)}));
}

PublicKey PublicKey::parse(std::string_view pem, std::string_view name) {
  for (const PemBlock& block : parse_pem(pem, name)) {
    if (block.label == "PUBLIC KEY") {
      return parse_der(block.content.bytes, name);
    }
    if (block.label == "RSA PUBLIC KEY") {
      const unsigned char* at = data_of(block.content.bytes);
      const KeyPtr key(
          d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, static_cast<long>(block.content.bytes.size())));
      if (key == nullptr) {
        drop_openssl_errors();
        throw FormatError(std::string(name), std::nullopt, "it is no DER public key (PKCS#1)");
      }
      return public_key_of(key.get(), name);
    }
    if (block.label.ends_with("PRIVATE KEY")) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read public key {}: it is a private key", quoted(name)));
    }
    if (block.label == "CERTIFICATE") {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read public key {}: it is a certificate", quoted(name)));
    }
  }
  throw FormatError(std::string(name), std::nullopt, "there is no public key in it");
}

PublicKey PublicKey::read(const std::filesystem::path& path) {
  return parse(io::read_text_file(path, max_key_file_bytes), path.string());
}

KeyType PublicKey::type() const noexcept {
  return impl_->type;
}

unsigned PublicKey::bits() const noexcept {
  return impl_->bits;
}

std::string PublicKey::to_pem() const {
  return write_pem("PUBLIC KEY", impl_->der);
}

const std::string& PublicKey::to_der() const noexcept {
  return impl_->der;
}

oci::Digest PublicKey::fingerprint() const {
  return oci::Digest::of(impl_->der);
}

std::string PublicKey::cosign_hint() const {
  return base64(sha256(impl_->der));
}

std::string PublicKey::model_signing_hint() const {
  return hex(sha256(to_pem()));
}

bool PublicKey::verify(std::string_view message, std::string_view signature, Scheme scheme) const {
  const SchemeFacts& facts = facts_of(scheme);
  if (!fits(facts, type())) {
    return false;
  }
  if (scheme == Scheme::ed25519ph) {
    return verify_ed25519ph(impl_->key.get(), message, signature);
  }
  const DigestContextPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr; // owned by `context`
  require(context != nullptr &&
              EVP_DigestVerifyInit(context.get(), &parameters, digest_of(facts), nullptr,
                                   impl_->key.get()) == 1 &&
              set_padding(parameters, facts),
          "verify a signature");
  const bool holds = EVP_DigestVerify(context.get(), data_of(signature), signature.size(),
                                      data_of(message), message.size()) == 1;
  drop_openssl_errors();
  return holds;
}

std::optional<Scheme> PublicKey::verify_any(std::string_view message, std::string_view signature,
                                            std::span<const Scheme> schemes) const {
  for (const Scheme scheme : schemes) {
    if (verify(message, signature, scheme)) {
      return scheme;
    }
  }
  return std::nullopt;
}

std::string sign_with(EVP_PKEY* key, KeyType type, std::string_view message, Scheme scheme) {
  const SchemeFacts& facts = facts_of(scheme);
  if (!fits(facts, type) || scheme == Scheme::ed25519ph) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot sign: {} is no scheme for a key of type {}", facts.name,
                            to_string(type)));
  }
  const DigestContextPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr; // owned by `context`
  std::string signature;
  std::size_t length = 0;
  const bool done =
      context != nullptr &&
      EVP_DigestSignInit(context.get(), &parameters, digest_of(facts), nullptr, key) == 1 &&
      set_padding(parameters, facts) &&
      EVP_DigestSign(context.get(), nullptr, &length, data_of(message), message.size()) == 1 &&
      (signature.resize(length), true) &&
      EVP_DigestSign(context.get(), data_of(signature), &length, data_of(message),
                     message.size()) == 1;
  if (!done) {
    throw Error(ErrorCode::unavailable, "cannot sign: the key refuses: " + take_openssl_error());
  }
  signature.resize(length);
  return signature;
}

void check_pair(EVP_PKEY* key, const PublicKey& public_key, std::string_view name) {
  constexpr std::string_view message = "aipack checks a key pair";
  const Scheme scheme = default_scheme(public_key.type());
  if (!public_key.verify(message, sign_with(key, public_key.type(), message, scheme), scheme)) {
    throw FormatError(std::string(name), std::nullopt,
                      "its private and its public part do not belong together");
  }
}

} // namespace aipack::sign
