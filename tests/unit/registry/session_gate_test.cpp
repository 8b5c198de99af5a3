#include "aipack/core/error.hpp"

#include "session_gate.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <latch>
#include <optional>
#include <thread>
#include <vector>

using namespace aipack;
using registry::Gate;
using namespace std::chrono_literals;

namespace {

constexpr auto counted = Gate::Place::counted;

/// Good answers, one after the other.
void answer(Gate& gate, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    gate.enter(counted, {}).answered();
  }
}

} // namespace

TEST_CASE("no more run at once than are allowed", "[registry][gate]") {
  Gate gate(3);
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 12; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 10; ++j) {
          const auto pass = gate.enter(counted, {});
          const int now = ++running;
          for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
          }
          std::this_thread::yield();
          --running;
        }
      });
    }
  }
  CHECK(most <= 3);
  CHECK(running == 0);
}

TEST_CASE("a registry that is overloaded halves what runs, and it recovers step by step",
          "[registry][gate]") {
  Gate gate(8);
  {
    auto first = gate.enter(counted, {});
    auto second = gate.enter(counted, {});
    first.refused(0ms);
    CHECK(gate.allowed() == 4);
    second.refused(0ms); // it was on its way already: the same overload
    CHECK(gate.allowed() == 4);
  }
  gate.enter(counted, {}).refused(0ms);
  CHECK(gate.allowed() == 2);
  gate.enter(counted, {}).refused(0ms);
  gate.enter(counted, {}).refused(0ms);
  CHECK(gate.allowed() == 1);

  answer(gate, 3);
  CHECK(gate.allowed() == 1);
  answer(gate, 1);
  CHECK(gate.allowed() == 2);
  answer(gate, 8);
  CHECK(gate.allowed() == 3);
  answer(gate, 1000);
  CHECK(gate.allowed() == 8);
}

TEST_CASE("nobody starts before the time that the registry asked for", "[registry][gate]") {
  Gate gate(2);
  const auto began = Gate::Clock::now();
  gate.enter(counted, {}).refused(30ms);
  const auto place = GENERATE(Gate::Place::counted, Gate::Place::free);
  static_cast<void>(gate.enter(place, {}));
  CHECK(Gate::Clock::now() - began >= 30ms);
}

TEST_CASE("a transfer that waits for its reader takes nobody's place", "[registry][gate]") {
  Gate gate(1);
  const auto reader = gate.enter(Gate::Place::free, {});
  const auto another = gate.enter(Gate::Place::free, {});
  const auto request = gate.enter(counted, {});
  CHECK(gate.allowed() == 1);
}

TEST_CASE("waiting at the gate can be cancelled", "[registry][gate]") {
  Gate gate(1);
  std::optional<Gate::Pass> taken;
  if (GENERATE(false, true)) {
    gate.enter(counted, {}).refused(1h);
  } else {
    taken.emplace(gate.enter(counted, {}));
  }
  std::stop_source stop;
  std::latch here(1);
  std::jthread waiting([&] {
    here.count_down();
    CHECK_THROWS_AS(static_cast<void>(gate.enter(counted, {stop.get_token()})), Error);
  });
  here.wait();
  stop.request_stop();
}
