#include "aipack/license/license.hpp"

#include "support/catch.hpp"

#include <string>
#include <vector>

using namespace aipack;
using namespace aipack::license;

TEST_CASE("Free words become an expression where they are one", "[license]") {
  const auto [words, expected] = GENERATE(table<std::string, std::string>({
      {"mit", "MIT"},
      {"MIT License", "MIT"},
      {"Apache License, Version 2.0", "Apache-2.0"},
      {"apache-2.0", "Apache-2.0"},
      {"MIT OR Apache-2.0", "MIT OR Apache-2.0"},
      {"", "NOASSERTION"},
      {"  \n", "NOASSERTION"},
      {"unknown", "NOASSERTION"},
  }));
  CAPTURE(words);
  const auto license = from_words(words);
  CHECK(license.expression == expected);
  CHECK(license.texts.empty());
}

TEST_CASE("Words that are no licence are kept as a text", "[license]") {
  const auto words =
      GENERATE(as<std::string>{}, "For research only", "ask \xE2\x80\x98us\xE2\x80\x99",
               "a line\nand another", "\xff\xfe", "()");
  CAPTURE(words);
  const auto license = from_words(words);
  REQUIRE(license.texts.size() == 1);
  CHECK(license.texts.begin()->first == license.expression);
  CHECK(try_parse_expression(license.expression) == license.expression);
  CHECK_FALSE(license.texts.begin()->second.empty());
}

TEST_CASE("A LicenseRef in free words has a text too", "[license]") {
  const auto license = from_words("MIT AND LicenseRef-ours");
  CHECK(license.expression == "MIT AND LicenseRef-ours");
  CHECK(license.texts.contains("LicenseRef-ours"));
}

TEST_CASE("The same words are the same reference, other words another", "[license]") {
  CHECK(from_words("For research only") == from_words("For research only"));
  CHECK(license_ref("Debian", "public-domain", "a") != license_ref("Debian", "public-domain", "b"));
  CHECK(license_ref("Debian", "GPL-3 with font, too") == "LicenseRef-Debian-GPL-3-with-font-too");
  CHECK(license_ref("", "") == "LicenseRef-unnamed");
  CHECK(license_ref("", "\xc3\xa4\xc3\xb6") == "LicenseRef-unnamed");
}

TEST_CASE("Licences together are a conjunction without repetition", "[license]") {
  const std::vector<License> licenses{
      {.expression = "MIT OR ISC"},
      {.expression = "Zlib AND LicenseRef-a", .texts = {{"LicenseRef-a", "text"}}},
      {},
      {.expression = "Zlib"}};
  const auto together = all_of(licenses);
  CHECK(together.expression == "LicenseRef-a AND (MIT OR ISC) AND Zlib");
  CHECK(together.texts == std::map<std::string, std::string>{{"LicenseRef-a", "text"}});
  CHECK(all_of({}).expression == "NOASSERTION");
  CHECK(references_of(together.expression) == std::vector<std::string>{"LicenseRef-a"});
}
