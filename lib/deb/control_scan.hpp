#pragma once

#include "aipack/deb/control.hpp"

#include <string_view>
#include <vector>

namespace aipack::deb {

/// parse_control() with another limit: Release files are larger than control files.
std::vector<Paragraph> parse_control_up_to(std::string_view text, std::string_view name,
                                           std::size_t limit);

} // namespace aipack::deb
