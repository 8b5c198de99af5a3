#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The plain part of OpenPGP: version 4 keys and signatures as Debian's archives have them.
/// Whatever is not exactly that is "not plain" (empty), never an error: librnp judges it then.
///
/// Source: RFC 9580 (and RFC 4880, whose version 4 packets it keeps).
///
///   packet (4.2)     tag octet 11tttttt: length of 1, 2 or 5 octets; 10ttttll: of 1, 2 or 4 octets
///   key (5.5.2.2)    4, created:4, algorithm:1, then RSA: MPI n, MPI e;
///                    EdDSALegacy: length:1, OID, MPI point
///   signature        4, type:1, key algorithm:1, hash algorithm:1, length:2, hashed subpackets,
///   (5.2.3)          length:2, unhashed subpackets, left 16 bits of the hash, MPIs
///   subpacket        length of 1, 2 or 5 octets, type:1 (0x80: critical), value
///   (5.2.3.7)
///   MPI (3.2)        bits:2, big-endian number without leading zero bits
///
/// Deliberately refused: partial and indeterminate lengths, versions other than 4, any hash but
/// SHA-256, SHA-384 and SHA-512, critical subpackets that are not known here, unhashed ones but the
/// issuer and an embedded signature.
namespace aipack::deb::openpgp {

inline constexpr std::size_t max_packets = 20'000;
inline constexpr std::size_t max_subpackets = 64;
inline constexpr std::size_t max_message_signatures = 16;
inline constexpr std::size_t min_rsa_bytes = 2048 / 8;
inline constexpr std::size_t max_rsa_bytes = 8192 / 8;

enum class Tag : std::uint8_t {
  signature = 2,
  public_key = 6,
  user_id = 13,
  public_subkey = 14,
  user_attribute = 17,
};

/// A view of the bytes that it was read from.
struct Packet {
  std::uint8_t tag = 0;
  std::string_view body;
  [[nodiscard]] bool is(Tag wanted) const noexcept {
    return tag == static_cast<std::uint8_t>(wanted);
  }
};

/// All of `bytes` as packets.
[[nodiscard]] std::optional<std::vector<Packet>> read_packets(std::string_view bytes);
/// The bytes of one armoured block of that kind ("SIGNATURE"); nothing may stand around it. Its
/// checksum, when it has one, must hold.
[[nodiscard]] std::optional<std::string> read_armor(std::string_view text, std::string_view kind);

/// A version 4 public key. Any algorithm: `can_verify()` says whether it is one that is used here.
struct PublicKey {
  enum class Algorithm : std::uint8_t { rsa = 1, eddsa_legacy = 22 };

  std::uint8_t algorithm = 0;
  std::uint32_t created = 0; ///< seconds since the epoch
  std::string fingerprint;   ///< 20 bytes
  std::string body;          ///< of the packet: what signatures over the key cover
  std::string number;        ///< RSA: modulus; EdDSA: the 32 bytes of the point
  std::string exponent{};    ///< RSA

  [[nodiscard]] static std::optional<PublicKey> read(std::string_view body);
  [[nodiscard]] bool can_verify() const noexcept { return !number.empty(); }
  [[nodiscard]] std::string_view id() const noexcept {
    return std::string_view(fingerprint).substr(12);
  }
  [[nodiscard]] std::string fingerprint_text() const; ///< 40 digits in upper case
};

struct Signature {
  enum class Type : std::uint8_t {
    text = 0x01,
    generic_certification = 0x10,
    positive_certification = 0x13,
    subkey_binding = 0x18,
    primary_key_binding = 0x19,
    direct_key = 0x1f,
  };

  std::uint8_t type = 0;
  std::uint8_t algorithm = 0;
  std::uint8_t hash = 0;
  std::uint32_t created = 0;                   ///< seconds since the epoch
  std::uint32_t lifetime_seconds = 0;          ///< 0: for ever
  std::optional<std::uint32_t> key_lifetime{}; ///< of the key that it is over
  std::optional<std::uint8_t> key_flags{};     ///< of that key
  std::string issuer_id;                       ///< 8 bytes
  std::string embedded{};                      ///< body of an embedded signature
  std::string hashed;                          ///< from the version to the hashed subpackets
  std::string hash_start;                      ///< 2 bytes
  std::vector<std::string> numbers{};

  [[nodiscard]] static std::optional<Signature> read(std::string_view body);
  [[nodiscard]] bool is(Type wanted) const noexcept {
    return type == static_cast<std::uint8_t>(wanted);
  }
};

/// True when `signature` is one of `key` over the concatenated `parts`. Nothing is said about
/// whether the key may vouch, nor about times.
[[nodiscard]] bool holds(const Signature& signature, const PublicKey& key,
                         std::initializer_list<std::string_view> parts);

} // namespace aipack::deb::openpgp
