#include "connection_pool.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <latch>
#include <thread>

using namespace aipack::serve;

TEST_CASE("a pool runs all work that it takes, with no more threads than allowed",
          "[serve][connection_pool]") {
  std::atomic<int> done{0};
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  int taken = 0;
  {
    ConnectionPool pool(3);
    for (int i = 0; i < 200; ++i) {
      while (!pool.post([&] {
        const int running = ++now;
        int seen = most.load();
        while (running > seen && !most.compare_exchange_weak(seen, running)) {
        }
        --now;
        ++done;
      })) {
        std::this_thread::yield();
      }
      ++taken;
    }
    pool.join();
    CHECK_FALSE(pool.post([] {}));
  }
  CHECK(done.load() == taken);
  CHECK(most.load() <= 3);
}

TEST_CASE("a pool refuses work beyond what may wait, and says when it is crowded",
          "[serve][connection_pool]") {
  ConnectionPool pool(1);
  std::latch started(1);
  std::latch finish(1);
  REQUIRE(pool.post([&] {
    started.count_down();
    finish.wait();
  }));
  started.wait();
  CHECK_FALSE(pool.is_crowded());
  for (std::size_t i = 0; i < ConnectionPool::max_waiting; ++i) {
    REQUIRE(pool.post([] {}));
  }
  CHECK(pool.is_crowded());
  CHECK_FALSE(pool.post([] {}));
  finish.count_down();
  pool.join();
  CHECK_FALSE(pool.is_crowded());
}
