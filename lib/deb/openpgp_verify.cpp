#include "openpgp.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

namespace aipack::deb::openpgp {
namespace {

template <auto free_function>
struct Deleter {
  template <class T>
  void operator()(T* object) const noexcept {
    free_function(object);
  }
};
template <class T, auto free_function>
using Owner = std::unique_ptr<T, Deleter<free_function>>;
using KeyPtr = Owner<EVP_PKEY, EVP_PKEY_free>;
using KeyContextPtr = Owner<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContextPtr = Owner<EVP_MD_CTX, EVP_MD_CTX_free>;
using NumberPtr = Owner<BIGNUM, BN_free>;
using BuilderPtr = Owner<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using ParametersPtr = Owner<OSSL_PARAM, OSSL_PARAM_free>;

/// What OpenSSL reports of a signature that does not hold is nobody else's error.
class QuietErrors {
public:
  QuietErrors() noexcept { ERR_set_mark(); }
  ~QuietErrors() { ERR_pop_to_mark(); }
  QuietErrors(const QuietErrors&) = delete;
  QuietErrors& operator=(const QuietErrors&) = delete;
};

const unsigned char* data_of(std::string_view bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

/// 9.5: the strong ones.
const EVP_MD* hash_of(std::uint8_t id) noexcept {
  switch (id) {
  case 8:
    return EVP_sha256();
  case 9:
    return EVP_sha384();
  case 10:
    return EVP_sha512();
  default:
    return nullptr;
  }
}

/// 5.2.4: what is signed, then the signature packet up to its hashed subpackets, then 4, 0xff and
/// the length of that.
std::string digest_of(const Signature& signature, const EVP_MD* hash,
                      std::initializer_list<std::string_view> parts) {
  const DigestContextPtr context(EVP_MD_CTX_new());
  if (!context || EVP_DigestInit_ex(context.get(), hash, nullptr) != 1) {
    return {};
  }
  const auto add = [&](std::string_view bytes) {
    return EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1;
  };
  const auto size = static_cast<std::uint32_t>(signature.hashed.size()); // two octets at most
  const std::array<char, 6> trailer{4,
                                    '\xff',
                                    static_cast<char>(size >> 24U),
                                    static_cast<char>(size >> 16U & 0xffU),
                                    static_cast<char>(size >> 8U & 0xffU),
                                    static_cast<char>(size & 0xffU)};
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned digest_size = 0;
  if (!std::all_of(parts.begin(), parts.end(), add) || !add(signature.hashed) ||
      !add({trailer.data(), trailer.size()}) ||
      EVP_DigestFinal_ex(context.get(), digest.data(), &digest_size) != 1) {
    return {};
  }
  return {reinterpret_cast<const char*>(digest.data()), digest_size};
}

/// A number as the fixed number of bytes that the algorithm takes.
std::string padded(std::string_view number, std::size_t size) {
  return number.size() > size ? std::string()
                              : std::string(size - number.size(), '\0') + std::string(number);
}

KeyPtr rsa_key(const PublicKey& key) {
  const auto number = [](std::string_view bytes) {
    return NumberPtr(BN_bin2bn(data_of(bytes), static_cast<int>(bytes.size()), nullptr));
  };
  const auto modulus = number(key.number);
  const auto exponent = number(key.exponent);
  if (!modulus || !exponent || BN_is_odd(modulus.get()) == 0 || BN_is_odd(exponent.get()) == 0 ||
      BN_is_one(exponent.get()) == 1) {
    return nullptr;
  }
  const BuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return nullptr;
  }
  const ParametersPtr parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  const KeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* made = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return KeyPtr(made);
}

/// EMSA-PKCS1-v1_5 over the digest (5.2.3.1.1).
bool rsa_holds(const Signature& signature, const PublicKey& key, const EVP_MD* hash,
               const std::string& digest) {
  if (signature.numbers.size() != 1) {
    return false;
  }
  const std::string value = padded(signature.numbers[0], key.number.size());
  const auto openssl_key = value.empty() ? nullptr : rsa_key(key);
  const KeyContextPtr context(openssl_key ? EVP_PKEY_CTX_new(openssl_key.get(), nullptr) : nullptr);
  return context && EVP_PKEY_verify_init(context.get()) == 1 &&
         EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1 &&
         EVP_PKEY_CTX_set_signature_md(context.get(), hash) == 1 &&
         EVP_PKEY_verify(context.get(), data_of(value), value.size(), data_of(digest),
                         digest.size()) == 1;
}

/// Ed25519 of the digest; R and S are the two halves of the native signature (5.2.3.1.3).
bool eddsa_holds(const Signature& signature, const PublicKey& key, const std::string& digest) {
  constexpr std::size_t half = 32;
  if (signature.numbers.size() != 2) {
    return false;
  }
  const std::string r = padded(signature.numbers[0], half);
  const std::string s = padded(signature.numbers[1], half);
  if (r.empty() || s.empty()) {
    return false;
  }
  const std::string value = r + s;
  const KeyPtr openssl_key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                                       data_of(key.number), key.number.size()));
  const DigestContextPtr context(EVP_MD_CTX_new());
  return openssl_key && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, openssl_key.get()) == 1 &&
         EVP_DigestVerify(context.get(), data_of(value), value.size(), data_of(digest),
                          digest.size()) == 1;
}

} // namespace

bool holds(const Signature& signature, const PublicKey& key,
           std::initializer_list<std::string_view> parts) {
  const EVP_MD* const hash = hash_of(signature.hash);
  if (hash == nullptr || !key.can_verify() || signature.algorithm != key.algorithm) {
    return false;
  }
  const QuietErrors quiet;
  const std::string digest = digest_of(signature, hash, parts);
  if (digest.empty() || !digest.starts_with(signature.hash_start)) {
    return false;
  }
  return key.algorithm == static_cast<std::uint8_t>(PublicKey::Algorithm::rsa)
             ? rsa_holds(signature, key, hash, digest)
             : eddsa_holds(signature, key, digest);
}

} // namespace aipack::deb::openpgp
