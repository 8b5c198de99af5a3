// The two ways in which a private key is locked by a password: cosign's own and PKCS#8's.
//
// cosign (its pkg/cosign and go-securesystemslib's "encrypted"): PEM around compact JSON
//   {"kdf":{"name":"scrypt","params":{"N":…,"r":8,"p":1},"salt":b64(32 bytes)},
//    "cipher":{"name":"nacl/secretbox","nonce":b64(24 bytes)},"ciphertext":b64(tag, box)}
// key = scrypt(password, salt, N, r, p, 32 bytes); box = XSalsa20-Poly1305 of a PKCS#8 key.
#include "aipack/core/text.hpp"

#include "encoding.hpp"
#include "json.hpp"
#include "key_impl.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include <fmt/format.h>
#include <openssl/asn1t.h>
#include <openssl/objects.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <sodium.h>

namespace aipack::sign {
namespace {

/// Measured: cosign 2.5 and 3.1 read these costs and no others.
constexpr std::array<std::uint64_t, 3> cosign_costs{32768, 65536, 131072};
constexpr std::uint64_t written_cosign_cost = 65536;
constexpr std::uint32_t scrypt_r = 8;
constexpr std::uint32_t scrypt_p = 1;
constexpr std::size_t salt_bytes = 32;

/// OWASP's advice of 2023 for PBKDF2-HMAC-SHA-256; what is read may ask for more, up to a cost of
/// some seconds.
constexpr int written_pbkdf2_rounds = 600'000;
constexpr long max_pbkdf2_rounds = 20'000'000;

struct BoxKey {
  std::array<unsigned char, crypto_secretbox_KEYBYTES> bytes{};
  ~BoxKey() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

void derive(BoxKey& key, const Secret& password, std::string_view salt, std::uint64_t cost) {
  if (crypto_pwhash_scryptsalsa208sha256_ll(data_of(password.view()), password.view().size(),
                                            data_of(salt), salt.size(), cost, scrypt_r, scrypt_p,
                                            key.bytes.data(), key.bytes.size()) != 0) {
    throw Error(ErrorCode::io, "cannot derive a key from the password: out of memory");
  }
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  require(RAND_bytes(data_of(bytes), static_cast<int>(count)) == 1, "make random bytes");
  return bytes;
}

[[noreturn]] void refuse(std::string_view name, std::string_view cause) {
  throw Error(ErrorCode::unsupported,
              fmt::format("cannot read private key {}: {}", quoted(name), cause));
}

/// Limits on what a PBES2 header may ask of this machine; other encryptions are refused: MD5, DES
/// and RC2 protect nothing. RFC 8018, appendix A.
void check_pbes2(const X509_ALGOR* algorithm, std::string_view name) {
  const ASN1_OBJECT* kind = nullptr;
  X509_ALGOR_get0(&kind, nullptr, nullptr, algorithm);
  if (OBJ_obj2nid(kind) != NID_pbes2) {
    throw Error(
        ErrorCode::unsupported,
        fmt::format("cannot read private key {}: its encryption is not PBES2", quoted(name)))
        .with_hint("convert it with 'openssl pkcs8 -topk8'");
  }
  const OpenSslPtr<PBE2PARAM, PBE2PARAM_free> parameters(static_cast<PBE2PARAM*>(
      ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter)));
  if (parameters == nullptr) {
    drop_openssl_errors();
    throw FormatError(std::string(name), std::nullopt, "its PBES2 parameters are damaged");
  }
  const int derivation = OBJ_obj2nid(parameters->keyfunc->algorithm);
  if (derivation == NID_id_scrypt) {
    return; // OpenSSL refuses more than 32 MiB of memory by itself
  }
  const OpenSslPtr<PBKDF2PARAM, PBKDF2PARAM_free> pbkdf2(
      derivation != NID_id_pbkdf2
          ? nullptr
          : static_cast<PBKDF2PARAM*>(ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM),
                                                                parameters->keyfunc->parameter)));
  drop_openssl_errors();
  const long rounds = pbkdf2 == nullptr ? -1 : ASN1_INTEGER_get(pbkdf2->iter);
  if (rounds < 1 || rounds > max_pbkdf2_rounds) {
    refuse(name, fmt::format("its key derivation is neither scrypt nor PBKDF2 with at most {} "
                             "rounds",
                             max_pbkdf2_rounds));
  }
}

[[noreturn]] void throw_wrong_password(std::string_view name) {
  throw Error(ErrorCode::unauthenticated,
              fmt::format("cannot read private key {}: the password is wrong, or the file damaged",
                          quoted(name)));
}

/// Only once it is clear that there is something to unlock.
Secret ask(const PasswordSource& password, std::string_view name) {
  if (!password) {
    throw Error(ErrorCode::unauthenticated,
                fmt::format("cannot read private key {}: it is locked, and there is no password",
                            quoted(name)));
  }
  return Secret(password());
}

} // namespace

