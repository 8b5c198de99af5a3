#pragma once

#include "expression.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace aipack::license {

/// Gives the expression of a licence that SPDX does not know.
using UnknownLicense = std::function<Expression(std::string_view name)>;

/// What stands behind "License:": short names with "and", "or", "with … exception" and commas.
/// Source: copyright-format 1.0, "License specification", "Short name" and "Syntax".
[[nodiscard]] Expression debian_expression(std::string_view synopsis,
                                           const UnknownLicense& unknown);

/// The SPDX expression of one Debian short name, "LGPL-2.1+", or of a file of
/// /usr/share/common-licenses; empty: unknown.
[[nodiscard]] std::string spdx_of_debian_name(std::string_view name);

} // namespace aipack::license
