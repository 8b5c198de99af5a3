#pragma once

#include "aipack/core/operation.hpp"

#include "root.hpp"

namespace aipack::rootfs {

/// All packages on one tree: directories and symlinks before files (rule 4), entries below /bin,
/// /sbin, /lib*, /var/run and /var/lock at their real place (rules 8, 9, 11), one winner per path
/// (10), directory modes by base-files, then by package name (14), numeric owners (17), no setuid
/// (43). Throws Error{corrupt} for two packages that claim one path, Error{unsupported} for another
/// architecture.
void merge_packages(Root& root, const Operation& op);

/// The user's files on top. Throws Error{invalid_input} where a file and a directory meet.
void add_extra_files(Root& root);

} // namespace aipack::rootfs
