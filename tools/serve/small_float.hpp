#pragma once

#include "element_type.hpp"

#include <cstdint>
#include <optional>

namespace aipack::serve {

/// A floating-point format of at most 16 bits, described by its fields. IEEE 754-2008 binary16;
/// bfloat16; the four 8-bit formats of the ONNX specification ("Float stored in 8 bits").
struct SmallFloat {
  unsigned exponent_bits;
  unsigned mantissa_bits;
  int bias;
  bool has_infinity; ///< exponent all ones means infinity and NaN; else only what the next fields
                     ///< say is special
  bool single_zero;  ///< FNUZ: the pattern of -0 is the only NaN, there is no -0 and no infinity
};

/// The format of `type`, or nullptr when it is none of these.
[[nodiscard]] const SmallFloat* small_float_format(ElementType type) noexcept;

/// The value of a bit pattern, exact.
[[nodiscard]] float decode(const SmallFloat& format, std::uint16_t bits) noexcept;

/// The nearest pattern, ties to even; NaN stays NaN. Empty when a finite value is beyond the
/// largest finite one, or an infinity has no pattern.
[[nodiscard]] std::optional<std::uint16_t> encode(const SmallFloat& format, double value) noexcept;

} // namespace aipack::serve
