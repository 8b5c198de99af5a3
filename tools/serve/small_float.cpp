#include "small_float.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace aipack::serve {
namespace {

constexpr SmallFloat binary16{5, 10, 15, true, false};
constexpr SmallFloat bfloat16{8, 7, 127, true, false};
constexpr SmallFloat e4m3fn{4, 3, 7, false, false};
constexpr SmallFloat e4m3fnuz{4, 3, 8, false, true};
constexpr SmallFloat e5m2{5, 2, 15, true, false};
constexpr SmallFloat e5m2fnuz{5, 2, 16, false, true};

struct Fields {
  std::uint32_t sign_bit;
  std::uint32_t exponent_mask; ///< unshifted
  std::uint32_t mantissa_mask;
};

[[nodiscard]] constexpr Fields fields_of(const SmallFloat& format) noexcept {
  return {1U << (format.exponent_bits + format.mantissa_bits), (1U << format.exponent_bits) - 1U,
          (1U << format.mantissa_bits) - 1U};
}

[[nodiscard]] std::uint32_t nan_pattern(const SmallFloat& format) noexcept {
  const Fields f = fields_of(format);
  if (format.single_zero) {
    return f.sign_bit;
  }
  if (format.has_infinity) { // quiet: the highest mantissa bit
    return (f.exponent_mask << format.mantissa_bits) | (1U << (format.mantissa_bits - 1U));
  }
  return (f.exponent_mask << format.mantissa_bits) | f.mantissa_mask;
}

[[nodiscard]] std::uint32_t largest_finite(const SmallFloat& format) noexcept {
  const Fields f = fields_of(format);
  const std::uint32_t all = (f.exponent_mask << format.mantissa_bits) | f.mantissa_mask;
  if (format.single_zero) {
    return all;
  }
  return format.has_infinity ? (f.exponent_mask << format.mantissa_bits) - 1U : all - 1U;
}

} // namespace

const SmallFloat* small_float_format(ElementType type) noexcept {
  if (type == ElementType::fp16) {
    return &binary16;
  }
  if (type == ElementType::bf16) {
    return &bfloat16;
  }
  if (type == ElementType::fp8_e4m3fn) {
    return &e4m3fn;
  }
  if (type == ElementType::fp8_e4m3fnuz) {
    return &e4m3fnuz;
  }
  if (type == ElementType::fp8_e5m2) {
    return &e5m2;
  }
  if (type == ElementType::fp8_e5m2fnuz) {
    return &e5m2fnuz;
  }
  return nullptr;
}

float decode(const SmallFloat& format, std::uint16_t bits) noexcept {
  const Fields f = fields_of(format);
  const bool negative = (bits & f.sign_bit) != 0;
  const std::uint32_t magnitude = bits & (f.sign_bit - 1U);
  const std::uint32_t exponent = magnitude >> format.mantissa_bits;
  const std::uint32_t mantissa = magnitude & f.mantissa_mask;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  float value = 0;
  if (format.single_zero && bits == f.sign_bit) {
    return nan;
  }
  if (!format.single_zero && exponent == f.exponent_mask) {
    if (format.has_infinity) {
      if (mantissa != 0) {
        return nan;
      }
      const float infinity = std::numeric_limits<float>::infinity();
      return negative ? -infinity : infinity;
    }
    if (mantissa == f.mantissa_mask) {
      return nan;
    }
  }
  const int mantissa_bits = static_cast<int>(format.mantissa_bits);
  if (exponent == 0) {
    value = std::ldexp(static_cast<float>(mantissa), 1 - format.bias - mantissa_bits);
  } else {
    value = std::ldexp(static_cast<float>(mantissa + (1U << format.mantissa_bits)),
                       static_cast<int>(exponent) - format.bias - mantissa_bits);
  }
  return negative ? -value : value;
}

std::optional<std::uint16_t> encode(const SmallFloat& format, double value) noexcept {
  const Fields f = fields_of(format);
  if (std::isnan(value)) {
    return static_cast<std::uint16_t>(nan_pattern(format));
  }
  const std::uint32_t sign = std::signbit(value) ? f.sign_bit : 0U;
  const double magnitude = std::fabs(value);
  if (std::isinf(magnitude)) {
    if (!format.has_infinity) {
      return std::nullopt;
    }
    return static_cast<std::uint16_t>(sign | (f.exponent_mask << format.mantissa_bits));
  }
  if (magnitude == 0) {
    return static_cast<std::uint16_t>(format.single_zero ? 0U : sign);
  }
  // Round the significand to an integer of mantissa_bits + 1 bits (fewer when subnormal); a carry
  // then moves into the exponent field by itself, because the fields are adjacent.
  const int mantissa_bits = static_cast<int>(format.mantissa_bits);
  const int exponent = std::max(std::ilogb(magnitude), 1 - format.bias);
  const double significand = std::nearbyint(std::ldexp(magnitude, mantissa_bits - exponent));
  if (exponent + format.bias > static_cast<int>(f.exponent_mask)) {
    return std::nullopt;
  }
  const auto units = static_cast<std::uint32_t>(significand);
  const std::uint32_t pattern =
      (static_cast<std::uint32_t>(exponent + format.bias - 1) << format.mantissa_bits) + units;
  if (pattern > largest_finite(format)) {
    return std::nullopt;
  }
  if (pattern == 0 && format.single_zero) {
    return std::uint16_t{0};
  }
  return static_cast<std::uint16_t>(sign | pattern);
}

} // namespace aipack::serve
