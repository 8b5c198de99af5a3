#include "aipack/core/version.hpp"

#include "support/catch.hpp"

#include <regex>
#include <string>

TEST_CASE("version is the project's, in three numbers", "[core][version]") {
  CHECK(aipack::version() == AIPACK_EXPECTED_VERSION);
  CHECK(std::regex_match(std::string(aipack::version()), std::regex("[0-9]+\\.[0-9]+\\.[0-9]+")));
}
