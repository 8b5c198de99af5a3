#pragma once

#include "aipack/runtime/runtime.hpp"

#include "json_reader.hpp"

namespace aipack::build {

/// A platform's runtime as it stands in a lock: everything that decides the image, nothing that
/// only decided whether it fits the model.
[[nodiscard]] nlohmann::ordered_json runtime_to_json(const runtime::Runtime& runtime);
/// Throws FormatError{corrupt}.
[[nodiscard]] runtime::Runtime runtime_from_json(const JsonReader& json);

} // namespace aipack::build
