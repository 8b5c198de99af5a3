#pragma once

#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/io/byte_stream.hpp"

#include "tar_order.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace aipack::image {

/// A plan's tar, compressed, made on demand while it is read: entry → tar → diff ID → codec →
/// reader, one pass and no thread of its own. Keep `order`'s plan, `op` and `activity` alive as
/// long as this.
class PackedTar final : public io::ByteSource {
public:
  PackedTar(std::vector<const PlannedEntry*> order, codec::Compression compression,
            unsigned threads, const Operation& op, Activity& activity);
  std::size_t read(std::span<std::byte> into) override;

  /// Of the uncompressed tar; valid at the end. For a plain layer the reader's own digest is the
  /// same and saves hashing twice.
  [[nodiscard]] oci::Digest diff_id() const { return plain_.digest(); }
  [[nodiscard]] std::uint64_t tar_bytes() const noexcept { return tar_bytes_; }

private:
  /// What the codec has written and the reader has not taken yet.
  struct Outbox final : io::ByteSink {
    std::vector<std::byte> bytes;
    std::size_t taken = 0;
    void write(std::span<const std::byte> more) override {
      bytes.insert(bytes.end(), more.begin(), more.end());
    }
    [[nodiscard]] std::size_t waiting() const noexcept { return bytes.size() - taken; }
  };

  void produce();
  void produce_header();
  void produce_content();
  void write_tar(std::span<const std::byte> bytes);

  std::vector<const PlannedEntry*> order_;
  const Operation& op_;
  Activity& activity_;
  Outbox outbox_;
  std::unique_ptr<codec::Compressor> compressor_; ///< null: a plain layer
  codec::HashingSink plain_;
  std::vector<std::byte> buffer_;
  std::size_t next_ = 0;
  std::unique_ptr<io::ByteSource> content_; ///< of order_[next_ - 1], while it is being read
  std::uint64_t content_rest_ = 0;
  std::uint64_t tar_bytes_ = 0;
  bool finished_ = false;
};

} // namespace aipack::image
