#include "aipack/core/error.hpp"

#include "packages.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <random>

using namespace aipack;
using namespace aipack::solve;
using namespace aipack::solve::test;

TEST_CASE("resolve takes what Depends and Pre-Depends name, and what those need", "[solve]") {
  const Indexes indexes =
      trixie({package("app", "1", "Pre-Depends: init (>= 2)\nDepends: lib (>= 1.5),\n data"),
              package("init", "2"), package("lib", "1.5-1", "Depends: base"),
              package("data", "3", "", "all"), package("base", "1"), package("other", "1")});
  CHECK(resolved(indexes, {"app"}) == "app 1, base 1, data 3, init 2, lib 1.5-1");
}

TEST_CASE("resolve leaves out Recommends, Suggests and essential packages", "[solve]") {
  const Indexes indexes = trixie(
      {package("app", "1", "Recommends: nice\nSuggests: nicer\nEnhances: nicer"),
       package("nice", "1"), package("nicer", "1"), package("coreutils", "9", "Essential: yes")});
  CHECK(resolved(indexes, {"app"}) == "app 1");
}

TEST_CASE("resolve gives every pin of a package", "[solve]") {
  const Indexes indexes =
      trixie({package("lib", "1:2.0-3", "Depends: base (= 1)", "all"), package("base", "1")});
  const Outcome outcome = resolve(indexes.get(), {.install = {"lib"}}, {}, {});
  const auto& solution = std::get<Solution>(outcome);
  REQUIRE(solution.choices.size() == 2);
  CHECK(solution.choices[1] ==
        Choice{.package = {.name = "lib",
                           .version = "1:2.0-3",
                           .architecture = "all",
                           .source_suite = "trixie",
                           .url = "http://deb.example/debian/pool/main/lib_1.deb",
                           .digest = oci::Digest::of("lib 1:2.0-3 Depends: base (= 1)"),
                           .size_bytes = 1000,
                           .installed_bytes = 12 * 1024,
                           .section = "libs"},
               .required_by = "",
               .relation = "lib"});
  CHECK(solution.choices[0].required_by == "lib");
  CHECK(solution.choices[0].relation == "base (= 1)");
}

TEST_CASE("resolve prefers the first alternative that can be installed", "[solve]") {
  const std::vector<std::string> world{package("first", "1", "Depends: nowhere"),
                                       package("second", "1"),
                                       package("third", "1"),
                                       package("app", "1", "Depends: zeta | alpha"),
                                       package("alpha", "1"),
                                       package("zeta", "1"),
                                       package("both", "1", "Depends: first | third | second")};
  CHECK(resolved(trixie(world), {"app"}) == "app 1, zeta 1");
  CHECK(resolved(trixie(world), {"both"}) == "both 1, third 1");
  CHECK(resolved(trixie(world), {"first | second"}) == "second 1");
  // What was chosen before is kept: an alternative that is there already ends the choice.
  CHECK(resolved(trixie(world), {"alpha", "app"}) == "alpha 1, app 1");
}

TEST_CASE("resolve goes back to another alternative when a later requirement needs it", "[solve]") {
  // app takes 'fast', and only much later 'strict' objects to it.
  const Indexes indexes =
      trixie({package("app", "1", "Depends: fast | safe, mid"), package("fast", "1"),
              package("safe", "1"), package("mid", "1", "Depends: deep"),
              package("deep", "1", "Depends: strict"), package("strict", "1", "Conflicts: fast")});
  CHECK(resolved(indexes, {"app"}) == "app 1, deep 1, mid 1, safe 1, strict 1");
}

TEST_CASE("resolve goes back only as far as it must", "[solve]") {
  const Indexes indexes =
      trixie({package("app", "1", "Depends: a1 | a2, b1 | b2, c1 | c2, end"), package("a1", "1"),
              package("a2", "1"), package("b1", "1"), package("b2", "1"), package("c1", "1"),
              package("c2", "1"), package("end", "1", "Breaks: b1")});
  CHECK(resolved(indexes, {"app"}) == "a1 1, app 1, b2 1, c1 1, end 1");
}

TEST_CASE("resolve prefers a real package to one that provides the name", "[solve]") {
  const Indexes indexes =
      trixie({package("app", "1", "Depends: mailer"), package("amailer", "9", "Provides: mailer"),
              package("mailer", "1")});
  CHECK(resolved(indexes, {"app"}) == "app 1, mailer 1");
}

