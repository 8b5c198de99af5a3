#pragma once

#include "aipack/core/operation.hpp"

#include "shared_failure.hpp"

#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace aipack::registry {

/// Work of one kind that threads of this process have to do on the same thing, one at a time, where
/// one run can do it for many: a group commit. Whoever finds nobody at work runs it for all who
/// have come by then; those who come meanwhile are the next lot. Threads: safe.
template <class Item>
class JointWork {
public:
  using Items = std::list<Item>;
  using Work = std::function<void(const Items& items, const Operation& op)>;

  /// Returns when a run of `work` with `item` among its items has ended, on this thread or on
  /// another's; throws what that run threw. Error{cancelled} at once when the caller asks to stop;
  /// an item that a run has by then may be done all the same. A run that ends because its own
  /// caller asked to stop is no failure of the others': one of them runs again.
  void run(const std::string& name, const Item& item, const Work& work, const Operation& op) {
    std::unique_lock lock(mutex_);
    for (;;) {
      const LotPtr lot = join(name);
      const auto mine = lot->items.insert(lot->items.end(), item);
      changed_.wait(lock, op.stop,
                    [&] { return lot->ended || (!lot->begun && !lines_.at(name).is_busy); });
      if (!lot->begun && op.stop.stop_requested()) {
        leave(name, *lot, mine);
      }
      op.check();
      const bool leads = !lot->begun;
      if (leads) {
        lead(name, *lot, work, op, lock);
      }
      if (!lot->failure) {
        return;
      }
      if (leads || !is_cancellation(lot->failure)) {
        rethrow_copy(lot->failure);
      }
    }
  }

private:
  struct Lot {
    Items items;
    bool begun = false; ///< nobody joins any more
    bool ended = false;
    std::exception_ptr failure;
  };
  using LotPtr = std::shared_ptr<Lot>;
  struct Line { ///< those who have come for one name
    LotPtr next;
    bool is_busy = false;
  };

  [[nodiscard]] LotPtr join(const std::string& name) {
    Line& line = lines_[name];
    if (!line.next) {
      line.next = std::make_shared<Lot>();
    }
    return line.next;
  }

  void leave(const std::string& name, Lot& lot, typename Items::iterator item) {
    lot.items.erase(item);
    const auto line = lines_.find(name);
    if (lot.items.empty()) {
      line->second.next.reset();
      forget(line);
    }
  }

  void lead(const std::string& name, Lot& lot, const Work& work, const Operation& op,
            std::unique_lock<std::mutex>& lock) {
    const auto line = lines_.find(name);
    line->second.next.reset();
    line->second.is_busy = true;
    lot.begun = true;
    lock.unlock();
    std::exception_ptr failure;
    try {
      work(lot.items, op);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    lot.failure = std::move(failure);
    lot.ended = true;
    line->second.is_busy = false;
    forget(line);
    changed_.notify_all();
  }

  void forget(typename std::map<std::string, Line>::iterator line) {
    if (!line->second.next && !line->second.is_busy) {
      lines_.erase(line);
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, Line> lines_;
};

} // namespace aipack::registry
