#pragma once

#include "expression.hpp"

#include <string_view>
#include <vector>

namespace aipack::license {

/// Licences that a text in free form refers to (/usr/share/common-licenses/NAME) or quotes, in the
/// order of their first appearance, each once.
[[nodiscard]] std::vector<Expression> recognise_wording(std::string_view text);

} // namespace aipack::license
