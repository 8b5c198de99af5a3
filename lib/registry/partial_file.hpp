#pragma once

#include "aipack/blob/blob.hpp"

#include "download_plan.hpp"
#include "locked_file.hpp"

#include <filesystem>
#include <span>

namespace aipack::registry {

/// A blob that is being downloaded: `<root>/partial/<hex>`, mode 0600, locked by who works on it.
/// Behind the blob's bytes stands the map of the blocks that are there, so that one file is all
/// there is to resume, to rename or to remove. Bytes and map reach the page cache only; what a
/// power cut mixes up, the digest finds.
class PartialFile {
public:
  /// Waits while someone else downloads the same blob into the same store. Throws Error{io} when
  /// the disk cannot hold it.
  [[nodiscard]] static PartialFile open(const blob::DirectoryStore& store,
                                        const oci::Descriptor& descriptor, const Operation& op);
  PartialFile(PartialFile&&) = default;

  [[nodiscard]] BlockMap& map() noexcept { return map_; }
  /// Threads: calls on different bytes may run side by side.
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> into);
  /// The block is there, for the next process too.
  void set(std::size_t block);
  /// Nothing is there any more.
  void reset();
  /// All is there and verified: it is the store's now.
  void give_to(blob::DirectoryStore& store, const oci::Descriptor& descriptor);
  void remove() noexcept;

private:
  PartialFile(LockedFile file, std::uint64_t size_bytes)
      : file_(std::move(file)), size_(size_bytes), map_(size_bytes) {}
  void load();
  void check_room();

  LockedFile file_;
  std::uint64_t size_;
  BlockMap map_;
};

} // namespace aipack::registry
