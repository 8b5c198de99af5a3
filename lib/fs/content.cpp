#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/fs/file_tree.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace aipack::fs {

namespace {

class MemoryContent final : public Content {
public:
  explicit MemoryContent(std::string bytes)
      : bytes_(std::make_shared<const std::string>(std::move(bytes))) {}

  [[nodiscard]] std::uint64_t size() const noexcept override { return bytes_->size(); }

  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
    const auto begin = static_cast<std::size_t>(std::min<std::uint64_t>(offset, size()));
    return std::make_unique<io::MemorySource>(bytes_, io::as_bytes(*bytes_).subspan(begin));
  }

private:
  std::shared_ptr<const std::string> bytes_;
};

/// A span of a file that ends neither early nor changed: the identity is looked at again when the
/// last byte was delivered, because a change between two reads would otherwise mix old and new
/// bytes.
class ExtentSource final : public io::ByteSource {
public:
  ExtentSource(FileExtent extent, std::shared_ptr<const io::File> file, std::uint64_t offset)
      : extent_(std::move(extent)), file_(std::move(file)),
        source_(file_, extent_.offset() + offset, extent_.size() - offset),
        rest_(extent_.size() - offset) {}

  std::size_t read(std::span<std::byte> into) override {
    const std::size_t count = source_.read(into);
    if (count == 0 && rest_ != 0) {
      extent_.check_unchanged(*file_); // the likely cause, and the better sentence
      throw FormatError(file_->name(), extent_.offset() + extent_.size() - rest_,
                        "the file ends too early");
    }
    rest_ -= count;
    if (rest_ == 0 && !checked_) {
      extent_.check_unchanged(*file_);
      checked_ = true;
    }
    return count;
  }

private:
  FileExtent extent_;
  std::shared_ptr<const io::File> file_;
  io::FileSource source_;
  std::uint64_t rest_;
  bool checked_ = false;
};

} // namespace

ContentPtr memory_content(std::string bytes) {
  return std::make_shared<MemoryContent>(std::move(bytes));
}

FileExtent::FileExtent(std::filesystem::path file, std::uint64_t offset, std::uint64_t length,
                       io::FileIdentity identity)
    : file_(std::move(file)), offset_(offset), length_(length), identity_(identity) {
  if (checked_add(offset_, length_) > identity_.size_bytes) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot use bytes {} to {} of {}: the file has {} bytes", offset_,
                            offset_ + length_, quoted(file_.string()), identity_.size_bytes));
  }
}

std::unique_ptr<io::ByteSource> FileExtent::open(std::uint64_t offset) const {
  auto file = std::make_shared<const io::File>(io::File::open(file_));
  check_unchanged(*file);
  return std::make_unique<ExtentSource>(*this, std::move(file), std::min(offset, length_));
}

void FileExtent::check_unchanged(const io::File& open_file) const {
  if (open_file.identity() != identity_) {
    throw Error(ErrorCode::io, fmt::format("cannot read {}: it changed while it was being packed",
                                           quoted(file_.string())))
        .with_hint("run the same command again once nothing writes to the file");
  }
}

} // namespace aipack::fs
