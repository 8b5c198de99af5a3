#include "aipack/oci/digest.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <cstring>

#include <openssl/evp.h>

namespace aipack::oci {
namespace {

constexpr std::string_view prefix = "sha256:";
constexpr std::string_view digits = "0123456789abcdef";

} // namespace

std::optional<Digest> Digest::try_from_hex(std::string_view hex) noexcept {
  Bytes bytes{};
  if (hex.size() != 2 * bytes.size()) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t high = digits.find(hex[2 * i]);
    const std::size_t low = digits.find(hex[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) {
      return std::nullopt;
    }
    bytes[i] = static_cast<std::byte>(high << 4U | low);
  }
  return Digest(bytes);
}

std::optional<Digest> Digest::try_parse(std::string_view text) noexcept {
  if (!text.starts_with(prefix)) {
    return std::nullopt;
  }
  return try_from_hex(text.substr(prefix.size()));
}

Digest Digest::parse(std::string_view text) {
  if (const auto digest = try_parse(text)) {
    return *digest;
  }
  throw Error(ErrorCode::invalid_input,
              "cannot parse digest " + quoted(text) +
                  ": it must be 'sha256:' and 64 lower-case hexadecimal digits");
}

Digest Digest::from_bytes(const Bytes& bytes) noexcept {
  return Digest(bytes);
}

Digest Digest::of(std::span<const std::byte> bytes) {
  Bytes out{};
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &length,
                 EVP_sha256(), nullptr) != 1 ||
      length != out.size()) {
    throw Error(ErrorCode::internal, "cannot compute SHA-256: OpenSSL refused");
  }
  return Digest(out);
}

Digest Digest::of(std::string_view text) {
  return of(std::as_bytes(std::span(text.data(), text.size())));
}

std::string Digest::hex() const {
  std::string text;
  text.reserve(2 * bytes_.size());
  for (const std::byte byte : bytes_) {
    text += digits[std::to_integer<std::size_t>(byte >> 4)];
    text += digits[std::to_integer<std::size_t>(byte & std::byte{0xf})];
  }
  return text;
}

std::string Digest::to_string() const {
  return std::string(prefix) + hex();
}

} // namespace aipack::oci

std::size_t
std::hash<aipack::oci::Digest>::operator()(const aipack::oci::Digest& digest) const noexcept {
  // A digest is uniform already: any of its words is a good hash.
  std::size_t word = 0;
  std::memcpy(&word, digest.bytes().data(), sizeof word);
  return word;
}
