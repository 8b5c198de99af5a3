#include "aipack/core/error.hpp"
#include "aipack/core/operation.hpp"

#include "support/catch.hpp"

#include <vector>

using namespace aipack;

namespace {

struct Recorder final : ProgressSink {
  struct Seen {
    ProgressEvent::Kind kind;
    std::uint64_t id, parent, done, total;
    std::string label;
  };
  void on_event(const ProgressEvent& e) noexcept override {
    events.push_back({e.kind, e.id, e.parent, e.done, e.total, std::string(e.label)});
  }
  std::vector<Seen> events;
};

} // namespace

TEST_CASE("Operation::check throws only once a stop was asked for", "[core][operation]") {
  std::stop_source stop;
  const Operation op{.stop = stop.get_token()};
  CHECK_NOTHROW(op.check());
  CHECK_NOTHROW(Operation{}.check());
  stop.request_stop();
  try {
    op.check();
    FAIL("it went on");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
}

TEST_CASE("Activity reports begin, every advance and end", "[core][operation]") {
  Recorder recorder;
  const Operation op{.progress = recorder};
  {
    Activity activity(op, "fetch libre2", 100);
    activity.advance(30);
    activity.advance(20);
    activity.restart();
    activity.set_total(40);
    activity.advance(40);
  }
  using Kind = ProgressEvent::Kind;
  REQUIRE(recorder.events.size() == 6);
  CHECK(recorder.events.front().kind == Kind::begin);
  CHECK(recorder.events.front().label == "fetch libre2");
  CHECK(recorder.events.front().parent == 0);
  CHECK(recorder.events.front().id != 0);
  CHECK(recorder.events[2].kind == Kind::advance);
  CHECK(recorder.events[2].done == 50);
  CHECK(recorder.events[3].done == 0);
  CHECK(recorder.events.back().kind == Kind::end);
  CHECK(recorder.events.back().done == 40);
  CHECK(recorder.events.back().total == 40);
}

TEST_CASE("Activity::child shows its work below the activity and shares its stop",
          "[core][operation]") {
  Recorder recorder;
  std::stop_source stop;
  const Operation op{.stop = stop.get_token(), .progress = recorder};
  const Activity outer(op, "outer");
  const Operation below = outer.child();
  const Activity inner(below, "inner");
  REQUIRE(recorder.events.size() == 2);
  CHECK(recorder.events[1].parent == recorder.events[0].id);
  CHECK(recorder.events[1].id != recorder.events[0].id);
  stop.request_stop();
  CHECK_THROWS_AS(below.check(), Error);
}
