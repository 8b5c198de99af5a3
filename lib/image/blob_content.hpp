#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/fs/file_tree.hpp"

namespace aipack::image {

/// A blob as the content of a file: archives hold blobs as members.
class BlobContent final : public fs::Content {
public:
  explicit BlobContent(blob::BlobPtr blob) noexcept : blob_(std::move(blob)) {}
  [[nodiscard]] std::uint64_t size() const noexcept override {
    return blob_->descriptor().size_bytes;
  }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset = 0) const override {
    return blob_->open(offset);
  }

private:
  blob::BlobPtr blob_;
};

} // namespace aipack::image
