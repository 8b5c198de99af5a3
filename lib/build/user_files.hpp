#pragma once

#include "aipack/build/plan.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include <vector>

namespace aipack::build {

/// The user's files as entries of the root: modes 0755 for what the owner may execute, else 0644;
/// owner root; mtime `epoch`; symlinks only where they stay inside the folder that was given.
/// Throws Error{invalid_input} for anything else (devices, sockets).
[[nodiscard]] std::vector<rootfs::ExtraFile>
collect_user_files(const std::vector<FileMapping>& mappings, std::int64_t epoch,
                   const Operation& op);

/// What these mappings bring, with the digests of the files: each file is read.
[[nodiscard]] std::vector<PlannedFiles> plan_user_files(const std::vector<FileMapping>& mappings,
                                                        const Operation& op);

} // namespace aipack::build
