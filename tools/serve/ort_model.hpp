#pragma once

#include "model.hpp"
#include "ort_library.hpp"

#include <memory>
#include <string>

namespace aipack::serve {

/// Loads a model from its path, so that the runtime maps external weights itself. Throws
/// StartupError (invalid_input) with the runtime's reason. `ort` outlives the model.
[[nodiscard]] std::unique_ptr<Model> load_model(const OrtLibrary& ort, const ModelFile& file,
                                                Logger& log);

} // namespace aipack::serve
