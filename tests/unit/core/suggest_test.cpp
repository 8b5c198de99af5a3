#include "aipack/core/suggest.hpp"

#include "support/catch.hpp"

#include <vector>

using aipack::nearest_word;

TEST_CASE("nearest_word finds the word that was meant", "[core][suggest]") {
  const std::vector<std::string> known{"build", "plan", "analyze", "inspect"};
  CHECK(nearest_word("biuld", known) == "build");
  CHECK(nearest_word("analyse", known) == "analyze");
  CHECK(nearest_word("plan", known) == "plan");
}

TEST_CASE("nearest_word stays silent when nothing is near", "[core][suggest]") {
  CHECK(nearest_word("kubernetes", std::vector<std::string>{"build", "plan"}).empty());
  CHECK(nearest_word("x", std::vector<std::string>{}).empty());
  CHECK(nearest_word(std::string(100000, 'a'), std::vector<std::string>{"a"}).empty());
}
