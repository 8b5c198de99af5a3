#include "session_target.hpp"

#include "aipack/core/text.hpp"

#include "session.hpp"

#include <fmt/format.h>

namespace aipack::registry {

void check_destination(const http::Origin& endpoint, std::string_view from, std::string_view to,
                       std::string_view what, std::string_view verb) {
  const auto refuse = [&](std::string_view why) {
    const std::string address = redacted_url(to);
    return RegistryError(ErrorCode::denied,
                         fmt::format("cannot {}: {} names {} as its {}, {}", verb,
                                     quoted(endpoint.to_string()), quoted(address), what, why),
                         {.method = {}, .url = address});
  };
  const auto target = http::Origin::try_of(to);
  if (!target) {
    throw refuse("which is neither an http nor an https URL");
  }
  const auto previous = from.empty() ? std::optional(endpoint) : http::Origin::try_of(from);
  if (!target->is_secure() && (endpoint.is_secure() || !previous || previous->is_secure())) {
    throw refuse("which is not https as the registry is");
  }
  if (target->host() != endpoint.host() && http::is_literal_private_address(target->host())) {
    throw refuse("an address inside this machine or a private network");
  }
}

namespace {

std::string encoded(std::string_view text, std::string_view also_plain) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
                          also_plain.find(c) != std::string_view::npos;
    out += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

} // namespace

std::string api_path(std::string_view repository, std::string_view kind, std::string_view last) {
  // RFC 3986, 3.3: a segment may hold ":"; all registries expect it bare in digests.
  return fmt::format("/v2/{}/{}/{}", encoded(repository, "/"), kind, encoded(last, ":"));
}

std::string percent_encoded(std::string_view text) {
  return encoded(text, "");
}

} // namespace aipack::registry