TEST_CASE("resolve orders providers by priority, then by name", "[solve]") {
  const std::string app = package("app", "1", "Depends: mta");
  CHECK(resolved(trixie({app, package("b-mta", "1", "Provides: mta"),
                         package("a-mta", "1", "Provides: mta")}),
                 {"app"}) == "a-mta 1, app 1");
  CHECK(resolved(trixie({app, package("a-mta", "1", "Provides: mta\nPriority: optional"),
                         package("b-mta", "1", "Provides: mta\nPriority: standard")}),
                 {"app"}) == "app 1, b-mta 1");
}

TEST_CASE("resolve lets a versioned relation match only a versioned Provides", "[solve]") {
  const std::string app = package("app", "1", "Depends: api (>= 2)");
  CHECK(resolved(trixie({app, package("impl", "7", "Provides: api (= 2.1)")}), {"app"}) ==
        "app 1, impl 7");
  CHECK(resolved(trixie({app, package("impl", "7", "Provides: api (= 1.9)"),
                         package("other", "1", "Provides: api (= 2)")}),
                 {"app"}) == "app 1, other 1");
  CHECK_THAT(resolved(trixie({app, package("impl", "7", "Provides: api")}), {"app"}),
             ContainsSubstring("without such a version"));
}

TEST_CASE("resolve keeps Conflicts and Breaks", "[solve]") {
  const std::string verb = GENERATE("Conflicts", "Breaks");
  const Indexes indexes = trixie({package("app", "1", "Depends: one | two, three"),
                                  package("one", "1", verb + ": three (<< 2)"), package("two", "1"),
                                  package("three", "1")});
  CHECK(resolved(indexes, {"app"}) == "app 1, three 1, two 1");
}

TEST_CASE("resolve allows a package to conflict with the name it provides itself", "[solve]") {
  const std::string mta = "Provides: mta\nConflicts: mta\nReplaces: mta";
  const Indexes indexes =
      trixie({package("a", "1", mta), package("b", "1", mta), package("app", "1", "Depends: mta")});
  CHECK(resolved(indexes, {"app"}) == "a 1, app 1");
  CHECK(resolved(indexes, {"app", "b"}) == "app 1, b 1");
  CHECK_THAT(resolved(indexes, {"a", "b"}),
             ContainsSubstring("a 1 conflicts with 'mta', which b 1 is"));
}

TEST_CASE("resolve fulfils ':any' only by packages with Multi-Arch: allowed", "[solve]") {
  const std::string app = package("app", "1", "Depends: python3:any (>= 3.9)");
  CHECK(resolved(trixie({app, package("python3", "3.13", "Multi-Arch: allowed")}), {"app"}) ==
        "app 1, python3 3.13");
  CHECK_THAT(resolved(trixie({app, package("python3", "3.13", "Multi-Arch: foreign")}), {"app"}),
             ContainsSubstring("python3:any (>= 3.9)"));
  CHECK(resolved(trixie({package("app", "1", "Depends: perlapi:any"),
                         package("perl", "5", "Multi-Arch: allowed\nProvides: perlapi")}),
                 {"app"}) == "app 1, perl 5");
  // The native architecture as a qualifier says nothing more; a foreign one is never there.
  CHECK(resolved(trixie({package("app", "1", "Depends: libc:amd64"), package("libc", "1")}),
                 {"app"}) == "app 1, libc 1");
  CHECK_THAT(
      resolved(trixie({package("app", "1", "Depends: libc:i386"), package("libc", "1")}), {"app"}),
      ContainsSubstring("libc:i386"));
  // Conflicts mean every architecture.
  CHECK_THAT(resolved(trixie({package("app", "1", "Conflicts: libc:any"), package("libc", "1")}),
                      {"app", "libc"}),
             ContainsSubstring("app 1 conflicts with"));
}

TEST_CASE("resolve ignores packages of other architectures", "[solve]") {
  const Indexes indexes = trixie(
      {package("lib", "1"), package("lib", "2", "", "armhf"), package("only", "1", "", "armhf")});
  CHECK(resolved(indexes, {"lib"}) == "lib 1");
  CHECK_FALSE(
      std::holds_alternative<Solution>(resolve(indexes.get(), {.install = {"only"}}, {}, {})));
}

TEST_CASE("resolve follows cycles once", "[solve]") {
  const Indexes indexes = trixie({package("a", "1", "Depends: b"), package("b", "1", "Depends: c"),
                                  package("c", "1", "Depends: a")});
  CHECK(resolved(indexes, {"b"}) == "a 1, b 1, c 1");
}

