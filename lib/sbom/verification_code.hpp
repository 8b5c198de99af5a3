#pragma once

#include "aipack/sbom/sbom.hpp"

#include <string>
#include <vector>

namespace aipack::sbom {

/// SPDX 2.3, 7.9: the SHA-1 of the files' SHA-1s in ascending order, one behind the other. Every
/// file has checksums.
[[nodiscard]] std::string verification_code(const std::vector<File>& files);

} // namespace aipack::sbom
