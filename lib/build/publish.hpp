#pragma once

#include "aipack/build/engine.hpp"

#include "context.hpp"

namespace aipack::build {

/// Hops 6 to 10: composes once, then writes to each place: layers, what goes beside the image, and
/// the name last.
BuildReport publish(Context& context, const Plan& plan, const Outputs& outputs,
                    const Operation& op);

} // namespace aipack::build
