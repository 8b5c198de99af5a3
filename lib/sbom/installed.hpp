#pragma once

#include "aipack/image/reader.hpp"
#include "aipack/sbom/sbom.hpp"

#include <vector>

namespace aipack::sbom {

/// Packages out of the image's dpkg database (/var/lib/dpkg/status.d) and its copyright files: for
/// records that do not have them. Reads every layer but the models'. Digests and suites are unknown
/// then.
[[nodiscard]] std::vector<Package> installed_packages(const image::StoredImage& image,
                                                      const image::ReadLimits& limits,
                                                      const Operation& op);

} // namespace aipack::sbom
