// Certificates in DER and PEM, and trusted roots.
#include "aipack/core/error.hpp"
#include "aipack/sign/certificate.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

template <class Fn>
void tolerate(Fn fn) {
  try {
    fn();
  } catch (const aipack::Error& error) {
    if (error.code() == aipack::ErrorCode::internal) {
      std::abort();
    }
  }
}

void use(const aipack::sign::Certificate& certificate) {
  (void)certificate.subject();
  (void)certificate.issuer();
  (void)certificate.identities();
  tolerate([&] { (void)certificate.identity_issuer(); });
  tolerate([&] { (void)certificate.public_key(); });
  tolerate([&] {
    aipack::sign::check_signing_certificate({certificate}, {{.chain = {certificate}}},
                                            certificate.valid_from());
  });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack::sign;
  const std::string text(reinterpret_cast<const char*>(data), size);
  tolerate([&] { use(Certificate::parse_der(text, "input")); });
  tolerate([&] {
    for (const Certificate& certificate : parse_certificates(text, "input")) {
      use(certificate);
    }
  });
  tolerate([&] { (void)TrustedRoot::parse(text, "input"); });
  return 0;
}
