#pragma once

#include "aipack/build/rebuild.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/image/location.hpp"

#include "context.hpp"

namespace aipack::build {

/// Engine::verify_rebuild().
[[nodiscard]] RebuildReport rebuild(Context& context, const image::Location& location,
                                    const RebuildRequest& request, const Operation& op);

} // namespace aipack::build
