#pragma once

#include "aipack/core/export.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/transfer/place.hpp"

namespace aipack::transfer {

/// An image for reading, wherever it is: its documents are fetched and verified now, its layers
/// when they are opened. `origin` and `op` must outlive what comes out. Throws as
/// ImageSource::open() and the origin do.
[[nodiscard]] AIPACK_API image::ImageSource open_image(Origin& origin, const Operation& op,
                                                       const image::ReadLimits& limits = {});
/// The same of a part of it: an index or a manifest by its descriptor.
[[nodiscard]] AIPACK_API image::ImageSource open_image(Origin& origin, const oci::Descriptor& root,
                                                       const Operation& op,
                                                       const image::ReadLimits& limits = {});

} // namespace aipack::transfer
