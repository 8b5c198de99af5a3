#pragma once

#include "aipack/core/export.hpp"

#include <span>
#include <string>
#include <string_view>

namespace aipack {

/// The word of `known` that `typed` was most likely meant to be, for "did you mean"; empty when
/// none is near enough (edit distance above a third of the length). Of equally near ones the first.
[[nodiscard]] AIPACK_API std::string nearest_word(std::string_view typed,
                                                  std::span<const std::string> known);

} // namespace aipack