TEST_CASE("resolve takes the newest version of all suites", "[solve]") {
  Indexes indexes;
  indexes.add("trixie", package("lib", "1.0-1") + package("app", "1", "Depends: lib"));
  indexes.add("trixie-security", package("lib", "1.0-1+deb13u1"),
              "http://deb.example/debian-security");
  const Outcome outcome = resolve(indexes.get(), {.install = {"app"}}, {}, {});
  CHECK(outcome_text(outcome) == "app 1, lib 1.0-1+deb13u1");
  const deb::Package& lib = std::get<Solution>(outcome).choices[1].package;
  CHECK(lib.source_suite == "trixie-security");
  CHECK(lib.url == "http://deb.example/debian-security/pool/main/lib_1.deb");
}

TEST_CASE("resolve compares versions as Debian does", "[solve]") {
  const auto [older, newer] =
      GENERATE(table<std::string, std::string>({{"1.9", "1.10"},
                                                {"9", "1:1"},
                                                {"1.0~rc1", "1.0"},
                                                {"1.0-1", "1.0-1+b1"},
                                                {"1.0a", "1.0+"},
                                                {"2.0-1~deb13u1", "2.0-1"}}));
  const std::string text = GENERATE(0, 1) == 0 ? package("lib", older) + package("lib", newer)
                                               : package("lib", newer) + package("lib", older);
  Indexes indexes;
  indexes.add("trixie", text);
  CHECK(resolved(indexes, {"lib"}) == "lib " + newer);
}

TEST_CASE("resolve takes an older version only when nothing else helps", "[solve]") {
  const std::string libs = package("lib", "2") + package("lib", "1");
  Indexes indexes;
  indexes.add("trixie", libs + package("old", "1", "Depends: lib (<< 2)") +
                            package("or", "1", "Depends: lib (<< 2) | other") +
                            package("other", "1"));
  CHECK(resolved(indexes, {"old"}) == "lib 1, old 1");
  CHECK(resolved(indexes, {"or"}) == "or 1, other 1");
  CHECK(resolved(indexes, {"lib", "old"}) == "lib 1, old 1");
}

TEST_CASE("resolve takes equal versions from the first source", "[solve]") {
  Indexes indexes;
  indexes.add("trixie", package("lib", "1", "Tag: first"), "http://deb.example/one");
  indexes.add("trixie-updates", package("lib", "1", "Tag: second"), "http://deb.example/two");
  const Outcome outcome = resolve(indexes.get(), {.install = {"lib"}}, {}, {});
  REQUIRE(std::get<Solution>(outcome).choices.size() == 1);
  CHECK(std::get<Solution>(outcome).choices[0].package.source_suite == "trixie");
  CHECK(std::get<Solution>(outcome).choices[0].package.digest ==
        oci::Digest::of("lib 1 Tag: first"));
}

TEST_CASE("resolve understands requests with versions and alternatives", "[solve]") {
  const Indexes indexes = trixie(
      {package("lib", "1"), package("lib", "2"), package("lib", "3"), package("other", "1")});
  const auto [request, expected] =
      GENERATE(table<std::string, std::string>({{"lib=2", "lib 2"},
                                                {" lib = 2 ", "lib 2"},
                                                {"lib (= 1)", "lib 1"},
                                                {"lib (<< 3)", "lib 2"},
                                                {"lib(>=1)", "lib 3"},
                                                {"lib (>> 3) | other", "other 1"},
                                                {"lib (<= 2) | other", "other 1"}}));
  CHECK(resolved(indexes, {request}) == expected);
}

TEST_CASE("resolve refuses a request that is no relation", "[solve]") {
  const Indexes indexes = trixie({package("lib", "1")});
  const std::string request = GENERATE("", "lib, lib", "lib (1)", "lib (>= )", "lib (>= 1", "=1",
                                       "lib |", "lib lib", "l\033ib", "lib=1=2");
  CAPTURE(request);
  try {
    static_cast<void>(resolve(indexes.get(), {.install = {request}}, {}, {}));
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    CHECK_THAT(error.message(), ContainsSubstring("cannot request package"));
    CHECK_FALSE(error.hint().empty());
  }
  CHECK_THROWS_AS(
      resolve(indexes.get(), {.install = {"lib"}, .assume_installed = {"lib (>= 1)"}}, {}, {}),
      Error);
}

