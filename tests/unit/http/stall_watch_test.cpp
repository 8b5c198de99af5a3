#include "stall_watch.hpp"
#include "support/catch.hpp"

#include <utility>
#include <vector>

using namespace aipack;
using namespace std::chrono_literals;
using http::StallWatch;
using Phase = StallWatch::Phase;

namespace {

const StallWatch::Time start{};

http::Request patient_request() {
  http::Request request;
  request.stall_timeout = 30s;
  request.answer_timeout = 300s;
  request.connect_timeout = 15s;
  return request;
}

/// Moves `bytes` every `interval` and says after how long that counts as stalled; 0: not within an
/// hour.
std::chrono::milliseconds stalled_after(const http::Request& request, std::int64_t bytes,
                                        std::chrono::milliseconds interval) {
  StallWatch watch(request, start);
  std::int64_t moved = 0;
  for (auto at = interval; at <= 3600s; at += interval) {
    moved += bytes;
    if (watch.check(Phase::moving, moved, start + at)) {
      return at;
    }
  }
  return 0ms;
}

} // namespace

TEST_CASE("a transfer may be slow, but not nearly silent", "[http][stall]") {
  const auto [bytes, interval, after] =
      GENERATE(table<std::int64_t, std::chrono::milliseconds, std::chrono::milliseconds>({
          {0, 1000ms, 31'000ms},      // silence: 30 s after the first look
          {1, 29'000ms, 116'000ms},   // one byte every 29 s: the first look after 60 s
          {1023, 1000ms, 61'000ms},   // just below 1 KiB/s
          {1024, 1000ms, 0ms},        // just enough
          {1024 * 29, 29'000ms, 0ms}, // in bursts
          {100 << 20, 29'999ms, 0ms}, // a slow disk on the other side
      }));
  CAPTURE(bytes, interval.count());
  CHECK(stalled_after(patient_request(), bytes, interval) == after);
}

TEST_CASE("without a floor only silence is a stall", "[http][stall]") {
  auto request = patient_request();
  request.min_bytes_per_second = 0;
  CHECK(stalled_after(request, 1, 29s) == 0ms);
  CHECK(stalled_after(request, 0, 1s) == 31s);
}

TEST_CASE("each phase has its own patience", "[http][stall]") {
  const auto request = patient_request();
  StallWatch watch(request, start);
  // libcurl ends a connection attempt after 15 s itself.
  CHECK_FALSE(watch.check(Phase::connecting, 0, start + 44s));
  CHECK_FALSE(watch.check(Phase::moving, 0, start + 45s));
  CHECK(watch.deadline() == start + 75s);
  CHECK_FALSE(watch.check(Phase::moving, 1, start + 74s));
  CHECK(watch.deadline() == start + 104s);
  CHECK_FALSE(watch.check(Phase::answering, 1, start + 80s));
  CHECK(watch.deadline() == start + 380s);
  CHECK_FALSE(watch.check(Phase::answering, 1, start + 379s));
  // The answer begins: silence counts from here, and what came before is forgiven.
  CHECK_FALSE(watch.check(Phase::moving, 100, start + 379s));
  CHECK_FALSE(watch.check(Phase::moving, 100, start + 408s));
  CHECK(watch.check(Phase::moving, 100, start + 409s) == "no data for 30 s");
}

TEST_CASE("a stall says what was seen", "[http][stall]") {
  const auto request = patient_request();
  StallWatch watch(request, start);
  CHECK_FALSE(watch.check(Phase::moving, 0, start));
  for (int second = 1; second < 60; ++second) {
    CHECK_FALSE(watch.check(Phase::moving, second * 10, start + std::chrono::seconds(second)));
  }
  CHECK(watch.check(Phase::moving, 600, start + 60s) == "only 600 bytes in 60 s");

  StallWatch other(request, start);
  CHECK_FALSE(other.check(Phase::answering, 0, start));
  CHECK(other.check(Phase::answering, 0, start + 300s) ==
        "no answer for 300 s after the request was sent");
}
