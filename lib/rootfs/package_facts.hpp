#pragma once

#include "aipack/rootfs/rootfs.hpp"

#include "root.hpp"

#include <set>
#include <string>
#include <vector>

namespace aipack::rootfs {

/// Facts of the packages `names`, sorted by name; the licence out of the copyright file, which may
/// be another package's behind a link.
[[nodiscard]] std::vector<KeptPackage> facts_of_packages(const Root& root,
                                                         const std::set<std::string>& names);

} // namespace aipack::rootfs
