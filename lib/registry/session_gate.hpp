#pragma once

#include "aipack/core/operation.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace aipack::registry {

/// How many requests may run against one endpoint, and when the next may start. A registry that
/// says "too many" is obeyed by all threads: none starts before the time it asked for, and from
/// then on half as many run as before; each round of good answers lets one more run.
/// Threads: safe.
class Gate {
public:
  using Clock = std::chrono::steady_clock;

  explicit Gate(unsigned limit) noexcept;

  /// Whether a request counts among those that run. A transfer that somebody reads as slowly as he
  /// likes must not: it would keep the place of a request that he is waiting for.
  enum class Place { counted, free };

  /// What was let in; gives its place back.
  class Pass {
  public:
    Pass(Gate& gate, Place place, Clock::time_point entered) noexcept
        : gate_(&gate), place_(place), entered_(entered) {}
    Pass(Pass&& other) noexcept;
    Pass(const Pass&) = delete;
    ~Pass();
    /// An answer that shows that the registry keeps up.
    void answered() noexcept;
    /// One that shows that it does not: nobody starts for `delay`.
    void refused(std::chrono::milliseconds delay) noexcept;

  private:
    Gate* gate_;
    Place place_;
    Clock::time_point entered_;
  };
  /// Waits until the registry may be asked, and for a place; Error{cancelled} at once when the
  /// caller asks to stop.
  [[nodiscard]] Pass enter(Place place, const Operation& op);

  [[nodiscard]] unsigned allowed() const noexcept; ///< at once, now

private:
  void leave() noexcept;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  const unsigned limit_;
  unsigned allowed_;
  unsigned running_ = 0;
  unsigned good_answers_ = 0; ///< since `allowed_` changed
  Clock::time_point closed_until_{};
  Clock::time_point halved_at_{};
};

} // namespace aipack::registry
