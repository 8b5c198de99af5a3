#pragma once

#include "aipack/http/retry.hpp"

#include "session.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

namespace aipack::registry {

/// How often one call was tried, and whether to try it again.
class Tries {
public:
  Tries(const Patience& patience, Repeat repeat) noexcept
      : policy_{.attempts = repeat == Repeat::never ? 1U : std::max(patience.attempts, 1U),
                .first_delay = patience.first_delay,
                .max_delay = patience.max_delay,
                .max_retry_after = patience.max_retry_after} {}

  [[nodiscard]] unsigned count() const noexcept { return count_; } ///< the running one included
  void next() noexcept { ++count_; }

  /// How long to wait after this answer; at most what patience allows.
  [[nodiscard]] std::chrono::milliseconds delay_after(const http::Response* response) const {
    return http::retry_delay(policy_, count_ + 1, response);
  }
  /// False when no answer came and this was the last try.
  [[nodiscard]] bool may_repeat() const noexcept { return count_ < policy_.attempts; }
  /// The same for an answer, which may also say that there is no use, or ask for too much time.
  [[nodiscard]] bool may_repeat(const http::Response& response) const {
    return may_repeat() && is_worth_repeating(response.status) &&
           http::retry_after(response).value_or(std::chrono::milliseconds(0)) <=
               policy_.max_retry_after;
  }

private:
  http::RetryPolicy policy_;
  unsigned count_ = 1;
};

} // namespace aipack::registry
