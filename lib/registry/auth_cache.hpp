#pragma once

#include "auth_token.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace aipack::registry {

/// A token in use.
struct Token {
  using Clock = std::chrono::steady_clock;

  Secret text;
  Clock::time_point renew_at;      ///< when a fifth of its lifetime is left
  std::atomic<bool> worked{false}; ///< the registry has accepted it at least once
};
using TokenPtr = std::shared_ptr<Token>;

/// Tokens by what they were asked for. Threads: safe; for one key there is one token request at a
/// time, however many threads need it, and all of them get its outcome: a wrong password is sent
/// once, not once per worker.
class TokenCache {
public:
  using Fetch = std::function<TokenAnswer()>;

  /// The token of `key` that has a fifth of its lifetime left; fetched when there is none.
  [[nodiscard]] TokenPtr get(const std::string& key, const Fetch& fetch, const Operation& op);
  /// `token` was refused; another that took its place meanwhile stays.
  void drop(const std::string& key, const TokenPtr& token);

private:
  struct Flight { ///< one token request, and those who wait for it
    bool done = false;
    TokenPtr token;
    std::exception_ptr failure;
  };
  struct Entry {
    TokenPtr token;
    std::shared_ptr<Flight> flight;
  };

  std::mutex mutex_;
  std::condition_variable_any landed_;
  std::map<std::string, Entry> entries_;
};

} // namespace aipack::registry