TEST_CASE("resolve counts assumed packages as there, and says who asked for them", "[solve]") {
  const Indexes indexes = trixie(
      {package("app", "1", "Depends: debconf (>= 0.5) | debconf-2.0, lib"),
       package("lib", "1", "Depends: openssl:any"), package("debconf", "0.1", "Depends: perl"),
       package("perl", "5"), package("openssl", "3")});
  const Outcome outcome =
      resolve(indexes.get(),
              {.install = {"app"}, .assume_installed = {"openssl", "debconf", "unused"}}, {}, {});
  CHECK(outcome_text(outcome) == "app 1, lib 1");
  CHECK(std::get<Solution>(outcome).assumed ==
        std::vector<std::pair<std::string, std::string>>{{"debconf", "app"}, {"openssl", "lib"}});
  // What is asked for by name is installed all the same.
  CHECK(resolved(indexes, {"app", "openssl"}, {"debconf", "openssl"}) == "app 1, lib 1, openssl 3");
}

TEST_CASE("resolve does not let an assumed package conflict with anything", "[solve]") {
  const Indexes indexes =
      trixie({package("app", "1", "Depends: debconf\nConflicts: debconf (<< 9)"),
              package("debconf", "1")});
  CHECK(resolved(indexes, {"app"}, {"debconf"}) == "app 1");
}

TEST_CASE("resolve names the shortest way from the request to each package", "[solve]") {
  const Indexes indexes =
      trixie({package("app", "1", "Depends: long, short"), package("long", "1", "Depends: longer"),
              package("longer", "1", "Depends: goal (>= 1)"),
              package("short", "1", "Depends: goal"), package("goal", "1")});
  const Outcome outcome = resolve(indexes.get(), {.install = {"app"}}, {}, {});
  for (const Choice& choice : std::get<Solution>(outcome).choices) {
    if (choice.package.name == "goal") {
      CHECK(choice.required_by == "short");
      CHECK(choice.relation == "goal");
    }
  }
}

TEST_CASE("resolve gives an empty solution to an empty request", "[solve]") {
  CHECK(resolved(trixie({package("a", "1")}), {}).empty());
}

TEST_CASE("resolve stops when it is asked to", "[solve]") {
  const Indexes indexes = trixie({package("a", "1")});
  std::stop_source stop;
  stop.request_stop();
  try {
    static_cast<void>(resolve(indexes.get(), {.install = {"a"}}, {}, {.stop = stop.get_token()}));
    FAIL("went on");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
}

TEST_CASE("resolve refuses an index whose size is not the promised one", "[solve]") {
  Indexes indexes = trixie({package("a", "1")});
  deb::PackageIndex index = indexes.get();
  ++index.indexes.front().size_bytes;
  CHECK_THROWS_AS(resolve(index, {.install = {"a"}}, {}, {}), Error);
}

namespace {

// A world of `count` packages that depend on, conflict with and provide each other at random.
std::vector<std::string> random_world(std::mt19937& random, int count) {
  const auto pick = [&](int below) {
    return static_cast<int>(random() % static_cast<unsigned>(below));
  };
  const auto name = [](int i) { return "p" + std::to_string(i); };
  std::vector<std::string> world;
  for (int i = 0; i < count; ++i) {
    for (int version = 1 + pick(2); version > 0; --version) {
      std::string fields;
      if (i > 0 && pick(4) != 0) {
        fields += "Depends: ";
        for (int group = pick(3); group >= 0; --group) {
          for (int alternative = pick(3); alternative >= 0; --alternative) {
            fields += pick(5) == 0 ? "v" + std::to_string(pick(6)) : name(pick(count));
            fields += pick(4) == 0 ? " (>= 2)" : "";
            fields += alternative > 0 ? " | " : group > 0 ? ", " : "\n";
          }
        }
      }
      if (pick(6) == 0) {
        fields += "Conflicts: " + name(pick(count)) + (pick(2) == 0 ? " (<< 2)\n" : "\n");
      }
      if (pick(5) == 0) {
        fields += "Provides: v" + std::to_string(pick(6)) + (pick(2) == 0 ? " (= 2)\n" : "\n");
      }
      world.push_back(package(name(i), std::to_string(version), fields));
    }
  }
  return world;
}

} // namespace

TEST_CASE("resolve does not depend on the order of packages in an index", "[solve][property]") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::vector<std::string> world = random_world(random, 24);
    const std::string request = "p" + std::to_string(random() % 24);
    const std::string other = "p" + std::to_string(random() % 24);
    const Outcome first = resolve(trixie(world).get(), {.install = {request, other}}, {}, {});
    for (int turn = 0; turn < 3; ++turn) {
      std::shuffle(world.begin(), world.end(), random);
      CHECK(resolve(trixie(world).get(), {.install = {request, other}}, {}, {}) == first);
    }
  }
}
