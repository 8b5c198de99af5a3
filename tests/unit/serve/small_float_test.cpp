#include "small_float.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstring>
#include <limits>

using namespace aipack::serve;

namespace {

constexpr ElementType formats[] = {ElementType::fp16,       ElementType::bf16,
                                   ElementType::fp8_e4m3fn, ElementType::fp8_e4m3fnuz,
                                   ElementType::fp8_e5m2,   ElementType::fp8_e5m2fnuz};

} // namespace

TEST_CASE("every pattern of every small float decodes to a value that encodes to it again",
          "[serve][small_float]") {
  const ElementType type = GENERATE(from_range(std::begin(formats), std::end(formats)));
  const SmallFloat& format = *small_float_format(type);
  const unsigned patterns = 1U << element_bits(type);
  for (unsigned bits = 0; bits < patterns; ++bits) {
    const float value = decode(format, static_cast<std::uint16_t>(bits));
    const auto back = encode(format, static_cast<double>(value));
    const bool same =
        std::isnan(value) ? back && std::isnan(decode(format, *back)) : back && *back == bits;
    if (!same) {
      FAIL(datatype_name(type) << " pattern " << bits << " is " << value);
    }
  }
}

TEST_CASE(
    "a value between two neighbours goes to the nearer one, and to the even one in the middle",
    "[serve][small_float]") {
  const ElementType type = GENERATE(from_range(std::begin(formats), std::end(formats)));
  const SmallFloat& format = *small_float_format(type);
  for (unsigned bits = 0; bits + 1 < 1U << (element_bits(type) - 1); ++bits) {
    const double low = static_cast<double>(decode(format, static_cast<std::uint16_t>(bits)));
    const double high = static_cast<double>(decode(format, static_cast<std::uint16_t>(bits + 1)));
    if (!std::isfinite(low) || !std::isfinite(high)) {
      break;
    }
    const double middle = low + (high - low) / 2;
    const unsigned even = bits % 2 == 0 ? bits : bits + 1;
    if (encode(format, middle) != even || encode(format, std::nextafter(middle, low)) != bits ||
        encode(format, std::nextafter(middle, high)) != bits + 1) {
      FAIL(datatype_name(type) << " between " << low << " and " << high);
    }
  }
}

TEST_CASE("known patterns of the formats", "[serve][small_float]") {
  struct Known {
    ElementType type;
    std::uint16_t bits;
    float value;
  };
  // IEEE 754 binary16; bfloat16; the largest values of the ONNX specification's table of 8-bit
  // floats.
  const Known known = GENERATE(
      Known{ElementType::fp16, 0x3C00, 1.0F}, Known{ElementType::fp16, 0x7BFF, 65504.0F},
      Known{ElementType::fp16, 0x0001, 5.9604645e-8F}, Known{ElementType::bf16, 0x3F80, 1.0F},
      Known{ElementType::bf16, 0xC049, -3.140625F}, Known{ElementType::fp8_e4m3fn, 0x7E, 448.0F},
      Known{ElementType::fp8_e4m3fnuz, 0x7F, 240.0F}, Known{ElementType::fp8_e5m2, 0x7B, 57344.0F},
      Known{ElementType::fp8_e5m2fnuz, 0x7F, 57344.0F});
  const SmallFloat& format = *small_float_format(known.type);
  CHECK(decode(format, known.bits) == known.value);
  CHECK(encode(format, static_cast<double>(known.value)) == known.bits);
}

TEST_CASE("values beyond the largest finite one are refused, never infinite",
          "[serve][small_float]") {
  const SmallFloat& half = *small_float_format(ElementType::fp16);
  CHECK(encode(half, 65519.99) == 0x7BFF);
  CHECK_FALSE(encode(half, 65520.0));
  CHECK_FALSE(encode(half, -1e300));
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(encode(half, infinity) == 0x7C00);
  CHECK(encode(half, -infinity) == 0xFC00);
  CHECK_FALSE(encode(*small_float_format(ElementType::fp8_e4m3fn), infinity));
  CHECK_FALSE(encode(*small_float_format(ElementType::fp8_e5m2fnuz), infinity));
}

TEST_CASE("tiny values round to zero with their sign, where there is a negative zero",
          "[serve][small_float]") {
  CHECK(encode(*small_float_format(ElementType::fp16), -1e-30) == 0x8000);
  CHECK(encode(*small_float_format(ElementType::fp8_e4m3fnuz), -1e-30) == 0);
  CHECK(encode(*small_float_format(ElementType::fp8_e4m3fnuz), -0.0) == 0);
}

TEST_CASE("only types of at most 16 bits have a small format", "[serve][small_float]") {
  CHECK(small_float_format(ElementType::fp32) == nullptr);
  CHECK(small_float_format(ElementType::uint16) == nullptr);
}
