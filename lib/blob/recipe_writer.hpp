#pragma once

#include "aipack/blob/blob.hpp"

#include <cstdint>
#include <optional>

namespace aipack::blob {

struct RecipeWriteOptions {
  bool hash = false; ///< compute the digest on the way
  io::Durability durability =
      io::Durability::cached; ///< synced: write-back begins while the copy still runs
};

struct RecipeWritten {
  std::optional<oci::Digest> digest;
  std::uint64_t cloned_bytes = 0; ///< shared with the source files instead of written
};

/// Writes all of `recipe` into the empty file `out`. Threads: see DirectoryStore::place. Throws
/// Error{io} when a source file changes.
///
///     reader  ──> ring of aligned chunks ──> writer (O_DIRECT)
///                          └───────────────> caller (SHA-256)
///
/// A chunk is free again when both have taken it, so memory is bounded and the time is that of the
/// slowest of the three.
RecipeWritten write_recipe(const Recipe& recipe, io::File& out, const RecipeWriteOptions& options,
                           const Operation& op);

/// Makes the empty file `out` share all extents of `source`; false where the file systems cannot.
[[nodiscard]] bool try_clone_file(const io::File& source, io::File& out) noexcept;

} // namespace aipack::blob
