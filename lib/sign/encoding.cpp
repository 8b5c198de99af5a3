#include "encoding.hpp"

#include "aipack/oci/digest.hpp"

#include <sodium.h>

namespace aipack::sign {
namespace {

std::string encode(std::string_view bytes, int variant) {
  std::string text(sodium_base64_encoded_len(bytes.size(), variant), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), variant);
  text.pop_back(); // the terminating zero
  return text;
}

std::optional<std::string> decode(std::string_view text, int variant) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  std::size_t length = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                        text.size(), nullptr, &length, nullptr, variant) != 0) {
    return std::nullopt;
  }
  bytes.resize(length);
  return bytes;
}

} // namespace

std::string base64(std::string_view bytes) {
  return encode(bytes, sodium_base64_VARIANT_ORIGINAL);
}

std::string base64_url(std::string_view bytes) {
  return encode(bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

std::optional<std::string> try_base64(std::string_view text) {
  const bool padded = text.size() % 4 == 0;
  return decode(text, padded ? sodium_base64_VARIANT_ORIGINAL
                             : sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

std::optional<std::string> try_base64_url(std::string_view text) {
  return decode(text, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

std::string hex(std::string_view bytes) {
  std::string text(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                 bytes.size());
  text.pop_back(); // the terminating zero
  return text;
}

std::optional<std::string> try_hex(std::string_view text) {
  std::string bytes(text.size() / 2 + 1, '\0');
  std::size_t length = 0;
  if (sodium_hex2bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                     text.size(), nullptr, &length, nullptr) != 0) {
    return std::nullopt;
  }
  bytes.resize(length);
  return bytes;
}

std::string sha256(std::string_view bytes) {
  const auto digest = oci::Digest::of(bytes);
  return {reinterpret_cast<const char*>(digest.bytes().data()), digest.bytes().size()};
}

} // namespace aipack::sign
