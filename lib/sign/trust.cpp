#include "trust.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/sign/timestamp.hpp"

#include <fmt/format.h>

namespace aipack::sign {

void distrust(std::string_view cause) {
  throw Error(ErrorCode::corrupt, fmt::format("cannot trust the signature: {}", cause));
}

SignedBy check_key_signature(const Trust& trust, std::string_view message,
                             std::string_view signature) {
  for (const PublicKey& key : trust.keys) {
    if (const auto scheme = key.verify_any(message, signature, trust.schemes(key.type()))) {
      return {key.fingerprint().to_string(), *scheme, key.fingerprint()};
    }
  }
  if (trust.keys.empty()) {
    distrust("it is by a key, and no key is trusted");
  }
  distrust(trust.keys.size() == 1 ? "it is not by the trusted key, or what it signs was changed"
                                  : fmt::format("it is by none of the {} trusted keys, or what "
                                                "it signs was changed",
                                                trust.keys.size()));
}

std::chrono::sys_seconds time_of(const Trust& trust, std::string_view signature,
                                 const std::vector<std::string>& timestamps) {
  if (timestamps.empty() || trust.root.timestamp_authorities.empty()) {
    return trust.time;
  }
  std::string cause;
  for (const std::string& timestamp : timestamps) {
    try {
      return verify_timestamp(timestamp, signature, trust.root.timestamp_authorities);
    } catch (const Error& error) {
      cause = error.message();
    }
  }
  distrust(cause);
}

SignedBy check_certificate_signature(const Trust& trust, std::string_view message,
                                     std::string_view signature, const CertificateChain& chain,
                                     const std::vector<std::string>& timestamps) {
  const Certificate& leaf = chain.front();
  const PublicKey key = leaf.public_key();
  const auto scheme = key.verify_any(message, signature, trust.schemes(key.type()));
  if (!scheme) {
    distrust("it is not by its certificate's key, or what it signs was changed");
  }
  // A certificate of a trusted key says nothing that the key does not.
  for (const PublicKey& trusted : trust.keys) {
    if (trusted == key) {
      return {key.fingerprint().to_string(), *scheme, key.fingerprint()};
    }
  }
  if (trust.root.certificate_authorities.empty() || trust.identities.empty()) {
    distrust("it is by a certificate, and no authority with an identity is trusted");
  }
  check_signing_certificate(chain, trust.root.certificate_authorities,
                            time_of(trust, signature, timestamps));
  for (const Identity& identity : trust.identities) {
    if (const auto name = identity.match(leaf)) {
      const std::string issuer = leaf.identity_issuer();
      return {issuer.empty() ? *name : *name + " (" + issuer + ")", *scheme, key.fingerprint()};
    }
  }
  const auto names = leaf.identities();
  distrust(fmt::format("its certificate was issued to {}, which is no trusted identity",
                       names.empty() ? "nobody" : quoted(names.front())));
}

} // namespace aipack::sign
