#include "support/catch.hpp"
#include "tensor.hpp"

#include <cstdint>
#include <limits>

using namespace aipack::serve;

TEST_CASE("element_count multiplies, knows scalars and nothing, and never overflows",
          "[serve][tensor]") {
  struct Case {
    Shape shape;
    std::optional<std::uint64_t> count;
  };
  constexpr std::int64_t two_to_40 = std::int64_t{1} << 40;
  const std::vector<Case> cases{
      {Shape{}, 1},
      {Shape{2, 3, 4}, 24},
      {Shape{0, 5}, 0},
      {Shape{5, 0}, 0},
      {Shape{-1}, std::nullopt},
      {Shape{0, -1}, std::nullopt},
      {Shape{two_to_40 * 256}, std::uint64_t{1} << 48U},
      {Shape{two_to_40 * 256 + 1}, std::nullopt},
      {Shape{two_to_40, two_to_40}, std::nullopt},
      {Shape{two_to_40, two_to_40, 0},
       std::nullopt}, // a size that is wrong is wrong in an empty tensor, too
      {Shape{std::numeric_limits<std::int64_t>::max(), 2}, std::nullopt},
  };
  for (const auto& [shape, count] : cases) {
    CAPTURE(to_string(shape));
    CHECK(element_count(shape) == count);
  }
}

TEST_CASE("byte_count packs 4-bit integers and rounds up", "[serve][tensor]") {
  CHECK(byte_count(ElementType::int4, 0) == 0);
  CHECK(byte_count(ElementType::int4, 3) == 2);
  CHECK(byte_count(ElementType::uint4, 4) == 2);
  CHECK(byte_count(ElementType::fp64, 3) == 24);
  CHECK(byte_count(ElementType::boolean, 3) == 3);
}

TEST_CASE("Buffer is aligned, has an address even when empty, and shares its memory",
          "[serve][tensor]") {
  for (const std::size_t size : {0U, 1U, 63U, 64U, 1000U}) {
    const Buffer buffer = Buffer::allocate(size);
    REQUIRE(buffer.data() != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
    CHECK(buffer.size() == size);
  }
  auto owner = std::make_shared<int>(7);
  std::byte byte{5};
  {
    const Buffer shared = Buffer::share(owner, &byte, 1);
    CHECK(owner.use_count() == 2);
    CHECK(shared.data() == &byte);
  }
  CHECK(owner.use_count() == 1);
  CHECK_THROWS_AS(Buffer::allocate(SIZE_MAX), std::bad_alloc);
}

TEST_CASE("datatype names parse back, and types that cannot be fed have none",
          "[serve][element_type]") {
  for (int number = 0; number <= static_cast<int>(ElementType::int4); ++number) {
    const auto type = static_cast<ElementType>(number);
    if (is_feedable(type)) {
      CHECK(parse_datatype(datatype_name(type)) == type);
      CHECK((type == ElementType::bytes || element_bits(type) != 0));
    } else {
      CHECK(datatype_name(type) == "UNSUPPORTED");
    }
  }
  CHECK_FALSE(parse_datatype("UNSUPPORTED"));
  CHECK_FALSE(parse_datatype("fp32"));
  CHECK_FALSE(is_feedable(ElementType::complex64));
}
