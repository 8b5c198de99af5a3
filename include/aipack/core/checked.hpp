#pragma once

#include "aipack/core/error.hpp"

#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace aipack {

/// Arithmetic on untrusted numbers: empty instead of a wrapped result.
template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> try_add(T a, std::type_identity_t<T> b) noexcept {
  T result{};
  if (__builtin_add_overflow(a, b, &result)) {
    return std::nullopt;
  }
  return result;
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr std::optional<T> try_multiply(T a, std::type_identity_t<T> b) noexcept {
  T result{};
  if (__builtin_mul_overflow(a, b, &result)) {
    return std::nullopt;
  }
  return result;
}

/// The throwing forms: Error{corrupt}, because a sum that wraps comes from a hostile file, not from
/// a person.
template <std::unsigned_integral T>
[[nodiscard]] constexpr T checked_add(T a, std::type_identity_t<T> b) {
  if (const auto result = try_add(a, b)) {
    return *result;
  }
  throw Error(ErrorCode::corrupt, "cannot add sizes: the sum does not fit 64 bits");
}

template <std::unsigned_integral T>
[[nodiscard]] constexpr T checked_multiply(T a, std::type_identity_t<T> b) {
  if (const auto result = try_multiply(a, b)) {
    return *result;
  }
  throw Error(ErrorCode::corrupt, "cannot multiply sizes: the product does not fit 64 bits");
}

/// `value` rounded up to a multiple of `alignment` (a power of two).
[[nodiscard]] constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return checked_add(value, alignment - 1) & ~(alignment - 1);
}

} // namespace aipack
