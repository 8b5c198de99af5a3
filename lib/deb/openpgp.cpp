#include "openpgp.hpp"

#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/evp.h>

namespace aipack::deb::openpgp {
namespace {

constexpr std::uint8_t key_version = 4;
constexpr std::uint8_t signature_version = 4;
constexpr unsigned critical_bit = 0x80;

/// Takes numbers and bytes off the front of `rest`; empty when they are not all there.
class Reader {
public:
  explicit Reader(std::string_view bytes) noexcept : rest_(bytes) {}

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  [[nodiscard]] std::size_t remaining() const noexcept { return rest_.size(); }

  std::optional<std::string_view> bytes(std::size_t count) noexcept {
    if (count > rest_.size()) {
      return std::nullopt;
    }
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  /// Big-endian, of at most four octets.
  std::optional<std::uint32_t> number(std::size_t octets) noexcept {
    const auto taken = bytes(octets);
    if (!taken) {
      return std::nullopt;
    }
    std::uint32_t value = 0;
    for (const char c : *taken) {
      value = value << 8U | static_cast<std::uint8_t>(c);
    }
    return value;
  }

  std::optional<std::uint8_t> octet() noexcept {
    const auto value = number(1);
    return value ? std::optional(static_cast<std::uint8_t>(*value)) : std::nullopt;
  }

  /// Of new packets (4.2.1) and of subpackets (5.2.3.7): they differ in what 224 to 254 mean, a
  /// partial length or one of two octets.
  std::optional<std::uint32_t> length(std::uint8_t last_of_two_octets) noexcept {
    constexpr std::uint8_t first_of_two_octets = 192;
    constexpr std::uint8_t of_five_octets = 255;
    const auto first = octet();
    if (!first || *first < first_of_two_octets) {
      return first ? std::optional<std::uint32_t>(*first) : std::nullopt;
    }
    if (*first <= last_of_two_octets) {
      const auto second = octet();
      return second ? std::optional<std::uint32_t>(
                          (std::uint32_t{*first} - first_of_two_octets) * 256 + *second + 192)
                    : std::nullopt;
    }
    return *first == of_five_octets ? number(4) : std::nullopt;
  }

  /// Without leading zero bits, as 3.2 has it: a number has one form.
  std::optional<std::string_view> mpi() noexcept {
    const auto bits = number(2);
    const auto value = bits ? bytes((*bits + 7) / 8) : std::nullopt;
    if (!value || value->empty()) {
      return std::nullopt;
    }
    const auto top = static_cast<std::uint8_t>(value->front());
    const unsigned top_bits = (*bits - 1) % 8 + 1;
    return top >> (top_bits - 1) == 1 ? value : std::nullopt;
  }

private:
  std::string_view rest_;
};

std::optional<Packet> read_packet(Reader& reader) {
  const auto head = reader.octet();
  if (!head || (*head & 0x80U) == 0) {
    return std::nullopt;
  }
  Packet packet;
  std::optional<std::uint32_t> length;
  if ((*head & 0x40U) != 0) {
    constexpr std::uint8_t last_before_partial = 223;
    packet.tag = *head & 0x3fU;
    length = reader.length(last_before_partial);
  } else {
    constexpr unsigned indeterminate = 3;
    packet.tag = *head >> 2U & 0x0fU;
    const unsigned kind = *head & 0x03U;
    length = kind == indeterminate ? std::nullopt : reader.number(std::size_t{1} << kind);
  }
  const auto body = length ? reader.bytes(*length) : std::nullopt;
  if (!body) {
    return std::nullopt;
  }
  packet.body = *body;
  return packet;
}

/// CRC-24 of 6.1.1.
std::uint32_t crc24(std::string_view bytes) noexcept {
  std::uint32_t crc = 0xb704ce;
  for (const char c : bytes) {
    crc ^= std::uint32_t{static_cast<std::uint8_t>(c)} << 16U;
    for (int bit = 0; bit < 8; ++bit) {
      crc <<= 1U;
      if ((crc & 0x1000000U) != 0) {
        crc ^= 0x1864cfbU;
      }
    }
  }
  return crc & 0xffffffU;
}

/// RFC 4648, section 4: padded, with no stray bits.
std::optional<std::string> from_base64(std::string_view text) {
  static constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static constexpr auto values = [] {
    std::array<std::int8_t, 256> table{};
    table.fill(-1);
    for (std::size_t i = 0; i < alphabet.size(); ++i) {
      table[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::int8_t>(i);
    }
    return table;
  }();
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned count = 0;
  const std::size_t end = std::min(text.find('='), text.size());
  for (const char c : text.substr(0, end)) {
    const auto value = values[static_cast<std::uint8_t>(c)];
    if (value < 0) {
      return std::nullopt;
    }
    bits = (bits << 6U | static_cast<std::uint8_t>(value)) & 0xffffffU;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xffU);
    }
  }
  const auto padding = text.substr(end);
  if (text.size() % 4 != 0 || padding != std::string_view("==").substr(0, padding.size()) ||
      (bits & ((1U << count) - 1)) != 0) {
    return std::nullopt;
  }
  return bytes;
}

/// The first line of `text`, which goes, without its end.
std::string_view take_line(std::string_view& text) noexcept {
  const std::size_t end = std::min(text.find('\n'), text.size());
  auto line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

/// SHA-1 over 0x99, the length and the body (5.5.4.2): the fingerprint of version 4, which names a
/// key and vouches for nothing here, because the keys themselves come from the keyring.
std::string fingerprint_of(std::string_view body) {
  std::string text = "\x99";
  text += static_cast<char>(body.size() >> 8U & 0xffU);
  text += static_cast<char>(body.size() & 0xffU);
  text += body;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1) {
    return {}; // a host whose policy forbids SHA-1
  }
  return {reinterpret_cast<const char*>(digest.data()), size};
}

/// 1.3.6.1.4.1.11591.15.1, Ed25519 as EdDSALegacy has it (9.2).
constexpr std::string_view ed25519_oid = "\x2b\x06\x01\x04\x01\xda\x47\x0f\x01";
constexpr std::size_t ed25519_bytes = 32;

bool read_rsa(Reader& reader, PublicKey& key) {
  const auto modulus = reader.mpi();
  const auto exponent = modulus ? reader.mpi() : std::nullopt;
  constexpr std::size_t max_exponent_bytes = 8;
  if (!exponent || !reader.at_end() || modulus->size() < min_rsa_bytes ||
      modulus->size() > max_rsa_bytes || exponent->size() > max_exponent_bytes) {
    return false;
  }
  key.number = *modulus;
  key.exponent = *exponent;
  return true;
}

bool read_eddsa(Reader& reader, PublicKey& key) {
  const auto oid_size = reader.octet();
  const auto oid = oid_size ? reader.bytes(*oid_size) : std::nullopt;
  const auto point = oid == ed25519_oid ? reader.mpi() : std::nullopt;
  constexpr char native_form = 0x40; // (11.2.2)
  if (!point || !reader.at_end() || point->size() != ed25519_bytes + 1 ||
      point->front() != native_form) {
    return false;
  }
  key.number = point->substr(1);
  return true;
}

} // namespace

std::optional<std::vector<Packet>> read_packets(std::string_view bytes) {
  std::vector<Packet> packets;
  Reader reader(bytes);
  while (!reader.at_end()) {
    const auto packet = read_packet(reader);
    if (!packet || packets.size() == max_packets) {
      return std::nullopt;
    }
    packets.push_back(*packet);
  }
  return packets;
}

std::optional<std::string> read_armor(std::string_view text, std::string_view kind) {
  // 6.2: head line, "Key: Value" lines, an empty line, base64 in lines, "=" and a checksum, tail
  // line.
  constexpr std::string_view dashes = "-----";
  const auto is_frame = [&](std::string_view line, std::string_view verb) {
    return line == std::string(dashes) + std::string(verb) + " PGP " + std::string(kind) +
                       std::string(dashes);
  };
  if (!is_frame(take_line(text), "BEGIN")) {
    return std::nullopt;
  }
  std::string_view line = take_line(text);
  while (!line.empty()) {
    if (line.find(": ") == std::string_view::npos) {
      return std::nullopt;
    }
    line = take_line(text);
  }
  std::string encoded;
  std::string checksum;
  for (line = take_line(text); !line.empty() && !line.starts_with(dashes); line = take_line(text)) {
    if (!checksum.empty()) {
      return std::nullopt;
    }
    if (line.front() == '=') {
      checksum = line.substr(1);
    } else {
      encoded += line;
    }
  }
  if (!is_frame(line, "END") || !trim(text).empty()) {
    return std::nullopt;
  }
  auto bytes = from_base64(encoded);
  if (bytes && !checksum.empty()) {
    const auto sum = from_base64(checksum);
    if (!sum || sum->size() != 3 || Reader(*sum).number(3) != crc24(*bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

std::optional<PublicKey> PublicKey::read(std::string_view body) {
  constexpr std::size_t max_body_bytes = 0xffff; // what the fingerprint's length can say
  Reader reader(body);
  const auto version = reader.octet();
  const auto created = reader.number(4);
  const auto algorithm = reader.octet();
  if (version != key_version || !created || !algorithm || body.size() > max_body_bytes) {
    return std::nullopt;
  }
  PublicKey key{.algorithm = *algorithm,
                .created = *created,
                .fingerprint = fingerprint_of(body),
                .body = std::string(body),
                .number = {}};
  constexpr std::size_t fingerprint_bytes = 20;
  if (key.fingerprint.size() != fingerprint_bytes) {
    return std::nullopt;
  }
  // A key of another kind, or one that is not as it should be, keeps its name and verifies nothing.
  if (*algorithm == static_cast<std::uint8_t>(Algorithm::rsa)) {
    (void)read_rsa(reader, key);
  } else if (*algorithm == static_cast<std::uint8_t>(Algorithm::eddsa_legacy)) {
    (void)read_eddsa(reader, key);
  }
  return key;
}

std::string PublicKey::fingerprint_text() const {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text;
  for (const char c : fingerprint) {
    text += digits[static_cast<std::uint8_t>(c) >> 4U];
    text += digits[static_cast<std::uint8_t>(c) & 0x0fU];
  }
  return text;
}

namespace {

/// Types of subpackets (5.2.3.7) that mean something here.
enum : std::uint8_t {
  subpacket_created = 2,
  subpacket_lifetime = 3,
  subpacket_key_lifetime = 9,
  subpacket_issuer = 16,
  subpacket_key_flags = 27,
  subpacket_embedded = 32,
  subpacket_issuer_fingerprint = 33,
};

/// Types that change nothing of what is asked here, even when they are critical: revocability,
/// preferences, who may revoke (any revocation makes a key "not plain"), primary user ID, features.
constexpr std::array<std::uint8_t, 9> indifferent{7, 11, 12, 21, 22, 23, 25, 30, 34};

/// What the subpackets of one signature said; each of them may say it once.
class Subpackets {
public:
  explicit Subpackets(Signature& signature) noexcept : signature_(signature) {}

  bool read(std::string_view area, bool is_hashed) {
    Reader reader(area);
    while (!reader.at_end()) {
      constexpr std::uint8_t last_of_two_octets = 254;
      const auto length = reader.length(last_of_two_octets);
      const auto content = length ? reader.bytes(*length) : std::nullopt;
      if (!content || content->empty() || ++count_ > max_subpackets) {
        return false;
      }
      const unsigned type = static_cast<std::uint8_t>(content->front());
      if (!take(type & ~critical_bit, (type & critical_bit) != 0, content->substr(1), is_hashed)) {
        return false;
      }
    }
    return true;
  }

  [[nodiscard]] bool are_complete() const noexcept {
    return has_created_ && !signature_.issuer_id.empty();
  }

private:
  bool take(unsigned type, bool is_critical, std::string_view value, bool is_hashed) {
    switch (type) {
    case subpacket_issuer:
      return value.size() == 8 && set_issuer(value);
    case subpacket_issuer_fingerprint:
      return value.size() == 21 && static_cast<std::uint8_t>(value.front()) == key_version &&
             set_issuer(value.substr(13));
    case subpacket_embedded:
      return signature_.embedded.empty() && !(signature_.embedded = value).empty();
    default:
      break;
    }
    if (!is_hashed) {
      return false; // Anybody could have written it.
    }
    switch (type) {
    case subpacket_created:
      return !std::exchange(has_created_, true) && set(value, signature_.created);
    case subpacket_lifetime:
      return !std::exchange(has_lifetime_, true) && set(value, signature_.lifetime_seconds);
    case subpacket_key_lifetime:
      return !signature_.key_lifetime && set(value, signature_.key_lifetime.emplace());
    case subpacket_key_flags:
      if (signature_.key_flags || value.empty()) {
        return false;
      }
      signature_.key_flags = static_cast<std::uint8_t>(value.front());
      return true;
    default:
      return !is_critical ||
             std::find(indifferent.begin(), indifferent.end(), type) != indifferent.end();
    }
  }

  static bool set(std::string_view value, std::uint32_t& number) noexcept {
    const auto read = value.size() == 4 ? Reader(value).number(4) : std::nullopt;
    number = read.value_or(0);
    return read.has_value();
  }

  /// ID and fingerprint must name one key.
  bool set_issuer(std::string_view id) {
    if (signature_.issuer_id.empty()) {
      signature_.issuer_id = id;
    }
    return signature_.issuer_id == id;
  }

  Signature& signature_;
  std::size_t count_ = 0;
  bool has_created_ = false;
  bool has_lifetime_ = false;
};

} // namespace

std::optional<Signature> Signature::read(std::string_view body) {
  constexpr std::size_t max_numbers = 2;
  Reader reader(body);
  if (reader.octet() != signature_version) {
    return std::nullopt;
  }
  const auto type = reader.octet();
  const auto algorithm = reader.octet();
  const auto hash = reader.octet();
  const auto hashed_size = reader.number(2);
  const auto hashed = hashed_size ? reader.bytes(*hashed_size) : std::nullopt;
  const auto covered = body.size() - reader.remaining();
  const auto unhashed_size = hashed ? reader.number(2) : std::nullopt;
  const auto unhashed = unhashed_size ? reader.bytes(*unhashed_size) : std::nullopt;
  const auto hash_start = unhashed ? reader.bytes(2) : std::nullopt;
  if (!hash_start) {
    return std::nullopt;
  }
  Signature signature{.type = *type,
                      .algorithm = *algorithm,
                      .hash = *hash,
                      .issuer_id = {},
                      .hashed = std::string(body.substr(0, covered)),
                      .hash_start = std::string(*hash_start)};
  Subpackets subpackets(signature);
  if (!subpackets.read(*hashed, true) || !subpackets.read(*unhashed, false) ||
      !subpackets.are_complete()) {
    return std::nullopt;
  }
  while (!reader.at_end()) {
    const auto number = reader.mpi();
    if (!number || signature.numbers.size() == max_numbers) {
      return std::nullopt;
    }
    signature.numbers.emplace_back(*number);
  }
  return signature;
}

} // namespace aipack::deb::openpgp
