#pragma once

#include "search.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace aipack::solve {

inline constexpr std::size_t max_explanation_lines = 10;

/// Why nothing fulfils the request of `search`, root cause first, in the words of Debian's users.
/// Only for a request that libsolv refused. A function of the content of the index, not of
/// libsolv's order of work.
[[nodiscard]] std::vector<std::string> explain(Search& search);

} // namespace aipack::solve
