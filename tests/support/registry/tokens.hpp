#pragma once

#include "support/registry/exchange.hpp"
#include "support/registry_server.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::test {

/// Repository to actions.
using Access = std::map<std::string, std::set<std::string>>;

/// The token server of the test registry, and the registry's memory of what it issued.
class Tokens {
public:
  enum class Verdict { good, invalid, insufficient };

  /// The token endpoint, GET or POST.
  Reply answer(const RegistryAuth& auth, const RegistryRequest& request, const std::string& form);
  /// What a stranger's token server answers: a token that is of no use here.
  static Reply answer_of_stranger();
  /// Counts as one use of the token.
  Verdict check(const std::string& token, const RegistryAuth& auth, const Access& wanted);
  /// Basic credentials of a request.
  static bool knows(const RegistryAuth& auth, std::string_view authorization);
  static bool grants(const RegistryAuth& auth, const Access& wanted);

  void revoke();
  [[nodiscard]] std::vector<std::string> secrets(const RegistryAuth& auth) const;

private:
  struct Token {
    Access access;
    std::chrono::steady_clock::time_point end;
    std::uint64_t uses = 0;
  };
  Reply issue(const RegistryAuth& auth, const std::vector<std::string>& scopes, bool anonymous,
              bool with_refresh_token);
  bool accepts_refresh_token(const RegistryAuth& auth, const std::string& token) const;

  mutable std::mutex mutex_;
  std::uint64_t issued_ = 0;
  std::map<std::string, Token> tokens_;
  std::vector<std::string> refresh_tokens_; ///< that were issued
  std::set<std::string> ended_;             ///< by rotation
};

/// "repository:<name>:<actions>", sorted as the specification of scopes shows them.
[[nodiscard]] std::string to_scope(const Access& access);

} // namespace aipack::test
