#include "aipack/core/text.hpp"

#include "aipack/core/checked.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include <fmt/format.h>

namespace aipack {

namespace {

/// Longest text that quoted() prints in full.
constexpr std::size_t max_quoted_bytes = 512;

/// Length of the UTF-8 sequence at the front of `text` and its code point; length 0: not UTF-8.
struct Decoded {
  std::size_t length = 0;
  char32_t point = 0;
};

/// RFC 3629, section 4:
///   00..7F | C2..DF tail | E0 A0..BF tail | E1..EC,EE..EF 2tail | ED 80..9F tail | F0 90..BF 2tail
///   | F1..F3 3tail | F4 80..8F 2tail
Decoded decode_utf8(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) -> unsigned { return static_cast<unsigned char>(text[i]); };
  const unsigned first = at(0);
  if (first < 0x80) {
    return {1, first};
  }
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) {
    return {};
  }
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (at(1) < low || at(1) > high) {
    return {};
  }
  char32_t point = first & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0U) != 0x80) {
      return {};
    }
    point = (point << 6) | (at(i) & 0x3FU);
  }
  return {length, point};
}

/// What a terminal acts on instead of showing: C0 and C1 controls (0x9B is CSI), and the marks that
/// reorder or hide text.
bool is_unsafe(char32_t point) noexcept {
  return point < 0x20 || (point >= 0x7F && point <= 0x9F) || point == 0x061C ||
         (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
         (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF ||
         (point >= 0xE0000 && point <= 0xE007F);
}

constexpr std::string_view blanks = " \t\r\n";

} // namespace

std::string_view trim(std::string_view text) noexcept {
  const auto begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept {
  if (text.empty()) {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    const auto scaled = try_multiply<std::uint64_t>(value, 10);
    const auto sum = scaled ? try_add<std::uint64_t>(*scaled, static_cast<std::uint64_t>(c - '0'))
                            : std::nullopt;
    if (!sum) {
      return std::nullopt;
    }
    value = *sum;
  }
  return value;
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  std::size_t at = 0;
  while (at < text.size() && at < max_quoted_bytes) {
    const auto [length, point] = decode_utf8(text.substr(at));
    if (length == 0 || is_unsafe(point)) {
      for (const char c : text.substr(at, length == 0 ? 1 : length)) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
      }
    } else if (point == U'\'' || point == U'\\') {
      out += '\\'; // so that the closing quote is the first bare one
      out += text[at];
    } else {
      out += text.substr(at, length);
    }
    at += length == 0 ? 1 : length;
  }
  if (at < text.size()) {
    out += "…";
  }
  out += '\'';
  return out;
}

std::string redacted_url(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  if (url.substr(0, 5) == "file:") {
    return std::string(url); // nobody logs in to a disk
  }
  // The authority begins behind "scheme:" and its slashes, of which careless parsers take any
  // number, in both directions; behind the slashes alone in a relative reference.
  const std::size_t colon = url.find_first_of(":/\\");
  const std::size_t slashes = colon < url.size() && url[colon] == ':' ? colon + 1 : 0;
  std::size_t begin = std::min(url.find_first_not_of("/\\", slashes), url.size());
  if (begin < slashes + (slashes == 0 ? 2 : 1)) {
    begin = 0;
  }
  const std::size_t end = std::min(url.find('/', begin), url.size());
  auto authority = url.substr(begin, end - begin);
  const auto at = authority.rfind('@');
  // RFC 3986, section 3.2: userinfo ends at the "@". Without a scheme only "user:password@" is
  // taken for one.
  const bool has_user = at != std::string_view::npos &&
                        (begin != 0 || authority.substr(0, at).find(':') != std::string_view::npos);
  std::string out(url.substr(0, begin));
  if (has_user) {
    authority.remove_prefix(at + 1);
  } else if (const auto port = authority.rfind(':');
             begin != 0 && port != std::string_view::npos && authority.back() != ']' &&
             port + 1 < authority.size() && !parse_decimal(authority.substr(port + 1))) {
    // No port: half of a password that has a "/", "?" or "#" in it.
    return out + std::string(authority.substr(0, port));
  }
  out += authority;
  out += url.substr(end);
  return out;
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1000) {
    return fmt::format("{} B", bytes);
  }
  static constexpr std::array units{"kB", "MB", "GB", "TB", "PB", "EB"};
  std::uint64_t scale = 1000;
  std::size_t unit = 0;
  // Up to the next unit where rounding to a tenth would print "1000.0".
  while (unit + 1 < units.size() && bytes / scale >= 999 &&
         (bytes / scale >= 1000 || bytes % scale >= scale / 20 * 19)) {
    scale *= 1000;
    ++unit;
  }
  const std::uint64_t whole = bytes / scale;
  const std::uint64_t tenths = (bytes % scale + scale / 20) / (scale / 10);
  return fmt::format("{}.{} {}", whole + tenths / 10, tenths % 10, units[unit]);
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto length = decode_utf8(text).length;
    if (length == 0) {
      return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

} // namespace aipack
