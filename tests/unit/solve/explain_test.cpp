#include "packages.hpp"
#include "support/catch.hpp"

#include <algorithm>

using namespace aipack;
using namespace aipack::solve;
using namespace aipack::solve::test;

TEST_CASE("An unknown package is said to be unknown, with a name that is near",
          "[solve][explain]") {
  const Indexes indexes = trixie({package("libonnxruntime1.21", "1.21"), package("zlib1g", "1")});
  CHECK(resolved(indexes, {"libonnxruntime1.20"}) ==
        "no package 'libonnxruntime1.20' in trixie main for amd64; did you mean "
        "'libonnxruntime1.21'?");
  CHECK(resolved(indexes, {"something-else"}) ==
        "no package 'something-else' in trixie main for amd64");
}

TEST_CASE("A version that no suite has is explained from the root", "[solve][explain]") {
  Indexes indexes;
  indexes.add("trixie", package("app", "3.0", "Depends: bar") +
                            package("bar", "1.0", "Depends: libfoo (>= 2)") +
                            package("libfoo", "1.9"));
  indexes.add("trixie-security", package("libfoo", "1.9+deb13u1"));
  CHECK(resolved(indexes, {"app"}) == "libfoo (>= 2) is needed by bar 1.0, but trixie-security has "
                                      "only libfoo 1.9+deb13u1 and libfoo 1.9\n"
                                      "bar 1.0 is needed by app 3.0\n"
                                      "app 3.0 is asked for");
  CHECK(
      resolved(indexes, {"libfoo (>= 3)"}) ==
      "libfoo (>= 3) is asked for, but trixie-security has only libfoo 1.9+deb13u1 and libfoo 1.9");
}

TEST_CASE("Every alternative that fails is told", "[solve][explain]") {
  const Indexes indexes =
      trixie({package("app", "1", "Depends: a | b"), package("a", "1", "Depends: gone"),
              package("b", "2", "Depends: lost")});
  CHECK(resolved(indexes, {"app"}) ==
        "gone is needed by a 1, but no package 'gone' in trixie main for amd64\n"
        "a 1 is needed by app 1 as 'a | b'\n"
        "app 1 is asked for\n"
        "b 2 does not help: it needs 'lost', which cannot be installed either");
}

TEST_CASE("A conflict is explained with the chains that lead to it", "[solve][explain]") {
  const Indexes indexes = trixie(
      {package("app", "1", "Depends: left, right"), package("left", "1", "Depends: x"),
       package("right", "1", "Breaks: x (<< 5)"), package("x", "4"), package("bystander", "1")});
  CHECK(resolved(indexes, {"bystander", "app"}) == "right 1 breaks 'x (<< 5)', which x 4 is\n"
                                                   "x 4 is needed by left 1\n"
                                                   "left 1 is needed by app 1\n"
                                                   "app 1 is asked for\n"
                                                   "right 1 is needed by app 1");
}

TEST_CASE("Two versions of one package are a conflict", "[solve][explain]") {
  const Indexes indexes =
      trixie({package("old", "1", "Depends: lib (= 1)"), package("new", "1", "Depends: lib (= 2)"),
              package("lib", "1"), package("lib", "2")});
  CHECK_THAT(resolved(indexes, {"old", "new"}),
             ContainsSubstring("lib 1 and lib 2 cannot be installed together"));
}

TEST_CASE("An explanation has at most ten lines, and says how many were left out",
          "[solve][explain]") {
  std::vector<std::string> world;
  for (int i = 0; i < 30; ++i) {
    world.push_back(package("p" + std::to_string(i), "1", "Depends: p" + std::to_string(i + 1)));
  }
  const Outcome outcome = resolve(trixie(world).get(), {.install = {"p0"}}, {}, {});
  const auto& lines = std::get<Unsolvable>(outcome).explanation;
  REQUIRE(lines.size() == 10);
  CHECK_THAT(lines.front(), ContainsSubstring("p30 is needed by p29 1, but no package 'p30'"));
  CHECK(lines.back() == "and 22 more");

  std::string versions;
  for (int i = 1; i <= 9; ++i) {
    versions += package("lib", std::to_string(i));
  }
  Indexes many;
  many.add("trixie", versions);
  CHECK(resolved(many, {"lib (>= 10)"}) ==
        "lib (>= 10) is asked for, but trixie has only lib 9, lib 8, lib 7 and 6 more");
}

TEST_CASE("Explanations cannot carry control characters of an index", "[solve][explain]") {
  const Indexes indexes = trixie({package("app", "1", "Depends: gone\n | lost")});
  CHECK(resolved(indexes, {"app"}).find("gone | lost is needed by app 1") == 0);
}
