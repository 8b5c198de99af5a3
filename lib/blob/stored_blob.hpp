#pragma once

#include "aipack/blob/blob.hpp"

#include <filesystem>

namespace aipack::blob {

/// A blob in a file of a DirectoryStore. Opened from the start it verifies size and digest, from
/// elsewhere the size.
class StoredBlob final : public BlobSource {
public:
  StoredBlob(oci::Descriptor descriptor, std::filesystem::path path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}
  [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override { return descriptor_; }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  oci::Descriptor descriptor_;
  std::filesystem::path path_;
};

} // namespace aipack::blob
