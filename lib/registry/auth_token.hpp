#pragma once

#include "aipack/registry/credentials.hpp"

#include <chrono>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

/// What a token server gave. Source: distribution, "Token Authentication Specification" and
/// "Oauth2 Token Authentication".
struct TokenAnswer {
  Secret token;
  std::chrono::seconds lifetime{60};
  Secret refresh_token{}; ///< in place of the one that was sent; empty: that one stays good
};

/// "If omitted, this defaults to 60 seconds."
inline constexpr std::chrono::seconds default_token_lifetime{60};
inline constexpr std::chrono::seconds max_token_lifetime{24 * 60 * 60};

/// `access_token` wins over `token`. Throws FormatError without quoting anything of it.
[[nodiscard]] TokenAnswer parse_token_answer(std::string_view body);

inline constexpr std::size_t max_scopes = 64; ///< of one token
inline constexpr std::size_t max_scope_text = 1024;

/// What tokens are asked for, in the order of asking: some token servers honour only the first.
/// Each resource once, its actions sorted.
class ScopeSet {
public:
  /// "repository:team/model:pull,push". False: nothing new, or no scope at all.
  bool add(std::string_view scope);
  /// Several with spaces between them, as challenges name them.
  bool add_all(std::string_view scopes);
  [[nodiscard]] std::vector<std::string> texts() const;
  bool operator==(const ScopeSet&) const = default;

private:
  struct Resource {
    std::string name; ///< "repository:team/model"
    std::set<std::string, std::less<>> actions;
    bool operator==(const Resource&) const = default;
  };
  std::vector<Resource> resources_;
};

} // namespace aipack::registry
