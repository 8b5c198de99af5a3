#pragma once

#include "aipack/image/image.hpp"

#include "composer.hpp"

#include <string>

namespace aipack::build {

/// User, entrypoint, environment, ports, labels and annotations of one platform's image: a pure
/// function of plan and composition.
[[nodiscard]] image::ImageSettings image_settings(const Plan& plan, const ImagePlan& image,
                                                  const PlatformLayers& platform);
/// What the request and the models say on top of a base image; without layers.
[[nodiscard]] image::Extension base_extension(const Plan& plan, const ImagePlan& image,
                                              const image::StoredImage& base);
/// `created`: of the youngest image, RFC 3339; may be empty.
[[nodiscard]] oci::Annotations index_annotations(const Plan& plan, const std::string& created);

} // namespace aipack::build
