#include "aipack/core/error.hpp"

#include "small_debian.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::build;
using test::SmallDebian;

namespace {

template <class Fn>
Error error_of(Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "no error was thrown");
}

} // namespace

TEST_CASE("a plan becomes the same index each time", "[build][engine]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto plan = engine.plan(debian.request(), {});
  REQUIRE(plan.images.size() == 1);
  CHECK(plan.images.front().choices.size() == 1);
  std::vector<PlatformReport> reports;
  const auto index = engine.compose(plan, {}, &reports);
  REQUIRE(reports.size() == 1);
  CHECK(reports.front().packages.size() == 1);
  CHECK(engine.compose(plan, {}).digest() == index.digest()); // out of the cache
  std::filesystem::remove_all(debian.directory.path() / "cache");
  const auto afresh = debian.engine();
  CHECK(afresh.compose(afresh.plan(debian.request(), {}), {}).digest() == index.digest());
}

TEST_CASE("a server program that changed after the plan is not packed", "[build][engine]") {
  const SmallDebian debian;
  const auto engine = debian.engine();
  const auto plan = engine.plan(debian.request(), {});
  debian.write_server("other");
  const auto error = error_of([&] { (void)engine.compose(plan, {}); });
  CHECK(error.code() == ErrorCode::io);
  CHECK_THAT(error.message(), ContainsSubstring("changed since the plan was made"));
  // What a new plan pins is packed.
  CHECK(engine.compose(engine.plan(debian.request(), {}), {}).images.size() == 1);
}
