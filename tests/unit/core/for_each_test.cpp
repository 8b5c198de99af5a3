#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"

#include "support/catch.hpp"

#include <atomic>
#include <barrier>
#include <set>
#include <stdexcept>
#include <thread>

using namespace aipack;

namespace {

/// Waits for a stop without a clock.
void wait_for_stop(const Operation& op) {
  while (!op.stop.stop_requested()) {
    std::this_thread::yield();
  }
  op.check();
}

} // namespace

TEST_CASE("for_each_index calls every index once", "[core][for_each]") {
  const unsigned limit = GENERATE(0U, 1U, 2U, 7U, 64U);
  const std::size_t count = GENERATE(as<std::size_t>(), 0, 1, 2, 100);
  std::vector<std::atomic<int>> calls(count);
  for_each_index(count, limit, {}, [&](std::size_t i, const Operation&) { ++calls[i]; });
  for (const auto& n : calls) {
    CHECK(n == 1);
  }
}

TEST_CASE("one item or one thread runs on the caller's thread", "[core][for_each]") {
  const auto [count, limit] = GENERATE(table<std::size_t, unsigned>({{1, 8}, {5, 1}}));
  std::set<std::thread::id> threads;
  for_each_index(count, limit, {}, [&](std::size_t, const Operation&) {
    threads.insert(std::this_thread::get_id());
  });
  CHECK(threads == std::set{std::this_thread::get_id()});
}

TEST_CASE("for_each_index runs items side by side, the caller's thread among them",
          "[core][for_each]") {
  std::barrier together(3); // only three threads at once get past it
  std::mutex mutex;
  std::set<std::thread::id> threads;
  for_each_index(3, 3, {}, [&](std::size_t, const Operation&) {
    together.arrive_and_wait();
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  CHECK(threads.size() == 3);
  CHECK(threads.contains(std::this_thread::get_id()));
}

TEST_CASE("the error of the lowest index wins whatever the order of failure", "[core][for_each]") {
  std::barrier together(4);
  try {
    for_each_index(4, 4, {}, [&](std::size_t i, const Operation&) {
      together.arrive_and_wait(); // all four fail, in any order
      throw Error(ErrorCode::io, "cannot do " + std::to_string(i) + ": test");
    });
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.message() == "cannot do 0: test");
  }
}

TEST_CASE("a failure stops its siblings and is not hidden by their cancellation",
          "[core][for_each]") {
  std::barrier together(2);
  std::atomic<int> later{0};
  try {
    for_each_index(1000, 2, {}, [&](std::size_t i, const Operation& op) {
      if (i == 0) {
        together.arrive_and_wait();
        wait_for_stop(op); // ends as "cancelled", with a lower index than the cause
      } else if (i == 1) {
        together.arrive_and_wait();
        throw std::runtime_error("the cause");
      }
      ++later;
    });
    FAIL("nothing was thrown");
  } catch (const std::runtime_error& error) {
    CHECK(std::string(error.what()) == "the cause");
  }
  CHECK(later == 0);
}

TEST_CASE("the caller's stop ends the loop as cancelled", "[core][for_each]") {
  const unsigned limit = GENERATE(1U, 3U);
  std::stop_source stop;
  const Operation op{.stop = stop.get_token()};
  std::atomic<int> calls{0};
  try {
    for_each_index(1000, limit, op, [&](std::size_t, const Operation&) {
      ++calls;
      stop.request_stop();
    });
    FAIL("it went on");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
  CHECK(calls >= 1);
  CHECK(calls <= 3);
}

TEST_CASE("map_each keeps the order of the items", "[core][for_each]") {
  std::vector<int> items(200);
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i] = static_cast<int>(i);
  }
  const auto doubled =
      map_each<int>(items, 8, {}, [](int item, const Operation&) { return 2 * item; });
  REQUIRE(doubled.size() == items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    CHECK(doubled[i] == 2 * items[i]);
  }
}

TEST_CASE("default_concurrency is at least one", "[core][for_each]") {
  CHECK(default_concurrency() >= 1);
}
