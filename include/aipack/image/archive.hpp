#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/image/image.hpp"
#include "aipack/image/reader.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace aipack::image {

/// What an unpacked layer of others may measure.
inline constexpr std::uint64_t max_layer_bytes = std::uint64_t{256} << 30;

/// An image as one tar, made while it is read and again by each reader: into a file, into the
/// socket of an engine. Members are sorted, times are 0; same content, same bytes.
class AIPACK_API Archive {
public:
  /// A file of the archive.
  using Member = std::pair<fs::RootPath, fs::FileEntry>;
  explicit Archive(fs::FileTree members);

  /// Of the whole tar.
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return size_bytes_; }
  /// `label` is what the progress is called, "write image.tar". Archive and `op` must outlive it.
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::string label, const Operation& op) const;
  /// Appears whole or not at all.
  WriteReport write(const std::filesystem::path& file, const Operation& op) const;

private:
  std::vector<Member> members_;
  std::uint64_t size_bytes_ = 0;
};

/// An OCI layout as a tar: `blobs`, each once, and an index.json of `entries`, in their order.
[[nodiscard]] AIPACK_API Archive oci_archive(const std::vector<blob::BlobPtr>& blobs,
                                             std::vector<oci::Descriptor> entries);

/// What `docker load` takes: manifest.json and one image. `tags` are full references "name:tag";
/// throws Error{invalid_input} for others. Plain and gzip layers are stored as they are; zstd
/// layers are stored decompressed, because Docker before 23 reads none: diff IDs, and so the
/// config's digest (the image ID), stay the same.
[[nodiscard]] AIPACK_API Archive docker_archive(const Image& image,
                                                const std::vector<std::string>& tags,
                                                const Operation& op);
/// The same of an image that was read back. A zstd layer is read once to learn its size, and again
/// with the archive. Throws Error{unsupported} for layers that may not be distributed or are of
/// another type, Error{not_found} for those whose bytes are missing.
[[nodiscard]] AIPACK_API Archive docker_archive(const StoredImage& image,
                                                const std::vector<std::string>& tags,
                                                const Operation& op);

} // namespace aipack::image
