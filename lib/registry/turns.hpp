#pragma once

#include "aipack/core/operation.hpp"

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>

namespace aipack::registry {

/// One at a time per name, within this process. Threads: safe.
class Turns {
public:
  class Turn {
  public:
    Turn(Turns& turns, std::string name) : turns_(turns), name_(std::move(name)) {}
    Turn(const Turn&) = delete;
    ~Turn() {
      const std::lock_guard lock(turns_.mutex_);
      turns_.taken_.erase(name_);
      turns_.changed_.notify_all();
    }

  private:
    Turns& turns_;
    const std::string name_;
  };

  /// Waits for the turn; Error{cancelled} at once when the caller asks to stop.
  [[nodiscard]] Turn take(const std::string& name, const Operation& op) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, op.stop, [&] { return !taken_.contains(name); });
    op.check();
    taken_.insert(name);
    return {*this, name};
  }

private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::set<std::string> taken_;
};

} // namespace aipack::registry
