#pragma once

#include "aipack/http/message.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace aipack::http {

/// Decides when a transfer is not worth waiting for any more. Has no clock of its own: it is told
/// the time, less what the caller's own functions took.
class StallWatch {
public:
  using Time = std::chrono::steady_clock::time_point;
  enum class Phase {
    connecting, ///< libcurl watches the connect timeout
    moving,     ///< the request goes out, or the answer comes in
    answering,  ///< everything was sent: the server thinks
  };

  StallWatch(const Request& request, Time now) noexcept;

  /// `moved_bytes` went over the network so far. Returns why the transfer counts as stalled, or
  /// nothing.
  [[nodiscard]] std::optional<std::string> check(Phase phase, std::int64_t moved_bytes, Time now);
  /// When to check again at the latest.
  [[nodiscard]] Time deadline() const noexcept;

private:
  [[nodiscard]] std::chrono::milliseconds patience() const noexcept;

  const Request& request_;
  const std::chrono::milliseconds window_;
  Phase phase_ = Phase::connecting;
  std::int64_t moved_ = 0;
  Time last_move_;
  std::int64_t window_moved_ = 0; ///< what had moved when the window began
  Time window_begin_;
};

} // namespace aipack::http
