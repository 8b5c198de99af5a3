#pragma once

#include <stop_token>
#include <thread>

namespace aipack::cli {

/// Ctrl-C, SIGTERM and SIGHUP ask to stop once; a second one ends the process at once. Signals are
/// blocked in every thread and waited for in one of this object's, so no handler ever runs in the
/// middle of other code. Make it before any other thread.
class SignalWatch {
public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  [[nodiscard]] std::stop_token token() const { return stop_.get_token(); }
  /// The signal that asked to stop; 0: none.
  [[nodiscard]] int received() const noexcept;

private:
  std::stop_source stop_;
  std::jthread thread_;
};

} // namespace aipack::cli