WipedBytes open_cosign_box(std::string_view json, std::string_view name,
                           const PasswordSource& password) {
  const nlohmann::json document = parse_json(json, name, max_key_file_bytes);
  const JsonField root(document, name);
  const JsonField kdf = root.get("kdf");
  const JsonField cipher = root.get("cipher");
  if (kdf.get("name").text() != "scrypt" || cipher.get("name").text() != "nacl/secretbox") {
    refuse(name, "it is not locked by scrypt and nacl/secretbox");
  }
  const JsonField params = kdf.get("params");
  const std::uint64_t cost = params.get("N").count();
  if (std::find(cosign_costs.begin(), cosign_costs.end(), cost) == cosign_costs.end()) {
    refuse(name, fmt::format("its scrypt cost is {}; 32768, 65536 and 131072 are accepted", cost));
  }
  if (params.get("r").count() != scrypt_r || params.get("p").count() != scrypt_p) {
    refuse(name, "its scrypt parameters are not r = 8 and p = 1");
  }
  const std::string salt = kdf.get("salt").bytes();
  const std::string nonce = cipher.get("nonce").bytes();
  const std::string box = root.get("ciphertext").bytes();
  if (salt.size() != salt_bytes || nonce.size() != crypto_secretbox_NONCEBYTES ||
      box.size() < crypto_secretbox_MACBYTES) {
    throw FormatError(std::string(name), std::nullopt, "its salt, nonce or box is too short");
  }
  BoxKey key;
  derive(key, ask(password, name), salt, cost);
  WipedBytes plain{std::string(box.size() - crypto_secretbox_MACBYTES, '\0')};
  if (crypto_secretbox_open_easy(data_of(plain.bytes), data_of(box), box.size(), data_of(nonce),
                                 key.bytes.data()) != 0) {
    throw_wrong_password(name);
  }
  return plain;
}

std::string seal_cosign_box(std::string_view pkcs8, const Secret& password) {
  const std::string salt = random_bytes(salt_bytes);
  const std::string nonce = random_bytes(crypto_secretbox_NONCEBYTES);
  BoxKey key;
  derive(key, password, salt, written_cosign_cost);
  std::string box(pkcs8.size() + crypto_secretbox_MACBYTES, '\0');
  require(crypto_secretbox_easy(data_of(box), data_of(pkcs8), pkcs8.size(), data_of(nonce),
                                key.bytes.data()) == 0,
          "lock a key");
  // Members in cosign's order.
  using Json = nlohmann::ordered_json;
  Json params;
  params["N"] = written_cosign_cost;
  params["r"] = scrypt_r;
  params["p"] = scrypt_p;
  Json root;
  root["kdf"]["name"] = "scrypt";
  root["kdf"]["params"] = std::move(params);
  root["kdf"]["salt"] = base64(salt);
  root["cipher"]["name"] = "nacl/secretbox";
  root["cipher"]["nonce"] = base64(nonce);
  root["ciphertext"] = base64(box);
  return root.dump();
}

WipedBytes open_pkcs8(std::string_view der, std::string_view name, const PasswordSource& source) {
  const auto sealed = decode_der<OpenSslPtr<X509_SIG, X509_SIG_free>>(d2i_X509_SIG, der);
  if (sealed == nullptr) {
    throw FormatError(std::string(name), std::nullopt, "it is no encrypted PKCS#8 key");
  }
  const X509_ALGOR* algorithm = nullptr;
  X509_SIG_get0(sealed.get(), &algorithm, nullptr);
  check_pbes2(algorithm, name);
  const Secret password = ask(source, name);
  const OpenSslPtr<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free> info(PKCS8_decrypt(
      sealed.get(), password.view().data(), static_cast<int>(password.view().size())));
  if (info == nullptr) {
    drop_openssl_errors();
    throw_wrong_password(name);
  }
  return {encode_der(i2d_PKCS8_PRIV_KEY_INFO, info.get())};
}

std::string seal_pkcs8(EVP_PKEY* key, const Secret& password) {
  const OpenSslPtr<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free> info(EVP_PKEY2PKCS8(key));
  require(info != nullptr, "write a key as PKCS#8");
  std::string salt = random_bytes(16);
  OpenSslPtr<X509_ALGOR, X509_ALGOR_free> algorithm(
      PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), written_pbkdf2_rounds, data_of(salt),
                        static_cast<int>(salt.size()), nullptr, NID_hmacWithSHA256));
  require(algorithm != nullptr, "lock a key");
  const OpenSslPtr<X509_SIG, X509_SIG_free> sealed(
      PKCS8_set0_pbe(password.view().data(), static_cast<int>(password.view().size()), info.get(),
                     algorithm.get()));
  require(sealed != nullptr, "lock a key");
  algorithm.release(); // belongs to `sealed` now
  return encode_der(i2d_X509_SIG, sealed.get());
}

} // namespace aipack::sign
