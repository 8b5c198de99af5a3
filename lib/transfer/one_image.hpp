#pragma once

#include "aipack/image/reader.hpp"
#include "aipack/transfer/place.hpp"

#include <filesystem>
#include <optional>

namespace aipack::transfer {

/// One platform's image out of an origin, as docker archives and engines want it: `platform`, or
/// the host's, or the only one. A docker archive reads zstd layers twice: those that come from afar
/// are kept in an unnamed file in `spool_directory` in between, unless that is empty. Layers that
/// may not be distributed have no blob. Origin and `op` must outlive it.
[[nodiscard]] image::StoredImage open_one(Origin& origin,
                                          const std::optional<oci::Platform>& platform,
                                          const std::filesystem::path& spool_directory,
                                          const Operation& op);

} // namespace aipack::transfer
