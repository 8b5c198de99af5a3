#pragma once

#include "aipack/core/export.hpp"

#include <string_view>

namespace aipack {

/// The library's version, "MAJOR.MINOR.PATCH".
[[nodiscard]] AIPACK_API std::string_view version() noexcept;

/// Counts changes in the bytes that aipack composes from the same inputs (tar headers, JSON order,
/// codec settings). Part of every cache key: two builds with the same number and the same lock give
/// the same digests.
inline constexpr int layout_version = 2;

} // namespace aipack
