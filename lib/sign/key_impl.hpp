#pragma once

#include "aipack/sign/key.hpp"

#include "openssl.hpp"

namespace aipack::sign {

struct PublicKey::Impl {
  KeyPtr key;
  KeyType type;
  unsigned bits;
  std::string der;
};

struct PrivateKey::Impl {
  KeyPtr key;
};

/// The public half of any OpenSSL key, checked: kind, curve, size, point.
[[nodiscard]] PublicKey public_key_of(EVP_PKEY* key, std::string_view name);

/// Signs with any OpenSSL key, one that lives in a token included.
[[nodiscard]] std::string sign_with(EVP_PKEY* key, KeyType type, std::string_view message,
                                    Scheme scheme);

/// Throws FormatError unless the two halves belong together.
void check_pair(EVP_PKEY* key, const PublicKey& public_key, std::string_view name);

/// The content of "ENCRYPTED SIGSTORE PRIVATE KEY": JSON around a sealed PKCS#8 key. The password
/// is asked for once everything else is in order.
[[nodiscard]] WipedBytes open_cosign_box(std::string_view json, std::string_view name,
                                         const PasswordSource& password);
[[nodiscard]] std::string seal_cosign_box(std::string_view pkcs8, const Secret& password);

/// "ENCRYPTED PRIVATE KEY", RFC 5958, to its PKCS#8 DER and back.
[[nodiscard]] WipedBytes open_pkcs8(std::string_view der, std::string_view name,
                                    const PasswordSource& password);
[[nodiscard]] std::string seal_pkcs8(EVP_PKEY* key, const Secret& password);

} // namespace aipack::sign
