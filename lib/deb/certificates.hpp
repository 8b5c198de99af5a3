#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// A keyring as the certificates that it is made of, so that librnp can be given those that a
/// message names. It checks all that a key says of itself when the key is loaded, 3 to 16 ms for
/// each of Debian's, whoever signed. Nothing is judged here: which certificates are tried first is
/// all that this decides.
///
/// Source: RFC 9580 (and RFC 4880, whose version 4 packets it keeps).
///
///   packet (4.2)     tag octet 11tttttt: length of 1, 2 or 5 octets; 10ttttll: of 1, 2 or 4 octets
///   certificate      (10.1) a public key packet and what follows, up to the next one
///   key (5.5.2.2)    4, created:4, algorithm:1, …
///   key ID (5.5.4.2) last 8 octets of SHA-1 over 0x99, length:2, body
namespace aipack::deb {

inline constexpr std::size_t max_keyring_packets = 20'000;

struct CertificateBytes {
  std::string_view bytes;           ///< of the keyring
  std::vector<std::string> key_ids; ///< of its keys, 16 digits in upper case as librnp writes them
  /// It has a revocation of a key. That may be by another key, so it is judged with all of them.
  bool has_revocation = false;
};

/// Views of `keyring`, which must outlive them. Empty when it is not a plain row of packets that
/// begins with a public key (armoured, partial lengths, packets that no certificate has, beyond
/// the limit): then it is taken as a whole. Keys of other versions than 4 have no ID here.
[[nodiscard]] std::optional<std::vector<CertificateBytes>>
read_certificates(std::string_view keyring);

} // namespace aipack::deb
