#include "aipack/core/for_each.hpp"

#include "aipack/core/error.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include <sched.h>

namespace aipack {

namespace {

/// What the workers of one call share. Each of them hires the next when it finds work and more is
/// left: starting a thread takes longer than many an item, and small work is done before the last
/// of the threads that it might have had would have started.
class Crew {
public:
  Crew(std::size_t count, unsigned limit, const Operation& op,
       const std::function<void(std::size_t, const Operation&)>& fn)
      : count_(count), most_helpers_(std::min<std::size_t>(limit, count) - 1), fn_(fn),
        outer_(op), inner_{stop_.get_token(), op.progress, op.parent} {}

  /// Takes indices in rising order until none is left or someone asked to stop.
  void work() noexcept {
    for (bool is_first = true; !stop_.stop_requested(); is_first = false) {
      const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) {
        return;
      }
      if (is_first) {
        hire();
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

  /// The caller's last act. Whoever is joined hires nobody any more.
  void join() {
    for (std::size_t i = 0;; ++i) {
      std::jthread* helper = nullptr;
      {
        const std::lock_guard lock(mutex_);
        if (i == helpers_.size()) {
          return;
        }
        helper = &helpers_[i];
      }
      helper->join();
    }
  }

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
  void hire() noexcept {
    const std::lock_guard lock(mutex_);
    if (helpers_.size() >= most_helpers_ || next_.load(std::memory_order_relaxed) >= count_) {
      return;
    }
    try {
      helpers_.emplace_back([this] { work(); });
    } catch (const std::exception&) {
      most_helpers_ = helpers_.size(); // a limit on threads: fewer hands, the same result
    }
  }

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

  const std::size_t count_;
  std::size_t most_helpers_;
  std::deque<std::jthread> helpers_; ///< stay where they are while others are added
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
  Crew crew(count, limit, op, fn);
  const std::stop_callback forward(op.stop, [&crew] { crew.stop(); });
  crew.work();
  crew.join();
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
