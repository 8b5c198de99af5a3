#pragma once

#include "aipack/core/export.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/image/layer.hpp"

#include <functional>
#include <vector>

namespace aipack::image {

/// How many layers the model files of a composed image may take: what the other four purposes leave
/// of max_layers. It does not depend on which of the four a platform has, because model layers are
/// shared by all platforms of an index.
inline constexpr std::size_t max_model_layers = max_layers - 4;

struct SplitOptions {
  codec::Compression compression{}; ///< of every layer but the model's
  codec::Compression model_compression{.codec = codec::Codec::none};
  std::int64_t directory_mtime =
      0; ///< of every directory, seconds: a constant, since a directory is in several layers
  std::size_t max_model_layers = image::max_model_layers; ///< at least 2
  std::uint64_t min_own_layer_bytes = 0;                  ///< smaller model files share a layer
};

using PurposeOf = std::function<Purpose(const fs::RootPath&, const fs::FileEntry&)>;

/// Cuts a tree into layers, one per purpose in the order of Purpose, and one per model file. Pure;
/// the result is a function of the tree.
///
/// - A directory is in every layer that has something below it, with the tree's mode and owner and
/// options.directory_mtime. `purpose_of` is
///   asked about a directory only when nothing is below it.
/// - Hard links of one purpose stay together: the first path in sort order is the file. A link
/// whose purpose differs from its target's
///   becomes a copy in its own layer.
/// - Beyond options.max_model_layers the smallest model files share one layer; so do symlinks among
/// model files.
///
/// Throws Error{invalid_input} for a hard link without a target, and for a path whose parent is
/// missing or not a directory.
[[nodiscard]] AIPACK_API std::vector<LayerPlan>
split(const fs::FileTree& tree, const PurposeOf& purpose_of, const SplitOptions& options = {});

} // namespace aipack::image
