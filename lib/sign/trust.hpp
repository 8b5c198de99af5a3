#pragma once

#include "aipack/sign/certificate.hpp"
#include "aipack/sign/key.hpp"

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

/// Whom a verifier trusts, and when it looks.
struct Trust {
  const std::vector<PublicKey>& keys;
  const std::vector<Identity>& identities;
  const TrustedRoot& root;
  std::chrono::sys_seconds time;
  /// Which schemes a signature by such a key may be of.
  std::span<const Scheme> (*schemes)(KeyType) noexcept = accepted_schemes;
};

/// Who made a signature.
struct SignedBy {
  std::string key; ///< "sha256:…" of a key, or the identity of a certificate
  Scheme scheme;
  oci::Digest fingerprint; ///< of the key that verified, whatever it is called
};

/// By which trusted key `signature` is. Throws Error{corrupt}.
[[nodiscard]] SignedBy check_key_signature(const Trust& trust, std::string_view message,
                                           std::string_view signature);
/// By which trusted identity it is: the chain leads to a trusted authority at the time of a trusted
/// time stamp, or else now. Throws Error{corrupt}.
[[nodiscard]] SignedBy check_certificate_signature(const Trust& trust, std::string_view message,
                                                   std::string_view signature,
                                                   const CertificateChain& chain,
                                                   const std::vector<std::string>& timestamps);

/// The time at which certificates are judged.
[[nodiscard]] std::chrono::sys_seconds time_of(const Trust& trust, std::string_view signature,
                                               const std::vector<std::string>& timestamps);

/// "cannot trust the signature: CAUSE".
[[noreturn]] void distrust(std::string_view cause);

} // namespace aipack::sign
