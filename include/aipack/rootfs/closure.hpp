#pragma once

#include "aipack/core/export.hpp"
#include "aipack/elf/object.hpp"
#include "aipack/fs/file_tree.hpp"

#include <string>
#include <vector>

namespace aipack::rootfs {

/// One binary of a closure and how it was reached.
struct ClosureNode {
  fs::RootPath path; ///< of the real file
  elf::Object object;
  fs::Reason reason;                 ///< rule "entrypoint", "interpreter", "needed" or "dlopen"
  std::vector<fs::RootPath> links{}; ///< symlinks that lead to it and must be kept
};

struct Missing {
  std::string soname;
  fs::RootPath needed_by;
  std::vector<fs::RootPath> chain; ///< from a root to `needed_by`
};

struct Closure {
  std::vector<ClosureNode> nodes; ///< sorted by path
  std::vector<Missing> missing;
};

/// Follows PT_INTERP, DT_NEEDED, DT_RPATH/DT_RUNPATH (with $ORIGIN, $LIB, $PLATFORM) and dlopen
/// notes from `roots` through `tree`, in the order of the target's own dynamic loader: never the
/// host's. Objects of another machine, class or riscv float ABI are not candidates; a root of one
/// is Error{corrupt}. Symbol versions that no library in the closure defines are
/// Error{unsatisfiable}. Source: ld.so(8), glibc 2.41 elf/dl-load.c.
[[nodiscard]] AIPACK_API Closure
elf_closure(const fs::FileTree& tree, elf::Machine machine, std::string_view triplet,
            const std::vector<std::pair<fs::RootPath, fs::Reason>>& roots, const Operation& op);

} // namespace aipack::rootfs
