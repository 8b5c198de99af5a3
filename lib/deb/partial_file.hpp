#pragma once

#include "aipack/codec/sha256.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/io/file.hpp"

#include <filesystem>
#include <functional>

namespace aipack::deb {

/// A download that can be continued by a later call or process: `partial/<digest>`, never a final
/// name. What is there already is hashed when it is opened, what arrives is hashed on its way. The
/// caller holds the digest's lock.
class PartialFile final : public io::ByteSink {
public:
  /// `advance` hears of every byte that is in the file, `restart` of each time that it was emptied.
  PartialFile(std::filesystem::path path, std::uint64_t expected_bytes, Activity& activity,
              const Operation& op);

  void write(std::span<const std::byte> bytes) override;
  /// Forgets everything.
  void reset();
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] oci::Digest digest() const { return hash_.digest(); }
  /// An empty file, of which nobody could continue, is removed.
  ~PartialFile() override;
  /// The file gets its final name.
  void commit(const std::filesystem::path& path);
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  std::filesystem::path path_;
  io::File file_;
  Activity& activity_;
  codec::Sha256 hash_;
  std::uint64_t size_ = 0;
  bool committed_ = false;
};

} // namespace aipack::deb
