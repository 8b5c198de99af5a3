#pragma once

#include "aipack/image/image.hpp"

#include "composer.hpp"

#include <vector>

namespace aipack::build {

/// User, entrypoint, environment, ports, labels and annotations of one platform's image: a pure
/// function of plan and composition.
[[nodiscard]] image::ImageSettings image_settings(const Plan& plan, const ImagePlan& image,
                                                  const PlatformLayers& platform);
[[nodiscard]] oci::Annotations index_annotations(const Plan& plan,
                                                 const std::vector<PlatformLayers>& platforms);

} // namespace aipack::build
