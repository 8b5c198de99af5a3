#include "support/registry/text.hpp"

#include <algorithm>
#include <charconv>

#include <openssl/evp.h>

namespace aipack::test {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char l = static_cast<char>(c | 0x20);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool is_lower_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_alnum(char c) {
  return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

/// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool is_repository_part(std::string_view part) {
  if (part.empty() || !is_lower_alnum(part.front()) || !is_lower_alnum(part.back())) {
    return false;
  }
  for (std::size_t at = 0; at < part.size();) {
    std::size_t end = at;
    while (end < part.size() && !is_lower_alnum(part[end])) {
      ++end;
    }
    const std::string_view separator = part.substr(at, end - at);
    const bool dashes = separator.find_first_not_of('-') == std::string_view::npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__") {
      return false;
    }
    at = end;
    while (at < part.size() && is_lower_alnum(part[at])) {
      ++at;
    }
  }
  return true;
}

} // namespace

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
        hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> parse_form(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    if (item.empty()) {
      continue;
    }
    const std::size_t equals = item.find('=');
    out.emplace_back(
        percent_decode(item.substr(0, equals), true),
        equals == std::string_view::npos ? "" : percent_decode(item.substr(equals + 1), true));
  }
  return out;
}

Target Target::parse(std::string_view target) {
  // A proxy's form (RFC 9112, section 3.2.2) names the origin first.
  if (const std::size_t scheme = target.find("://");
      scheme != std::string_view::npos && scheme < target.find_first_of("/?")) {
    const std::size_t slash = target.find('/', scheme + 3);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  const std::size_t question = target.find('?');
  Target out;
  out.path = percent_decode(target.substr(0, question), false);
  if (question != std::string_view::npos) {
    out.query = parse_form(target.substr(question + 1));
  }
  return out;
}

std::optional<std::string> Target::find(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) {
      return value;
    }
  }
  return std::nullopt;
}

std::vector<std::string> Target::all(std::string_view name) const {
  std::vector<std::string> out;
  for (const auto& [key, value] : query) {
    if (key == name) {
      out.push_back(value);
    }
  }
  return out;
}

std::string base64_encode(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) {
    return std::nullopt;
  }
  std::string out(text.size() / 4 * 3 + 1, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  if (length < 0) {
    return std::nullopt;
  }
  // EVP_DecodeBlock counts the padding as bytes.
  const auto padding = static_cast<std::size_t>(
      std::count(text.end() - std::min<std::ptrdiff_t>(2, std::ssize(text)), text.end(), '='));
  out.resize(static_cast<std::size_t>(length) - padding);
  return out;
}

bool is_repository(std::string_view name) {
  if (name.empty() || name.size() > 255) {
    return false;
  }
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t slash = std::min(name.find('/', at), name.size());
    if (!is_repository_part(name.substr(at, slash - at))) {
      return false;
    }
    at = slash + 1;
  }
  return true;
}

bool is_tag(std::string_view text) {
  const auto is_word = [](char c) { return is_alnum(c) || c == '_'; };
  return !text.empty() && text.size() <= 128 && is_word(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

bool is_digest(std::string_view text) {
  const std::size_t digits = text.starts_with("sha256:")   ? 64
                             : text.starts_with("sha512:") ? 128
                                                           : 0;
  return digits != 0 && text.size() == 7 + digits &&
         std::all_of(text.begin() + 7, text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    if (const auto item = trim(text.substr(at, end - at)); !item.empty()) {
      out.emplace_back(item);
    }
    at = end + 1;
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return out;
}

ByteRange ByteRange::of(std::string_view header, std::uint64_t size) {
  const ByteRange whole{Verdict::whole, 0, size};
  if (lower(header.substr(0, 6)) != "bytes=" || header.find(',') != std::string_view::npos) {
    return whole;
  }
  header = trim(header.substr(6));
  const std::size_t dash = header.find('-');
  if (dash == std::string_view::npos) {
    return whole;
  }
  const std::string_view from = header.substr(0, dash);
  const std::string_view to = header.substr(dash + 1);
  const auto first = parse_number(from);
  const auto last = parse_number(to);
  if ((!from.empty() && !first) || (!to.empty() && !last) || (!first && !last)) {
    return whole;
  }
  if (!first) { // the last n bytes
    const std::uint64_t length = std::min(*last, size);
    return length == 0 ? ByteRange{Verdict::unsatisfiable, 0, 0}
                       : ByteRange{Verdict::part, size - length, length};
  }
  if (last && *last < *first) {
    return whole;
  }
  if (*first >= size) {
    return {Verdict::unsatisfiable, 0, 0};
  }
  const std::uint64_t end = last ? std::min(*last, size - 1) : size - 1;
  return {Verdict::part, *first, end - *first + 1};
}

} // namespace aipack::test
