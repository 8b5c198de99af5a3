#pragma once

#include "aipack/core/operation.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include "closure_walker.hpp"
#include "root.hpp"

namespace aipack::rootfs {

/// Finds the roots (entrypoint, user files, dlopened globs, data, whole packages), walks the
/// closure and keeps what it reaches. Returns DT_SONAME by real path of every object that is kept,
/// for the loader cache. Throws Error{not_found} for a program or library that the root has not,
/// Error{unsatisfiable} for what nothing provides.
std::map<fs::RootPath, std::string> keep_what_is_needed(Root& root, const Operation& op);

/// The tree of kept entries; everything else of a package goes to `dropped`. Throws
/// Error{unsupported} for an owner without a static number.
[[nodiscard]] Composition prune(Root& root);

} // namespace aipack::rootfs
