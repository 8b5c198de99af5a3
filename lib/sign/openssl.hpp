#pragma once

#include "aipack/core/error.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

/// OpenSSL's objects with owners, and its error queue as text.
namespace aipack::sign {

template <auto free_function>
struct OpenSslDeleter {
  template <class T>
  void operator()(T* object) const noexcept {
    free_function(object);
  }
};
template <class T, auto free_function>
using OpenSslPtr = std::unique_ptr<T, OpenSslDeleter<free_function>>;

using KeyPtr = OpenSslPtr<EVP_PKEY, EVP_PKEY_free>;
using KeyContextPtr = OpenSslPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContextPtr = OpenSslPtr<EVP_MD_CTX, EVP_MD_CTX_free>;
using BioPtr = OpenSslPtr<BIO, BIO_free_all>;
using X509Ptr = OpenSslPtr<X509, X509_free>;

/// Wiped when it goes: DER of private keys and the like.
struct WipedBytes {
  std::string bytes;
  ~WipedBytes() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

/// The last entry of OpenSSL's error queue as text; empties the queue, so that no later call
/// reports it as its own.
[[nodiscard]] std::string take_openssl_error();
/// All entries, the first failure first, empty when there are none: an engine's own reason is not
/// always the last word.
[[nodiscard]] std::string take_openssl_errors();
/// Forgets what failed attempts left in the queue.
void drop_openssl_errors() noexcept;
/// For calls that fail only when memory or OpenSSL itself does: Error{internal}.
void require(bool holds, std::string_view what);

[[nodiscard]] BioPtr read_bio(std::string_view bytes);
/// What was written to a memory BIO.
[[nodiscard]] std::string_view text_of(BIO* bio);
[[nodiscard]] inline const unsigned char* data_of(std::string_view bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
[[nodiscard]] inline unsigned char* data_of(std::string& bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

/// DER of an object by its i2d function.
template <class T>
[[nodiscard]] std::string encode_der(int (*encode)(const T*, unsigned char**), const T* object) {
  const int length = encode(object, nullptr);
  require(length > 0, "encode DER");
  std::string der(static_cast<std::size_t>(length), '\0');
  unsigned char* at = data_of(der);
  require(encode(object, &at) == length, "encode DER");
  return der;
}

/// An object by its d2i function; null unless all of `der` belongs to it.
template <class Ptr, class T>
[[nodiscard]] Ptr decode_der(T* (*decode)(T**, const unsigned char**, long), std::string_view der) {
  const unsigned char* at = data_of(der);
  Ptr object(decode(nullptr, &at, static_cast<long>(der.size())));
  if (object != nullptr && at != data_of(der) + der.size()) {
    object.reset();
  }
  drop_openssl_errors();
  return object;
}

} // namespace aipack::sign
