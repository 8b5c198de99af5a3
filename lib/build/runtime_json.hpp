#pragma once

#include "aipack/runtime/runtime.hpp"

#include <string_view>

#include <nlohmann/json.hpp>

namespace aipack::build {

/// A platform's runtime as it stands in a lock: everything that decides the image, nothing that
/// only decided whether it fits the model.
[[nodiscard]] nlohmann::ordered_json runtime_to_json(const runtime::Runtime& runtime);
/// Throws FormatError{corrupt}.
[[nodiscard]] runtime::Runtime runtime_from_json(const nlohmann::ordered_json& json,
                                                 std::string_view name);

} // namespace aipack::build
