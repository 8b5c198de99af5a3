#include "packed_tar.hpp"

#include "aipack/archive/tar_writer.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace aipack::image {
namespace {

std::unique_ptr<codec::Compressor> compressor_for(codec::Compression compression,
                                                  io::ByteSink& next, unsigned threads) {
  if (compression.codec == codec::Codec::none) {
    return nullptr;
  }
  return codec::make_compressor(compression, next, threads);
}

} // namespace

PackedTar::PackedTar(std::vector<const PlannedEntry*> order, codec::Compression compression,
                     unsigned threads, const Operation& op, Activity& activity)
    : order_(std::move(order)), op_(op), activity_(activity),
      compressor_(compressor_for(compression, outbox_, threads)),
      plain_(compressor_ ? static_cast<io::ByteSink&>(*compressor_) : outbox_),
      buffer_(io::copy_buffer_bytes) {}

std::size_t PackedTar::read(std::span<std::byte> into) {
  while (outbox_.waiting() == 0) {
    if (finished_) {
      return 0;
    }
    outbox_.bytes.clear();
    outbox_.taken = 0;
    // A codec may take megabytes before it gives any: the wish to stop is asked for here too.
    op_.check();
    produce();
  }
  const auto count = std::min(into.size(), outbox_.waiting());
  std::memcpy(into.data(), outbox_.bytes.data() + outbox_.taken, count);
  outbox_.taken += count;
  return count;
}

void PackedTar::produce() {
  if (content_) {
    produce_content();
  } else if (next_ < order_.size()) {
    produce_header();
  } else {
    static constexpr std::byte zeros[archive::tar_trailer_bytes]{};
    write_tar(zeros);
    if (compressor_) {
      compressor_->finish();
    }
    finished_ = true;
  }
}

void PackedTar::produce_header() {
  const auto& [path, entry] = *order_[next_++];
  write_tar(io::as_bytes(archive::tar_header(path, entry)));
  if (entry.type == fs::FileType::regular && entry.size() > 0) {
    content_ = entry.content->open();
    content_rest_ = entry.size();
  }
}

void PackedTar::produce_content() {
  // The read that finds the end is asked for as well: sources verify there.
  const auto count = content_->read(buffer_);
  const auto& [path, entry] = *order_[next_ - 1];
  if (count > content_rest_ || (count == 0 && content_rest_ > 0)) {
    throw Error(
        ErrorCode::io,
        fmt::format("cannot pack {}: its content is {} than the {} bytes it was said to have",
                    quoted(path.to_string()), count == 0 ? "shorter" : "longer", entry.size()));
  }
  if (count > 0) {
    write_tar(std::span(buffer_).first(count));
    content_rest_ -= count;
    activity_.advance(count);
    return;
  }
  content_.reset();
  static constexpr std::byte zeros[archive::tar_block_bytes]{};
  write_tar(std::span(zeros).first(archive::tar_padding(entry.size())));
}

void PackedTar::write_tar(std::span<const std::byte> bytes) {
  if (bytes.empty()) {
    return;
  }
  tar_bytes_ += bytes.size();
  if (compressor_) {
    plain_.write(bytes);
  } else {
    outbox_.write(bytes);
  }
}

} // namespace aipack::image
