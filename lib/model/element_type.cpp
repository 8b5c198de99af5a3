#include "element_type.hpp"

#include "aipack/core/checked.hpp"

#include <array>

namespace aipack::model {
namespace {

constexpr std::array<ElementType, 27> element_types{{{},
                                                     {"float", 32},
                                                     {"uint8", 8},
                                                     {"int8", 8},
                                                     {"uint16", 16},
                                                     {"int16", 16},
                                                     {"int32", 32},
                                                     {"int64", 64},
                                                     {"string", 0},
                                                     {"bool", 8},
                                                     {"float16", 16},
                                                     {"double", 64},
                                                     {"uint32", 32},
                                                     {"uint64", 64},
                                                     {"complex64", 64},
                                                     {"complex128", 128},
                                                     {"bfloat16", 16},
                                                     {"float8e4m3fn", 8},
                                                     {"float8e4m3fnuz", 8},
                                                     {"float8e5m2", 8},
                                                     {"float8e5m2fnuz", 8},
                                                     {"uint4", 4},
                                                     {"int4", 4},
                                                     {"float4e2m1", 4},
                                                     {"float8e8m0", 8},
                                                     {"uint2", 2},
                                                     {"int2", 2}}};

} // namespace

const ElementType* find_element_type(std::uint64_t number) noexcept {
  return number > 0 && number < element_types.size()
             ? &element_types[static_cast<std::size_t>(number)]
             : nullptr;
}

std::uint32_t value_field(std::uint64_t number) noexcept {
  switch (number) {
  case 1:  // float
  case 14: // complex64
    return 4;
  case 7: // int64
    return 7;
  case 8: // string
    return 6;
  case 11: // double
  case 15: // complex128
    return 10;
  case 12: // uint32
  case 13: // uint64
    return 11;
  default:
    return 5;
  }
}

std::optional<std::uint64_t> stored_bytes(std::uint64_t elements, std::uint64_t number) noexcept {
  const auto* type = find_element_type(number);
  if (type == nullptr || type->bits == 0) {
    return std::nullopt;
  }
  if (type->bits >= 8) {
    return try_multiply(elements, type->bits / 8U);
  }
  const auto per_byte = 8U / type->bits;
  return elements / per_byte + (elements % per_byte != 0 ? 1 : 0);
}

} // namespace aipack::model
