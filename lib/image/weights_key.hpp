#pragma once

#include "aipack/image/layer.hpp"

#include <string>

namespace aipack::image {

/// Under which key of blob::DigestCache the digest of this weights layer is kept, beside the
/// identity of its first file.
[[nodiscard]] std::string weights_key(const LayerPlan& plan);

} // namespace aipack::image
