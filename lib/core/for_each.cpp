#include "aipack/core/for_each.hpp"

#include "aipack/core/error.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include <sched.h>

namespace aipack {

namespace {

/// What the workers of one call share.
class Crew {
public:
  Crew(std::size_t count, const Operation& op,
       const std::function<void(std::size_t, const Operation&)>& fn)
      : count_(count), fn_(fn), outer_(op), inner_{stop_.get_token(), op.progress, op.parent} {}

  /// Takes indices in rising order until none is left or someone asked to stop.
  void work() noexcept {
    while (!stop_.stop_requested()) {
      const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) {
        return;
      }
      try {
        fn_(index, inner_);
        finished_.fetch_add(1, std::memory_order_relaxed);
      } catch (const Error& error) {
        fail(index, error.code() == ErrorCode::cancelled);
      } catch (...) {
        fail(index, false);
      }
    }
  }

  /// The caller's wish to stop reaches the workers through this callback; it lives as long as the
  /// crew.
  void stop() noexcept { stop_.request_stop(); }

  /// After all workers have joined.
  void rethrow() const {
    if (failure_) {
      std::rethrow_exception(failure_);
    }
    if (cancellation_) {
      std::rethrow_exception(cancellation_);
    }
    if (finished_.load() < count_) {
      outer_.check(); // only the caller's stop leaves items undone without an error
    }
  }

private:
  // A sibling that was told to stop ends in "cancelled"; that must never hide the error that caused
  // it.
  void fail(std::size_t index, bool cancelled) noexcept {
    {
      const std::lock_guard lock(mutex_);
      auto& slot = cancelled ? cancellation_ : failure_;
      auto& slot_index = cancelled ? cancellation_index_ : failure_index_;
      if (!slot || index < slot_index) {
        slot = std::current_exception();
        slot_index = index;
      }
    }
    stop();
  }

  std::size_t count_;
  const std::function<void(std::size_t, const Operation&)>& fn_;
  const Operation& outer_;
  std::stop_source stop_;
  Operation inner_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> finished_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::size_t failure_index_ = 0;
  std::exception_ptr cancellation_;
  std::size_t cancellation_index_ = 0;
};

} // namespace

void for_each_index(std::size_t count, unsigned limit, const Operation& op,
                    const std::function<void(std::size_t, const Operation&)>& fn) {
  if (limit <= 1 || count <= 1) {
    for (std::size_t index = 0; index < count; ++index) {
      op.check();
      fn(index, op);
    }
    return;
  }
  Crew crew(count, op, fn);
  const std::stop_callback forward(op.stop, [&crew] { crew.stop(); });
  {
    std::vector<std::jthread> threads;
    const std::size_t helpers = std::min<std::size_t>(limit, count) - 1;
    threads.reserve(helpers);
    try {
      while (threads.size() < helpers) {
        threads.emplace_back([&crew] { crew.work(); });
      }
    } catch (const std::system_error&) {
      // A process limit on threads: fewer hands, the same result.
    }
    crew.work();
  }
  crew.rethrow();
}

unsigned default_concurrency() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    return static_cast<unsigned>(std::max(CPU_COUNT(&set), 1));
  }
  return std::max(std::thread::hardware_concurrency(), 1U); // more than 1024 processors
}

} // namespace aipack
