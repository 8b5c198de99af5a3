#pragma once

#include "aipack/sign/certificate.hpp"

#include "openssl.hpp"

#include <openssl/x509_vfy.h>

namespace aipack::sign {

struct Certificate::Impl {
  X509Ptr x509;
  std::string der;
  std::chrono::sys_seconds valid_from;
  std::chrono::sys_seconds valid_until;
};

using StorePtr = OpenSslPtr<X509_STORE, X509_STORE_free>;
struct FreeCertificates {
  void operator()(STACK_OF(X509) * certificates) const noexcept {
    sk_X509_pop_free(certificates, X509_free);
  }
};
using CertificatesPtr = std::unique_ptr<STACK_OF(X509), FreeCertificates>;

/// A store whose only anchor is the authority's last certificate, as of `time`; no SHA-1, no key
/// weaker than 112 bits (OpenSSL's level 2).
[[nodiscard]] StorePtr store_of(const Authority& authority, std::chrono::sys_seconds time);
/// Throws Error{corrupt} unless the chain leads to one of the authorities: signatures, validity,
/// basic constraints, purposes of the issuers. The leaf's own purpose is the caller's question.
void check_path(const CertificateChain& chain, const std::vector<Authority>& authorities,
                std::chrono::sys_seconds time);
/// References to certificates, for OpenSSL's calls.
[[nodiscard]] CertificatesPtr stack_of(const std::vector<Certificate>& certificates);

} // namespace aipack::sign
