#pragma once

#include "aipack/fs/file_tree.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::rootfs {

/// The directories of /etc/ld.so.conf in `tree`, "include" followed, in order. Source: ldconfig(8),
/// glibc 2.41 elf/ldconfig.c.
[[nodiscard]] std::vector<std::string> configured_directories(const fs::FileTree& tree);

/// Where ld.so looks when nothing else says so: /lib/<triplet>, /usr/lib/<triplet>, /lib, /usr/lib
/// (rule 26).
[[nodiscard]] std::vector<std::string> default_directories(std::string_view triplet);

/// Both, in ldconfig's order, each real directory once under the name it was first given.
[[nodiscard]] std::vector<std::string> cached_directories(const fs::FileTree& tree,
                                                          std::string_view triplet);

/// Names of the glibc-hwcaps subdirectories of `directory`, sorted.
[[nodiscard]] std::vector<std::string> hwcaps_subdirectories(const fs::FileTree& tree,
                                                             std::string_view directory);

} // namespace aipack::rootfs
