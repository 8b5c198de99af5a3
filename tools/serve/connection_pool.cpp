#include "connection_pool.hpp"

#include <system_error>
#include <utility>

namespace aipack::serve {

bool ConnectionPool::post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (closed_) {
    return false;
  }
  if (idle_ <= waiting_.size() && threads_.size() < max_threads_) {
    try {
      threads_.emplace_back([this] { run(); });
    } catch (const std::system_error&) { // the container's limit of processes: go on with the
                                         // threads there are
      if (threads_.empty()) {
        return false;
      }
    }
  }
  if (waiting_.size() >= max_waiting) {
    return false;
  }
  waiting_.push_back(std::move(work));
  wake_.notify_one();
  return true;
}

bool ConnectionPool::is_crowded() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size() > idle_;
}

void ConnectionPool::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) {
      return;
    }
    const std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

void ConnectionPool::join() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) { // final: nothing is started after closed_ is set
    thread.join();
  }
  threads_.clear();
}

} // namespace aipack::serve
