#pragma once

#include "aipack/build/plan.hpp"

#include "context.hpp"

#include <string_view>

namespace aipack::build {

/// A model's name is a file name in the image and a part of the server's URLs.
[[nodiscard]] bool is_model_name(std::string_view name) noexcept;

/// Hops 2 to 5.
[[nodiscard]] Plan make_plan(Context& context, const BuildRequest& request, const Operation& op);
/// Hops 2 to 5 out of a lock: the models must be the locked ones, everything else is taken from it.
[[nodiscard]] Plan make_locked_plan(Context& context, const BuildRequest& request,
                                    std::string_view lock, std::string_view name,
                                    const Operation& op);

} // namespace aipack::build
