#pragma once

#include "aipack/image/layer.hpp"

#include <vector>

namespace aipack::image {

using PlannedEntry = std::pair<fs::RootPath, fs::FileEntry>;

/// The plan's entries in the order of their tar, whatever order the plan has. Throws
/// Error{invalid_input} for what no layer may hold: a path twice, a missing parent, a hard link
/// that does not follow its target.
[[nodiscard]] std::vector<const PlannedEntry*> tar_order(const LayerPlan& plan);

} // namespace aipack::image
