#include "aipack/http/url.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "curl_handles.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

namespace aipack::http {
namespace {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return lower;
}

std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* raw = nullptr;
  if (curl_url_get(url, part, &raw, flags) != CURLUE_OK) {
    return {};
  }
  const TextPtr text(raw);
  return text.get();
}

/// Null for what is no absolute http or https URL. Stricter than libcurl, which takes one to three
/// slashes, and bytes beyond ASCII in names: a digit of another script would become an address only
/// where the connection is made, after everyone has looked at the name (RFC 3986, 3.2.2, has
/// neither).
UrlPtr parse(std::string_view text) {
  const std::string scheme = lower_case(text.substr(0, text.find("://")));
  if (scheme != "http" && scheme != "https") {
    return nullptr;
  }
  const std::string_view rest = text.substr(scheme.size() + std::strlen("://"));
  if (rest.empty() || rest.front() == '/' || text.find('\0') != std::string_view::npos) {
    return nullptr;
  }
  UrlPtr url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK) {
    return nullptr;
  }
  const std::string host = part_of(url.get(), CURLUPART_HOST);
  const bool printable =
      std::all_of(host.begin(), host.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  return host.empty() || !printable ? nullptr : std::move(url);
}

/// The address in the form that all spellings share; other hosts in lower case.
std::string normal_host(const std::string& host) {
  if (host.front() == '[') {
    const std::string inner = host.substr(1, host.size() - 2);
    in6_addr address{};
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (::inet_pton(AF_INET6, inner.c_str(), &address) == 1 &&
        ::inet_ntop(AF_INET6, &address, text.data(), text.size()) != nullptr) {
      return text.data();
    }
    return lower_case(inner);
  }
  in_addr address{};
  std::array<char, INET_ADDRSTRLEN> text{};
  if (::inet_aton(host.c_str(), &address) != 0 &&
      ::inet_ntop(AF_INET, &address, text.data(), text.size()) != nullptr) {
    return text.data();
  }
  return lower_case(host);
}

} // namespace

std::optional<Origin> Origin::try_of(std::string_view url) {
  const UrlPtr parsed = parse(url);
  if (!parsed) {
    return std::nullopt;
  }
  const auto port = parse_decimal(part_of(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
  if (!port || *port > UINT16_MAX) {
    return std::nullopt;
  }
  Origin origin;
  origin.scheme_ = part_of(parsed.get(), CURLUPART_SCHEME);
  origin.host_ = normal_host(part_of(parsed.get(), CURLUPART_HOST));
  origin.port_ = static_cast<std::uint16_t>(*port);
  if (const std::string zone = part_of(parsed.get(), CURLUPART_ZONEID); !zone.empty()) {
    origin.host_ += "%" + zone;
  }
  return origin;
}

Origin Origin::of(std::string_view url) {
  if (auto origin = try_of(url)) {
    return *std::move(origin);
  }
  throw Error(ErrorCode::invalid_input, fmt::format("cannot use {}: not an http or https URL",
                                                    aipack::quoted(redacted_url(url))));
}

std::string Origin::to_string() const {
  std::string host = host_;
  if (host.find(':') != std::string::npos) {
    // RFC 6874: the "%" before a zone is itself percent-encoded.
    const std::size_t zone = host.find('%');
    host = "[" + (zone == std::string::npos ? host : host.replace(zone, 1, "%25")) + "]";
  }
  const bool is_default = port_ == (is_secure() ? 443 : 80);
  return scheme_ + "://" + host + (is_default ? "" : ":" + std::to_string(port_));
}

bool same_origin(std::string_view a, std::string_view b) {
  const auto origin = Origin::try_of(a);
  return origin && origin == Origin::try_of(b);
}

namespace {

/// RFC 9110, 4.2.4: user information in a reference from an untrusted source is an error. A base's
/// own, which its user wrote, stays with its origin.
bool brings_user_info(std::string_view base, std::string_view resolved) {
  const auto user_info = [](std::string_view url) {
    const UrlPtr parsed = parse(url);
    return std::pair(part_of(parsed.get(), CURLUPART_USER),
                     part_of(parsed.get(), CURLUPART_PASSWORD));
  };
  const auto of_resolved = user_info(resolved);
  return of_resolved != std::pair<std::string, std::string>() &&
         !(of_resolved == user_info(base) && same_origin(base, resolved));
}

} // namespace

std::string resolve_url(std::string_view base, std::string_view location) {
  const UrlPtr url = parse(base);
  // CURLU_URLENCODE: servers send spaces and UTF-8 in Location; what is encoded already stays.
  const bool good =
      url && location.find('\0') == std::string_view::npos &&
      (location.empty() || curl_url_set(url.get(), CURLUPART_URL, std::string(location).c_str(),
                                        CURLU_URLENCODE) == CURLUE_OK);
  std::string resolved = good ? part_of(url.get(), CURLUPART_URL) : "";
  if (!parse(resolved)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot resolve {} from {}: not an http or https URL",
                            aipack::quoted(redacted_url(location)),
                            aipack::quoted(redacted_url(base))));
  }
  if (brings_user_info(base, resolved)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot go from {} to {}: the address carries user information",
                            aipack::quoted(redacted_url(base)),
                            aipack::quoted(redacted_url(resolved))));
  }
  return resolved;
}

