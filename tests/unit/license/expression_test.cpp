#include "aipack/license/license.hpp"

#include "support/catch.hpp"
#include "support/generate.hpp"

#include <string>
#include <vector>

using namespace aipack;
using namespace aipack::license;

TEST_CASE("An SPDX expression gets its canonical spelling", "[license][expression]") {
  const auto [text, expected] = GENERATE(table<std::string, std::string>({
      {"MIT", "MIT"},
      {"mit", "MIT"},
      {" Apache-2.0 ", "Apache-2.0"},
      {"GPL-2.0", "GPL-2.0-only"},
      {"GPL-2.0+", "GPL-2.0-or-later"},
      {"lgpl-2.1-OR-LATER", "LGPL-2.1-or-later"},
      {"MPL-2.0+", "MPL-2.0+"},
      {"(MIT)", "MIT"},
      {"MIT OR (Apache-2.0 OR ISC)", "MIT OR Apache-2.0 OR ISC"},
      {"MIT AND MIT", "MIT"},
      {"MIT and (isc or zlib)", "MIT AND (ISC OR Zlib)"},
      {"(MIT AND ISC) OR Zlib", "MIT AND ISC OR Zlib"},
      {"MIT AND ISC OR Zlib", "MIT AND ISC OR Zlib"},
      {"GPL-2.0-or-later with Bison-exception-2.2", "GPL-2.0-or-later WITH Bison-exception-2.2"},
      {"LicenseRef-ours.1-a", "LicenseRef-ours.1-a"},
  }));
  CAPTURE(text);
  const auto parsed = try_parse_expression(text);
  REQUIRE(parsed.has_value());
  CHECK(*parsed == expected);
  CHECK(try_parse_expression(*parsed) == *parsed);
}

TEST_CASE("What is no SPDX expression is refused", "[license][expression]") {
  const auto text = GENERATE(as<std::string>{}, "", " ", "Expat", "MIT AND", "AND MIT", "MIT ISC",
                             "(MIT", "MIT)", "()", "MIT WITH", "MIT WITH MIT", "LicenseRef-",
                             "LicenseRef-a_b", "DocumentRef-x:LicenseRef-y", "NOASSERTION", "NONE",
                             "Bison-exception-2.2", "MIT+ +", "MIT,ISC");
  CAPTURE(text);
  CHECK_FALSE(try_parse_expression(text).has_value());
}

TEST_CASE("Expressions have limits", "[license][expression]") {
  const auto nested = [](unsigned depth) {
    return std::string(depth, '(') + "MIT" + std::string(depth, ')');
  };
  CHECK(try_parse_expression(nested(max_expression_depth)) == "MIT");
  CHECK_FALSE(try_parse_expression(nested(max_expression_depth + 1)).has_value());
  CHECK_FALSE(try_parse_expression(std::string(max_expression_bytes, ' ') + "MIT").has_value());
}

TEST_CASE("Any expression prints what it reads back", "[license][expression]") {
  AIPACK_TEST_RANDOM(random);
  const std::vector<std::string> leaves{"MIT", "ISC", "Zlib", "LicenseRef-a",
                                        "GPL-2.0-or-later WITH Bison-exception-2.2"};
  const auto make = [&](auto&& self, unsigned depth) -> std::string {
    if (depth == 0 || random.below(3) == 0) {
      return leaves[random.below(leaves.size())];
    }
    const char* word = random.below(2) == 0 ? " AND " : " OR ";
    return "(" + self(self, depth - 1) + word + self(self, depth - 1) + ")";
  };
  for (int i = 0; i < 500; ++i) {
    const auto text = make(make, 5);
    CAPTURE(text);
    const auto parsed = try_parse_expression(text);
    REQUIRE(parsed.has_value());
    CHECK(try_parse_expression(*parsed) == *parsed);
  }
}

TEST_CASE("The identifiers are those of the SPDX list", "[license][expression]") {
  CHECK(spdx_id("0bsd") == "0BSD");
  CHECK(spdx_id("zpl-2.1") == "ZPL-2.1");
  CHECK_FALSE(spdx_id("GCC-exception-3.1").has_value());
  CHECK(spdx_exception("gcc-EXCEPTION-3.1") == "GCC-exception-3.1");
  CHECK_FALSE(spdx_exception("MIT").has_value());
  CHECK_FALSE(spdx_id("").has_value());
}
