#pragma once

#include "aipack/core/export.hpp"

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

namespace aipack {

/// One step of one piece of work. Valid only during the call that delivers it.
struct ProgressEvent {
  enum class Kind { begin, advance, end };
  Kind kind = Kind::begin;
  std::uint64_t id = 0;     ///< unique per piece of work in this process
  std::uint64_t parent = 0; ///< 0: a top-level piece of work
  std::uint64_t done = 0;   ///< bytes (or items, where `total` counts items)
  std::uint64_t total = 0;  ///< 0: unknown
  std::string_view label;   ///< what a person reads, for example "fetch libre2-11 20240702-3"
};

/// Receives progress. Threads: any thread may call, several at once.
struct ProgressSink {
  virtual ~ProgressSink() = default;
  virtual void on_event(const ProgressEvent& event) noexcept = 0;
};

/// Drops every event.
AIPACK_API ProgressSink& no_progress() noexcept;

/// What long work needs from its caller: the wish to stop, and where progress goes. Passed down as
/// `const Operation&`, never stored.
struct Operation {
  std::stop_token stop{};
  ProgressSink& progress = no_progress();
  std::uint64_t parent = 0; ///< progress id of the work this is a part of

  /// Throws Error{cancelled} once the caller asked to stop. Called once per buffer and per item.
  AIPACK_API void check() const;
};

/// One piece of work on the progress channel: begins in the constructor, ends in the destructor.
class AIPACK_API Activity {
public:
  Activity(const Operation& op, std::string label, std::uint64_t total = 0);
  ~Activity();
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;

  void advance(std::uint64_t by) noexcept;
  /// Counts from zero again: a transfer that starts over does not report its bytes twice.
  void restart() noexcept;
  void set_total(std::uint64_t total) noexcept { total_.store(total, std::memory_order_relaxed); }
  /// An Operation whose work is shown below this one.
  [[nodiscard]] Operation child() const noexcept { return {stop_, sink_, id_}; }

private:
  void send(ProgressEvent::Kind kind) noexcept;
  std::stop_token stop_;
  ProgressSink& sink_;
  std::string label_;
  std::uint64_t id_;
  std::uint64_t parent_;
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> total_;
};

} // namespace aipack
