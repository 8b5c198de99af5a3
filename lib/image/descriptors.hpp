#pragma once

#include "aipack/image/layer.hpp"
#include "aipack/oci/descriptor.hpp"

namespace aipack::image {

/// A layer's descriptor as aipack's manifests have it: purpose, files and title are annotations.
[[nodiscard]] oci::Descriptor annotated_descriptor(const Layer& layer);

} // namespace aipack::image
