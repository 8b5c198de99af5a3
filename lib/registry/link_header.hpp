#pragma once

#include "aipack/http/message.hpp"
#include "aipack/http/url.hpp"
#include "aipack/registry/registry.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

inline constexpr std::size_t max_links = 64; ///< of one header

struct Link {
  std::string target;
  std::string relation; ///< as written, several with spaces between them
};

/// The links of one Link header; reading ends at the first that cannot be understood.
///
///     Link       = #link-value
///     link-value = "<" URI-Reference ">" *( OWS ";" OWS token [ BWS "=" BWS ( token / quoted ) ] )
///
/// Source: RFC 8288, section 3.
[[nodiscard]] std::vector<Link> parse_links(std::string_view header);

/// Follows the pages of a listing: `rel="next"` of each answer, on the registry's own origin, never
/// the same page twice, and not without end.
class Pages {
public:
  Pages(http::Origin origin, const std::string& first, std::string what,
        std::size_t max_pages = max_listing_pages);
  [[nodiscard]] const std::string& url() const noexcept { return url_; }
  /// True when there is another page: url() names it. Throws Error{corrupt} for a place where no
  /// page can be.
  [[nodiscard]] bool advance(const http::Response& response);
  /// Goes on where the caller knows the next page to be; false: it has been there.
  [[nodiscard]] bool go(std::string url);

private:
  http::Origin origin_;
  std::string url_;
  std::string what_;
  std::size_t max_pages_;
  std::set<std::string> seen_;
};

} // namespace aipack::registry