// --- addresses that lead inwards
// ------------------------------------------------------------------------------------------------------------------

namespace {

struct Range {
  std::uint32_t network;
  unsigned prefix;
};

/// Source: RFC 6890, table 2; RFC 6598.
constexpr std::array private_ranges{
    Range{0x00000000, 8},  // "this network": 0.0.0.0 reaches this machine
    Range{0x0a000000, 8},  // 10/8, RFC 1918
    Range{0x64400000, 10}, // 100.64/10, shared address space
    Range{0x7f000000, 8},  // 127/8, loopback
    Range{0xa9fe0000, 16}, // 169.254/16, link-local: metadata services of clouds
    Range{0xac100000, 12}, // 172.16/12, RFC 1918
    Range{0xc0a80000, 16}, // 192.168/16, RFC 1918
};

bool is_private(std::uint32_t address) noexcept {
  return std::any_of(private_ranges.begin(), private_ranges.end(), [&](const Range& range) {
    return (address ^ range.network) >> (32 - range.prefix) == 0;
  });
}

bool is_private(const in6_addr& address) noexcept {
  const std::uint8_t* const bytes = address.s6_addr;
  const unsigned first = bytes[0] * 256U + bytes[1];
  if ((first & 0xfe00U) == 0xfc00 || // fc00::/7, unique local
      (first & 0xff80U) == 0xfe80) { // fe80::/10, link-local, and fec0::/10, once site-local
    return true;
  }
  // IPv4 inside: ::ffff:a.b.c.d, the old ::a.b.c.d (with :: and ::1), and 64:ff9b::a.b.c.d
  // (RFC 6052).
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::array<std::uint8_t, 12> compatible{};
  constexpr std::array<std::uint8_t, 12> translated{0, 0x64, 0xff, 0x9b};
  const bool has_ipv4 = std::equal(mapped.begin(), mapped.end(), bytes) ||
                        std::equal(compatible.begin(), compatible.end(), bytes) ||
                        std::equal(translated.begin(), translated.end(), bytes);
  return has_ipv4 && is_private(std::uint32_t{bytes[12]} << 24 | std::uint32_t{bytes[13]} << 16 |
                                std::uint32_t{bytes[14]} << 8 | bytes[15]);
}

} // namespace

bool is_literal_private_address(std::string_view host) {
  std::string name = lower_case(host);
  if (name.size() >= 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  }
  name = name.substr(0, name.find('%')); // a zone
  if (!name.empty() && name.back() == '.') {
    name.pop_back(); // the root of the name system
  }
  // RFC 6761, 6.3: names below "localhost" are this machine.
  constexpr std::string_view local = "localhost";
  if (name == local ||
      (name.size() > local.size() &&
       std::string_view(name).substr(name.size() - local.size() - 1) == "." + std::string(local))) {
    return true;
  }
  in6_addr ipv6{};
  if (::inet_pton(AF_INET6, name.c_str(), &ipv6) == 1) {
    return is_private(ipv6);
  }
  in_addr ipv4{};
  return ::inet_aton(name.c_str(), &ipv4) != 0 && is_private(ntohl(ipv4.s_addr));
}

} // namespace aipack::http
