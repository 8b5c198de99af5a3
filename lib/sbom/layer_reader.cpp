#include "layer_reader.hpp"

#include "aipack/archive/tar_reader.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"

#include "sha1.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include <fmt/format.h>

namespace aipack::sbom {
namespace {

/// A source that someone else owns.
class Borrowed final : public io::ByteSource {
public:
  explicit Borrowed(io::ByteSource& source) noexcept : source_(source) {}
  std::size_t read(std::span<std::byte> into) override { return source_.read(into); }

private:
  io::ByteSource& source_;
};

void read_content(LayerEntry& entry, io::ByteSource& content, bool wanted, const Operation& op) {
  codec::Sha256 sha256;
  Sha1 sha1;
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(io::copy_buffer_bytes);
  const std::span buffer(memory.get(), io::copy_buffer_bytes);
  while (const auto count = content.read(buffer)) {
    op.check();
    const auto bytes = buffer.first(count);
    sha256.update(bytes);
    sha1.update(bytes);
    if (wanted) {
      entry.content += io::as_text(bytes);
    }
  }
  entry.checksums = Checksums{.sha256 = sha256.digest(), .sha1 = sha1.hex()};
}

} // namespace

std::vector<LayerEntry> read_layer(const image::StoredLayer& layer, const WantsContent& wants,
                                   const image::ReadLimits& limits, const Operation& op) {
  const auto name = fmt::format("layer {}", layer.descriptor.digest.to_string());
  if (!layer.blob) {
    throw Error(ErrorCode::not_found, fmt::format("cannot read the {}: its blob is missing", name));
  }
  const auto tar = codec::make_decompressor(layer.blob->open(), limits.tar.max_total_bytes, name);
  archive::TarReader reader(std::make_unique<Borrowed>(*tar), name, limits.tar);
  std::vector<LayerEntry> entries;
  while (auto member = reader.next()) {
    op.check();
    if (member->type == fs::FileType::directory) {
      continue;
    }
    auto& entry = entries.emplace_back(LayerEntry{.member = std::move(*member)});
    if (entry.member.type == fs::FileType::regular && entry.member.size <= max_hashed_bytes) {
      read_content(entry, reader.content(), wants(entry.member), op);
    }
  }
  // The end is where sources verify.
  io::NullSink nowhere;
  io::copy(*tar, nowhere, op);
  return entries;
}

void FileInLayer::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  if (offset > size_ || into.size() > size_ - offset) {
    throw Error(ErrorCode::corrupt, "cannot read a file of a layer: it ends early");
  }
  const bool is_in_window = offset >= window_offset_ && offset - window_offset_ <= window_.size() &&
                            into.size() <= window_.size() - (offset - window_offset_);
  if (!is_in_window) {
    const auto wanted = std::max<std::uint64_t>(into.size(), io::copy_buffer_bytes);
    window_.resize(static_cast<std::size_t>(std::min(wanted, size_ - offset)));
    window_offset_ = offset;
    const auto source = layer_->open(offset_ + offset);
    if (io::fill(*source, window_) != window_.size()) {
      window_.clear();
      throw Error(ErrorCode::corrupt, "cannot read a file of a layer: it ends early");
    }
  }
  if (!into.empty()) {
    std::memcpy(into.data(), window_.data() + (offset - window_offset_), into.size());
  }
}

} // namespace aipack::sbom
