#pragma once

#include "document.hpp"

namespace aipack::sbom {

/// A CycloneDX model card of what the model says of itself: nothing is supposed that it does not
/// state.
[[nodiscard]] Json model_card(const model::Model& facts);

} // namespace aipack::sbom
