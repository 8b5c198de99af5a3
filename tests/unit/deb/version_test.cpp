#include "aipack/core/error.hpp"
#include "aipack/deb/version.hpp"

#include "support/catch.hpp"

#include <array>
#include <cstdlib>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <sys/wait.h>

using aipack::deb::Version;

namespace {

/// Versions that are close to each other, because far ones are ordered by anybody.
std::string random_version(std::mt19937& random) {
  static constexpr std::string_view pieces[] = {"0", "1", "2", "9", "10", "00", "01", "a", "b",
                                                "Z", "z", "~", "+", ".",  "rc", "~~", "-"};
  std::string text;
  if (random() % 4 == 0) {
    text += std::to_string(random() % 3) + ":";
  }
  text += std::to_string(random() % 3);
  for (unsigned i = 0; i < random() % 6; ++i) {
    text += pieces[random() % std::size(pieces)];
  }
  if (random() % 2 == 0) {
    text += "-" + std::to_string(random() % 2);
    for (unsigned i = 0; i < random() % 3; ++i) {
      text += pieces[random() % (std::size(pieces) - 1)];
    }
  } else if (text.back() == '-') {
    text += '1';
  }
  return text;
}

unsigned test_seed() {
  const char* text = std::getenv("AIPACK_TEST_SEED");
  return text == nullptr ? 20260912U : static_cast<unsigned>(std::stoul(text));
}

} // namespace

TEST_CASE("Version orders like Debian Policy 5.6.12", "[deb][version]") {
  // Strictly ascending: every earlier one is older than every later one.
  const std::vector<std::string> ascending{"0~~",
                                           "0~",
                                           "0",
                                           "0a",
                                           "0+",
                                           "0.1",
                                           "0.1-1~deb12u1",
                                           "0.1-1",
                                           "0.1-1+b1",
                                           "0.1-1.1",
                                           "0.9",
                                           "0.10~rc1",
                                           "0.10",
                                           "0.10a",
                                           "0.10+dfsg",
                                           "1.0~~",
                                           "1.0~~a",
                                           "1.0~",
                                           "1.0~a",
                                           "1.0",
                                           "1.0-1~",
                                           "1.0-1",
                                           "1.0-1a",
                                           "1.0-1+deb9",
                                           "1.0a",
                                           "1.0b",
                                           "1.0+",
                                           "1.0.1",
                                           "1.2.3",
                                           "1.2.3-1",
                                           "1.2.3-2",
                                           "1.2.3-10",
                                           "1.2.3a-1",
                                           "1.2.3+git-1",
                                           "1.2.10",
                                           "2",
                                           "10",
                                           "10.0Z7~x",
                                           "10.0a7",
                                           "9999999999999999999999",
                                           "1:0",
                                           "1:0.1",
                                           "2:0~",
                                           "10:0"};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      CAPTURE(ascending[i], ascending[j]);
      CHECK(((Version::parse(ascending[i]) <=> Version::parse(ascending[j])) == (i <=> j)));
    }
  }
}

TEST_CASE("versions that are spelled differently can be equivalent", "[deb][version]") {
  std::string a;
  std::string b;
  std::tie(a, b) = GENERATE(table<std::string, std::string>({{"1.0", "1.0-0"},
                                                             {"0:1.0", "1.0"},
                                                             {"1.00", "1.0"},
                                                             {"1.001", "1.1"},
                                                             {"1.0-00", "1.0"},
                                                             {"00:1", "1"},
                                                             {"1.a", "1.a0"}}));
  CAPTURE(a, b);
  CHECK(Version::parse(a) == Version::parse(b));
  CHECK(Version::parse(a).to_string() == a);
}

TEST_CASE("Version::parse refuses what is no version", "[deb][version]") {
  const std::string text =
      GENERATE("", " 1", "1 ", "1 2", ":1", "a:1", "-1:1", "1:", "1-", "1:-1", "-1", "1_2",
               "1.0-a:b", "1.0\n", "2147483648:1", "99999999999999999999:1", "1.0-\xc3\xa4", "1/2");
  CAPTURE(text);
  CHECK_FALSE(Version::try_parse(text).has_value());
  CHECK_THROWS_AS(Version::parse(text), aipack::Error);
}

TEST_CASE("Version splits at the first colon and the last hyphen", "[deb][version]") {
  CHECK(Version::try_parse("1:2:3-4").has_value());
  CHECK(Version::parse("1:2-3-4") < Version::parse("1:2-3-5"));
  CHECK(Version::parse("1.0-1-9") > Version::parse("1.0-1"));
  CHECK_FALSE(Version::try_parse(std::string(10'000, '1')).has_value());
  CHECK(Version::parse(std::string(400, '9')) > Version::parse(std::string(399, '9')));
}

TEST_CASE("Version order is total", "[deb][version][property]") {
  const unsigned seed = test_seed();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    const Version a = Version::parse(random_version(random));
    const Version b = Version::parse(random_version(random));
    const Version c = Version::parse(random_version(random));
    CAPTURE(a.to_string(), b.to_string(), c.to_string());
    REQUIRE(std::is_eq(a <=> a));
    REQUIRE((a < b) == (b > a));
    REQUIRE((a == b) == (b == a));
    REQUIRE(int{a < b} + int{a == b} + int{a > b} == 1);
    if (a <= b && b <= c) {
      REQUIRE(a <= c);
    }
    if (a == b) {
      REQUIRE(((a <=> c) == (b <=> c)));
    }
    REQUIRE(Version::parse(a.to_string()) == a);
  }
}

TEST_CASE("Version agrees with dpkg --compare-versions", "[deb][version][interop]") {
  if (std::system("dpkg --compare-versions 1 lt 2 2>/dev/null") != 0) {
    WARN("skipped: requires dpkg");
    return;
  }
  const unsigned seed = test_seed();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 100; ++round) {
    const std::string a = random_version(random);
    const std::string b = random_version(random);
    const auto dpkg_says = [&](const std::string& op) {
      const std::string command =
          "dpkg --compare-versions '" + a + "' " + op + " '" + b + "' 2>/dev/null";
      const int status = std::system(command.c_str());
      REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) < 2));
      return WEXITSTATUS(status) == 0;
    };
    CAPTURE(a, b);
    const auto order = Version::parse(a) <=> Version::parse(b);
    CHECK(dpkg_says(order < 0 ? "lt" : order > 0 ? "gt" : "eq"));
  }
}
