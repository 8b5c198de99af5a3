#pragma once

#include "aipack/rootfs/closure.hpp"

#include "root.hpp"

#include <vector>

namespace aipack::rootfs {

/// Error{unsatisfiable} for what nothing provides: the object, the chain that leads to it, where a
/// file of that name stands nevertheless.
[[noreturn]] void throw_missing(const Root& root, const std::vector<Missing>& missing);

} // namespace aipack::rootfs
