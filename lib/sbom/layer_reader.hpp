#pragma once

#include "aipack/fs/root_path.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/sbom/sbom.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace aipack::sbom {

/// One entry of a layer that is no directory.
struct LayerEntry {
  archive::TarMember member;
  std::optional<Checksums> checksums{}; ///< regular files up to max_hashed_bytes
  std::string content{};                ///< of files that were asked for
};

/// Whether the content of an entry is wanted.
using WantsContent = std::function<bool(const archive::TarMember& member)>;

/// All of a layer in one verified pass, digests and wanted contents included. Throws
/// Error{not_found} for a layer that is missing, Error{corrupt}.
[[nodiscard]] std::vector<LayerEntry> read_layer(const image::StoredLayer& layer,
                                                 const WantsContent& wants,
                                                 const image::ReadLimits& limits,
                                                 const Operation& op);

/// A file in a plain layer, for readers that jump about: what is read is a range of the blob, so
/// only its size is verified. Threads: one.
class FileInLayer final : public io::RandomAccess {
public:
  FileInLayer(blob::BlobPtr layer, std::uint64_t offset, std::uint64_t size)
      : layer_(std::move(layer)), offset_(offset), size_(size) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override;

private:
  blob::BlobPtr layer_;
  std::uint64_t offset_;
  std::uint64_t size_;
  mutable std::vector<std::byte> window_; ///< the last bytes that were read
  mutable std::uint64_t window_offset_ = 0;
};

} // namespace aipack::sbom
