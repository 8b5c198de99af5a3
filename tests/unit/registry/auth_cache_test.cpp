#include "aipack/registry/error.hpp"

#include "auth_cache.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <latch>
#include <thread>

using namespace aipack;
using registry::TokenAnswer;
using registry::TokenCache;
using namespace std::chrono_literals;

namespace {

TokenAnswer answer(std::string_view text, std::chrono::seconds lifetime = 300s) {
  return {.token = registry::Secret(text), .lifetime = lifetime};
}

} // namespace

TEST_CASE("a token is asked for once per key", "[registry][auth]") {
  TokenCache cache;
  int asked = 0;
  const auto fetch = [&] { return answer("t" + std::to_string(++asked)); };
  CHECK(cache.get("a", fetch, {})->text.reveal() == "t1");
  CHECK(cache.get("a", fetch, {})->text.reveal() == "t1");
  CHECK(cache.get("b", fetch, {})->text.reveal() == "t2");
  CHECK(asked == 2);
}

TEST_CASE("a token is renewed when a fifth of its lifetime is left, or when it was refused",
          "[registry][auth]") {
  TokenCache cache;
  int asked = 0;
  auto lifetime = 0s; // its renewal is due at once
  const auto fetch = [&] { return answer("t" + std::to_string(++asked), lifetime); };
  CHECK(cache.get("a", fetch, {})->text.reveal() == "t1");
  lifetime = 100s;
  const auto before = registry::Token::Clock::now();
  const auto second = cache.get("a", fetch, {});
  CHECK(second->text.reveal() == "t2");
  CHECK(second->renew_at >= before + 80s);
  CHECK(second->renew_at <= registry::Token::Clock::now() + 80s);

  cache.drop("a", second);
  const auto third = cache.get("a", fetch, {});
  CHECK(third->text.reveal() == "t3");
  cache.drop("a", second); // an old refusal that comes late takes nothing away
  CHECK(cache.get("a", fetch, {}) == third);
}

TEST_CASE("threads that need the same token share one request and its outcome",
          "[registry][auth]") {
  const bool fails = GENERATE(false, true);
  CAPTURE(fails);
  TokenCache cache;
  constexpr unsigned count = 8;
  std::atomic<int> asked{0};
  std::atomic<int> good{0};
  std::atomic<int> refused{0};
  std::latch all_here(count);
  const auto fetch = [&]() -> TokenAnswer {
    ++asked;
    all_here.wait();
    // The others are on their way into get(); those that come later find a token or ask again.
    std::this_thread::yield();
    if (fails) {
      throw registry::RegistryError(ErrorCode::unauthenticated, "cannot log in", {.status = 401});
    }
    return answer("t");
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < count; ++i) {
      threads.emplace_back([&] {
        all_here.count_down();
        try {
          static_cast<void>(cache.get("a", fetch, {}));
          ++good;
        } catch (registry::RegistryError& error) {
          error.add_context("each has its own copy");
          ++refused;
        }
      });
    }
  }
  CHECK(good == (fails ? 0 : static_cast<int>(count)));
  CHECK(refused == (fails ? static_cast<int>(count) : 0));
  if (!fails) {
    CHECK(asked == 1);
  }
}

TEST_CASE("a token request that was cancelled is taken over by another thread",
          "[registry][auth]") {
  TokenCache cache;
  std::latch begun(1);
  std::latch go_on(1);
  std::jthread first([&] {
    const auto fetch = [&]() -> TokenAnswer {
      begun.count_down();
      go_on.wait();
      throw Error(ErrorCode::cancelled, "cannot go on: the caller asked to stop");
    };
    CHECK_THROWS_AS(cache.get("a", fetch, {}), Error);
  });
  begun.wait();
  std::jthread second(
      [&] { CHECK(cache.get("a", [] { return answer("t"); }, {})->text.reveal() == "t"); });
  go_on.count_down();
}

TEST_CASE("waiting for somebody else's token can be cancelled", "[registry][auth]") {
  TokenCache cache;
  std::latch begun(1);
  std::latch go_on(1);
  std::jthread first([&] {
    static_cast<void>(cache.get("a",
                                [&] {
                                  begun.count_down();
                                  go_on.wait();
                                  return answer("t");
                                },
                                {}));
  });
  begun.wait();
  std::stop_source stop;
  std::jthread second([&] {
    const Operation op{stop.get_token()};
    CHECK_THROWS_AS(cache.get(
                        "a", [] { return answer("t"); }, op),
                    Error);
    go_on.count_down();
  });
  stop.request_stop();
}
