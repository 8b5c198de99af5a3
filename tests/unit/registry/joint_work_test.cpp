#include "aipack/core/error.hpp"

#include "joint_work.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <memory>
#include <set>
#include <stop_token>
#include <thread>
#include <vector>

using namespace aipack;
using registry::JointWork;

namespace {

/// Counts how often it was copied: once when it has joined a lot.
struct Item {
  Item(int number_, std::atomic<int>& joined_) : number(number_), joined(joined_) {}
  Item(const Item& other) : number(other.number), joined(other.joined) { ++joined; }
  int number;
  std::atomic<int>& joined;
};
using Work = JointWork<Item>;

void wait_for(const std::atomic<int>& value, int wanted) {
  while (value < wanted) {
    std::this_thread::yield();
  }
}

/// Threads that join while the first run is at work, and what became of each.
struct Crowd {
  explicit Crowd(int size_) : size(size_), outcomes(static_cast<std::size_t>(size_)) {}

  /// Numbers from 1; 0 is the first, on the caller's thread. `first` is what the first run does
  /// once all have come, `next` what each later run does.
  template <class First, class Next>
  void run(First first, Next next, const Operation& op = {}) {
    std::vector<std::jthread> threads;
    try {
      work.run(
          "name", Item(0, joined),
          [&](const Work::Items& items, const Operation& inner) {
            for (int number = 1; number < size; ++number) {
              threads.emplace_back([this, number, next] {
                try {
                  work.run("name", Item(number, joined), next,
                           {.stop = stops.at(number).get_token()});
                } catch (const Error& error) {
                  outcomes[static_cast<std::size_t>(number)] = error.code();
                }
              });
            }
            wait_for(joined, size);
            first(items, inner);
          },
          op);
    } catch (const Error& error) {
      outcomes[0] = error.code();
    }
  }

  const int size;
  Work work{};
  std::atomic<int> joined{0};
  std::map<int, std::stop_source> stops = [this] {
    std::map<int, std::stop_source> made;
    for (int number = 0; number < size; ++number) {
      made.try_emplace(number);
    }
    return made;
  }();
  std::vector<std::optional<ErrorCode>> outcomes;
};

std::set<int> numbers_of(const Work::Items& items) {
  std::set<int> numbers;
  for (const Item& item : items) {
    numbers.insert(item.number);
  }
  return numbers;
}

} // namespace

TEST_CASE("those who come while work is done are one lot", "[registry][joint]") {
  Crowd crowd(16);
  std::vector<std::set<int>> runs; // one at a time: no lock
  crowd.run([&](const Work::Items& items, const Operation&) { runs.push_back(numbers_of(items)); },
            [&](const Work::Items& items, const Operation&) { runs.push_back(numbers_of(items)); });
  REQUIRE(runs.size() == 2);
  CHECK(runs[0] == std::set{0});
  CHECK(runs[1] == std::set{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
  CHECK(std::ranges::none_of(crowd.outcomes, [](const auto& code) { return code.has_value(); }));
}

TEST_CASE("a failure is that of all of its lot, and of no other", "[registry][joint]") {
  Crowd crowd(8);
  crowd.run([](const Work::Items&, const Operation&) {},
            [](const Work::Items&, const Operation&) {
              throw Error(ErrorCode::unavailable, "cannot do it");
            });
  CHECK_FALSE(crowd.outcomes[0]);
  for (std::size_t i = 1; i < 8; ++i) {
    CHECK(crowd.outcomes[i] == ErrorCode::unavailable);
  }
}

TEST_CASE("who asks to stop leaves before his lot begins, and the others' work is done",
          "[registry][joint]") {
  Crowd crowd(4);
  std::vector<std::set<int>> runs;
  crowd.run(
      [&](const Work::Items&, const Operation&) {
        crowd.stops.at(2).request_stop();
        while (!crowd.outcomes[2]) { // set before this run ends: he does not wait for it
          std::this_thread::yield();
        }
      },
      [&](const Work::Items& items, const Operation&) { runs.push_back(numbers_of(items)); });
  CHECK(crowd.outcomes[2] == ErrorCode::cancelled);
  REQUIRE(runs.size() == 1);
  CHECK(runs[0] == std::set{1, 3});
}

TEST_CASE("a run that its own caller stopped is done again by another", "[registry][joint]") {
  Crowd crowd(6);
  std::vector<std::set<int>> runs;
  std::atomic<bool> first_of_lot{true};
  crowd.run([](const Work::Items&, const Operation&) {},
            [&](const Work::Items& items, const Operation&) {
              if (first_of_lot.exchange(false)) {
                throw Error(ErrorCode::cancelled, "cannot go on");
              }
              for (const Item& item : items) {
                runs.push_back({item.number});
              }
            });
  int stopped = 0;
  for (const auto& outcome : crowd.outcomes) {
    stopped += outcome == ErrorCode::cancelled ? 1 : 0;
  }
  CHECK(stopped == 1);
  CHECK(runs.size() == 4); // all others, once
}

TEST_CASE("work for other names does not wait", "[registry][joint]") {
  Work work;
  std::atomic<int> joined{0};
  bool inner_done = false;
  work.run("a", Item(1, joined),
           [&](const Work::Items&, const Operation&) {
             work.run("b", Item(2, joined),
                      [&](const Work::Items& items, const Operation&) {
                        inner_done = numbers_of(items) == std::set{2};
                      },
                      {});
           },
           {});
  CHECK(inner_done);
}
