#pragma once

#include "aipack/core/export.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::http {

/// Scheme, host and port: what credentials, client certificates and connections belong to. Valid
/// from construction and normalised, so that two spellings of one origin are equal: lower case,
/// default port filled in, IPv4 addresses in dotted form, IPv6 addresses in the form of RFC 5952.
class AIPACK_API Origin {
public:
  /// Of an http or https URL; user info, path, query and fragment are dropped. Throws
  /// Error{invalid_input}.
  [[nodiscard]] static Origin of(std::string_view url);
  [[nodiscard]] static std::optional<Origin> try_of(std::string_view url);

  [[nodiscard]] const std::string& scheme() const noexcept { return scheme_; } ///< http or https
  /// Without brackets around an IPv6 address.
  [[nodiscard]] const std::string& host() const noexcept { return host_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] bool is_secure() const noexcept { return scheme_ == "https"; }
  /// "https://r.example", "http://[::1]:5000": a port only where it is not the default.
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const Origin&) const = default;

private:
  Origin() = default;
  std::string scheme_;
  std::string host_;
  std::uint16_t port_ = 0;
};

[[nodiscard]] inline Origin origin_of(std::string_view url) {
  return Origin::of(url);
}
/// False when either is no http or https URL.
[[nodiscard]] AIPACK_API bool same_origin(std::string_view a, std::string_view b);

/// Where `location` (an absolute URL or a relative reference, as in a Location or Link header)
/// leads from `base`; its query stays as it is. Throws Error{invalid_input} for what is neither,
/// and for an address that brings user information of its own. Sources: RFC 3986, section 5; RFC
/// 9110, 4.2.4.
///
///     resolve_url("https://r.example/v2/a/blobs/uploads/", "/v2/a/blobs/uploads/7?_state=x")
[[nodiscard]] AIPACK_API std::string resolve_url(std::string_view base, std::string_view location);

/// True for `localhost`, names below it, and for address literals that lead into this machine or a
/// private network: loopback, unspecified, link-local, RFC 1918, RFC 6598 and unique local ones, in
/// every spelling that a resolver takes ("127.1", "0x7f000001", "::ffff:10.0.0.1"), with or without
/// brackets. Names are not looked up. Whoever lets a server name another server asks this first.
[[nodiscard]] AIPACK_API bool is_literal_private_address(std::string_view host);

/// `path` as a `file://` URL, percent-encoded.
[[nodiscard]] AIPACK_API std::string file_url(std::string_view absolute_path);

// For messages and logs there is redacted_url() in aipack/core/text.hpp.

} // namespace aipack::http
