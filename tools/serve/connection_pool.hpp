#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace aipack::serve {

/// Threads for connections: a keep-alive connection holds its thread while it lives, so that
/// threads are started as connections come, up to a limit; beyond it some connections wait, and
/// more are refused. *Threads*: any.
class ConnectionPool {
public:
  /// Connections that may wait for a thread.
  static constexpr std::size_t max_waiting = 128;

  explicit ConnectionPool(unsigned max_threads) : max_threads_(max_threads) {}
  ~ConnectionPool() { join(); }
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  /// Runs `work` on some thread, soon. False when there is no room for it.
  [[nodiscard]] bool post(std::function<void()> work);
  /// Whether connections wait for a thread: then those that have one should not keep it between
  /// requests.
  [[nodiscard]] bool is_crowded() const;
  /// Takes no more work and waits for what was taken.
  void join();

private:
  void run();

  const std::size_t max_threads_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool closed_ = false;
};

} // namespace aipack::serve
