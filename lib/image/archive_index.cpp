#include "archive_index.hpp"

#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "tar_walk.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace aipack::image {
namespace {

class MemberBlob final : public blob::BlobSource {
public:
  MemberBlob(oci::Descriptor descriptor, std::shared_ptr<const io::File> file, std::uint64_t offset)
      : descriptor_(std::move(descriptor)), file_(std::move(file)), offset_(offset) {}
  [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override { return descriptor_; }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
    const auto start = std::min(offset, descriptor_.size_bytes);
    auto source =
        std::make_unique<io::FileSource>(file_, offset_ + start, descriptor_.size_bytes - start);
    if (start != 0) {
      return source;
    }
    return std::make_unique<codec::VerifyingSource>(
        std::move(source), descriptor_.digest, descriptor_.size_bytes,
        fmt::format("blob {}", descriptor_.digest.to_string()));
  }

private:
  oci::Descriptor descriptor_;
  std::shared_ptr<const io::File> file_;
  std::uint64_t offset_;
};

void refuse_compressed(const io::File& file) {
  std::array<std::byte, 8> head{};
  const auto count = file.read_at(0, head);
  if (codec::detect_encoding(std::span(head).first(count)) != codec::Encoding::plain) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read the archive {}: it is compressed", quoted(file.name())))
        .with_hint("decompress it first, for example with gunzip or zstd -d");
  }
}

} // namespace

ArchiveIndex::ArchiveIndex(const std::filesystem::path& file, const archive::TarLimits& limits,
                           const Operation& op)
    : name_(file.string()), file_(std::make_shared<const io::File>(io::File::open(file))) {
  refuse_compressed(*file_);
  const auto file_bytes = file_->size();
  const auto open_at = [&](std::uint64_t offset) {
    return std::make_unique<io::FileSource>(file_, offset);
  };
  walk_headers(open_at, name_, limits, op, [&](const archive::TarMember& member) {
    if (member.data_offset > file_bytes || member.size > file_bytes - member.data_offset) {
      throw FormatError(
          name_, member.data_offset,
          fmt::format("{} ends behind the end of the file", quoted(member.path.text())));
    }
    fs::FileEntry entry;
    entry.type = member.type;
    entry.link_target = member.link_target;
    if (entry.type == fs::FileType::hard_link) {
      // To a reader of contents a hard link is a symlink from the root.
      entry.type = fs::FileType::symlink;
      entry.link_target = "/" + member.link_target;
    }
    names_.put(member.path, std::move(entry));
    if (member.type == fs::FileType::regular) {
      places_.emplace(member.path, MemberPlace{member.data_offset, member.size});
    }
  });
  names_.add_missing_parents(0);
}

const MemberPlace* ArchiveIndex::find(const fs::RootPath& path) const {
  const auto resolved = names_.resolve(path);
  if (!resolved) {
    return nullptr;
  }
  const auto found = places_.find(*resolved);
  return found == places_.end() ? nullptr : &found->second;
}

std::string ArchiveIndex::text(const fs::RootPath& path, std::uint64_t limit) const {
  const auto* place = find(path);
  if (place == nullptr) {
    throw FormatError(name_, std::nullopt, fmt::format("it holds no {}", quoted(path.text())));
  }
  const auto source = open(*place);
  return io::read_text(*source, limit, fmt::format("{} of {}", quoted(path.text()), quoted(name_)));
}

std::unique_ptr<io::ByteSource> ArchiveIndex::open(const MemberPlace& place,
                                                   std::uint64_t offset) const {
  const auto start = std::min(offset, place.size_bytes);
  return std::make_unique<io::FileSource>(file_, place.offset + start, place.size_bytes - start);
}

blob::BlobPtr ArchiveIndex::blob(oci::Descriptor descriptor, const MemberPlace& place) const {
  if (descriptor.size_bytes != place.size_bytes) {
    throw FormatError(name_, place.offset,
                      fmt::format("blob {} has {} bytes instead of {}",
                                  descriptor.digest.to_string(), place.size_bytes,
                                  descriptor.size_bytes));
  }
  return std::make_shared<const MemberBlob>(std::move(descriptor), file_, place.offset);
}

} // namespace aipack::image
