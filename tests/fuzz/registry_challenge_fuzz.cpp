// Any bytes as a WWW-Authenticate header: bounded challenges, whose scopes ask for nothing that
// would change the request to the token server.
#include "../../lib/registry/auth_challenge.hpp"
#include "../../lib/registry/auth_token.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace aipack::registry;

namespace {

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

bool is_lower(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto challenges = parse_challenges({reinterpret_cast<const char*>(data), size});
  require(challenges.size() <= max_challenges);
  for (const Challenge& challenge : challenges) {
    require(!challenge.scheme.empty() && is_lower(challenge.scheme));
    require(challenge.parameters.size() <= max_challenge_parameters);
    for (const auto& [name, value] : challenge.parameters) {
      require(!name.empty() && is_lower(name) && name.size() + value.size() <= size);
    }
    ScopeSet scopes;
    scopes.add_all(challenge.get("scope"));
    require(scopes.texts().size() <= max_scopes);
    for (const std::string& scope : scopes.texts()) {
      require(scope.size() <= size && scope.find_first_of(" \r\n\t") == std::string::npos);
      ScopeSet again;
      again.add(scope);
      require(again.texts() == std::vector{scope});
    }
  }
  return 0;
}
