#include "certificates.hpp"

#include <array>
#include <cstdint>

#include <openssl/evp.h>

namespace aipack::deb {

namespace {

enum : std::uint8_t {
  tag_signature = 2,
  tag_public_key = 6,
  tag_user_id = 13,
  tag_public_subkey = 14,
  tag_user_attribute = 17,
};

bool belongs_to_certificate(std::uint8_t tag) noexcept {
  return tag == tag_signature || tag == tag_public_key || tag == tag_user_id ||
         tag == tag_public_subkey || tag == tag_user_attribute;
}

/// Signature types 0x20 and 0x28 (5.2.1): behind the version, in version 3 also behind a length.
bool is_key_revocation(std::string_view body) noexcept {
  const std::size_t at = !body.empty() && static_cast<unsigned char>(body.front()) <= 3 ? 2 : 1;
  return body.size() > at && (body[at] == 0x20 || body[at] == 0x28);
}

/// Takes numbers and bytes off the front of what is left; empty when they are not all there.
class Reader {
public:
  explicit Reader(std::string_view bytes) noexcept : rest_(bytes) {}
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

  /// Of a packet in the new form (4.2.1); empty for partial lengths.
  std::optional<std::uint32_t> new_length() noexcept {
    const auto first = number(1);
    if (!first || *first < 192) {
      return first;
    }
    if (*first < 224) {
      const auto second = number(1);
      return second ? std::optional((*first - 192) * 256 + *second + 192) : std::nullopt;
    }
    return *first == 255 ? number(4) : std::nullopt;
  }

private:
  std::string_view rest_;
};

struct Packet {
  std::uint8_t tag;
  std::string_view body;
};

std::optional<Packet> read_packet(Reader& reader) {
  const auto head = reader.number(1);
  if (!head || (*head & 0x80U) == 0) {
    return std::nullopt;
  }
  const bool is_new = (*head & 0x40U) != 0;
  std::optional<std::uint32_t> length;
  if (is_new) {
    length = reader.new_length();
  } else if (const unsigned kind = *head & 0x03U; kind != 3) { // 3: up to the end of the file
    length = reader.number(std::size_t{1} << kind);
  }
  const auto body = length ? reader.bytes(*length) : std::nullopt;
  if (!body) {
    return std::nullopt;
  }
  return Packet{static_cast<std::uint8_t>(is_new ? *head & 0x3fU : *head >> 2U & 0x0fU), *body};
}

/// Empty for keys of other versions, and on a host whose policy forbids SHA-1.
std::string key_id(std::string_view body) {
  constexpr std::size_t max_body_bytes = 0xffff; // what the length under the hash can say
  constexpr unsigned sha1_bytes = 20;
  if (body.empty() || body.front() != 4 || body.size() > max_body_bytes) {
    return {};
  }
  std::string text = "\x99";
  text += static_cast<char>(body.size() >> 8U);
  text += static_cast<char>(body.size() & 0xffU);
  text += body;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1 ||
      size != sha1_bytes) {
    return {};
  }
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string id;
  for (unsigned i = size - 8; i < size; ++i) {
    id += digits[digest.at(i) >> 4U];
    id += digits[digest.at(i) & 0x0fU];
  }
  return id;
}

} // namespace

std::optional<std::vector<CertificateBytes>> read_certificates(std::string_view keyring) {
  std::vector<CertificateBytes> certificates;
  Reader reader(keyring);
  for (std::size_t packets = 0; reader.remaining() != 0; ++packets) {
    const std::size_t begin = keyring.size() - reader.remaining();
    const auto packet = read_packet(reader);
    if (!packet || packets == max_keyring_packets || !belongs_to_certificate(packet->tag)) {
      return std::nullopt;
    }
    if (packet->tag == tag_public_key) {
      certificates.push_back({keyring.substr(begin, 0), {}});
    } else if (certificates.empty()) {
      return std::nullopt;
    }
    auto& certificate = certificates.back();
    const std::size_t end = keyring.size() - reader.remaining();
    const auto first = static_cast<std::size_t>(certificate.bytes.data() - keyring.data());
    certificate.bytes = keyring.substr(first, end - first);
    certificate.has_revocation |= packet->tag == tag_signature && is_key_revocation(packet->body);
    if (packet->tag == tag_public_key || packet->tag == tag_public_subkey) {
      if (auto id = key_id(packet->body); !id.empty()) {
        certificate.key_ids.push_back(std::move(id));
      }
    }
  }
  return certificates;
}

} // namespace aipack::deb
