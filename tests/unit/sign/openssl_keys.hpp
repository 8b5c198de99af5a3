#pragma once

#include <memory>
#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

/// Keys that aipack itself would not make, by OpenSSL alone.
namespace aipack::testing {

struct FreeKey {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using OpenSslKey = std::unique_ptr<EVP_PKEY, FreeKey>;

inline std::string text_and_free(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(length));
  BIO_free_all(bio);
  return text;
}

inline std::string public_pem(EVP_PKEY* key) {
  BIO* const bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(bio, key);
  return text_and_free(bio);
}

inline std::string pkcs8_pem(EVP_PKEY* key) {
  BIO* const bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_and_free(bio);
}

/// SEC1 and PKCS#1, in the clear or with the PEM encryption of old.
inline std::string traditional_pem(EVP_PKEY* key, const EVP_CIPHER* cipher = nullptr) {
  BIO* const bio = BIO_new(BIO_s_mem());
  unsigned char password[] = "secret";
  PEM_write_bio_PrivateKey_traditional(bio, key, cipher, cipher == nullptr ? nullptr : password,
                                       cipher == nullptr ? 0 : 6, nullptr, nullptr);
  return text_and_free(bio);
}

inline OpenSslKey openssl_ec(const char* curve) {
  return OpenSslKey(EVP_EC_gen(curve));
}

} // namespace aipack::testing
