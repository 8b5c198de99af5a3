#pragma once

#include "aipack/build/engine.hpp"
#include "aipack/transfer/place.hpp"

#include "composer.hpp"
#include "context.hpp"

#include <memory>
#include <vector>

namespace aipack::build {

/// Images with what their blobs are read through.
struct Composed {
  image::Index index;
  std::vector<image::Layer> models;         ///< their layers, the same in each image
  std::unique_ptr<transfer::Origin> base{}; ///< of the base's layers; null without a base
};

/// Hops 6 to 9: fetches, composes and seals. Adds one report per platform.
[[nodiscard]] Composed compose_index(Context& context, const Plan& plan,
                                     const WeightsPlace& weights, Compositions compositions,
                                     std::vector<PlatformReport>& reports, const Operation& op);

} // namespace aipack::build
