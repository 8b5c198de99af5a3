#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

namespace aipack::runtime {

/// A JSON object whose keys occur once each. Throws FormatError{corrupt} with the byte offset, or
/// Error{invalid_input} for a repeated key.
[[nodiscard]] nlohmann::json parse_strict(std::string_view text, std::string_view name);

} // namespace aipack::runtime
