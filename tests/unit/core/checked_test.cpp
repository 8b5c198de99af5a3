#include "aipack/core/checked.hpp"

#include "support/catch.hpp"

#include <cstdint>

using namespace aipack;

TEST_CASE("checked arithmetic gives the exact result or none", "[core][checked]") {
  CHECK(try_add<std::uint64_t>(UINT64_MAX - 1, 1) == UINT64_MAX);
  CHECK_FALSE(try_add<std::uint64_t>(UINT64_MAX, 1));
  CHECK(try_multiply<std::uint64_t>(UINT64_MAX / 2, 2) == UINT64_MAX - 1);
  CHECK_FALSE(try_multiply<std::uint64_t>(UINT64_MAX / 2 + 1, 2));
  CHECK_FALSE(try_add<std::uint8_t>(200, 56));
  CHECK(checked_add<std::uint64_t>(2, 3) == 5);
  CHECK(checked_multiply<std::uint64_t>(2, 3) == 6);
}

TEST_CASE("a sum that wraps is the file's fault", "[core][checked]") {
  try {
    (void)checked_add<std::uint64_t>(UINT64_MAX, 1);
    FAIL("it wrapped");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
  }
  CHECK_THROWS_AS(checked_multiply<std::uint64_t>(UINT64_MAX, 2), Error);
}

TEST_CASE("align_up rounds up to the next multiple", "[core][checked]") {
  CHECK(align_up(0, 4096) == 0);
  CHECK(align_up(1, 4096) == 4096);
  CHECK(align_up(4096, 4096) == 4096);
  CHECK(align_up(4097, 4096) == 8192);
  CHECK_THROWS_AS(align_up(UINT64_MAX, 4096), Error);
}
