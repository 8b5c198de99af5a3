#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/core/export.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/oci/descriptor.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::image {

/// What a layer is for, in order of how rarely it changes.
enum class Purpose { base, runtime, server, files, model };
[[nodiscard]] AIPACK_API std::string_view to_string(Purpose purpose) noexcept;
[[nodiscard]] AIPACK_API Purpose parse_purpose(std::string_view text); ///< throws Error{corrupt}

inline constexpr std::size_t max_layers = 10;

/// Entries of one layer, sorted, parents included; not yet bytes.
struct LayerPlan {
  Purpose purpose = Purpose::base;
  std::vector<std::pair<fs::RootPath, fs::FileEntry>> entries;
  codec::Compression compression{};
  std::string title{}; ///< for history and tables: "runtime: libonnxruntime1.21 and 14 more"
  /// Folders may be missing here: layers below have them, or whoever unpacks makes them.
  bool has_layers_below = false;

  /// Bytes of regular files.
  [[nodiscard]] AIPACK_API std::uint64_t content_bytes() const noexcept;
  [[nodiscard]] AIPACK_API std::uint64_t
  file_count() const noexcept; ///< entries that are not directories
};

/// A finished layer: its blob can be opened.
struct Layer {
  Purpose purpose = Purpose::base;
  std::string title;
  blob::BlobPtr blob;  ///< descriptor: media type, digest and size of the (compressed) layer
  oci::Digest diff_id; ///< of the uncompressed tar
  std::uint64_t uncompressed_bytes = 0; ///< of the tar; 0: unknown, a base's compressed layer
  std::uint64_t file_count = 0;
};

struct SealOptions {
  unsigned threads = 1;                      ///< codec workers; the bytes do not depend on it
  blob::DigestCache* digest_cache = nullptr; ///< skips reading unchanged weights
};

/// Writes a compressed or small layer's bytes into `store` in one pass (tar → diff ID → codec →
/// digest → store).
[[nodiscard]] AIPACK_API Layer seal(const LayerPlan& plan, blob::BlobStore& store,
                                    const SealOptions& options, const Operation& op);

/// The layer of one weights file: plain tar, the payload at a multiple of 4096 bytes (PAX comment
/// filler), as a recipe over the model file, which is hashed but not copied. Parents of the path
/// are part of the layer. Every extent of the plan must be an fs::FileExtent. With `into` the bytes
/// go there in the same pass (reflink, written once straight from the file, or sent).
[[nodiscard]] AIPACK_API Layer seal_weights(const LayerPlan& plan, blob::BlobPlacer* into,
                                            const SealOptions& options, const Operation& op);

} // namespace aipack::image
