#pragma once

#include "aipack/http/message.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

inline constexpr std::size_t max_challenges = 32;           ///< of one answer
inline constexpr std::size_t max_challenge_parameters = 32; ///< of one challenge

/// One way in which a server wants to know who asks.
struct Challenge {
  std::string scheme;                              ///< lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters{}; ///< names in lower case; the first of a name
  [[nodiscard]] std::string get(const char* name) const; ///< empty when it is absent
};

/// The challenges of one WWW-Authenticate header. What cannot be read is passed over up to the next
/// comma, because one odd challenge must not hide a good one beside it.
///
///     WWW-Authenticate = #challenge
///     challenge        = auth-scheme [ 1*SP ( token68 / #auth-param ) ]
///     auth-param       = token BWS "=" BWS ( token / quoted-string )
///
/// Source: RFC 9110, 11.3 and 11.6.1. Deviation: empty values without quotes are taken.
[[nodiscard]] std::vector<Challenge> parse_challenges(std::string_view header);

/// Of all WWW-Authenticate headers of an answer.
[[nodiscard]] std::vector<Challenge> challenges_of(const http::Response& response);

} // namespace aipack::registry
