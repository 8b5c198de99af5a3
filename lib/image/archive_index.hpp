#pragma once

#include "aipack/archive/tar_reader.hpp"
#include "aipack/blob/blob.hpp"
#include "aipack/io/file.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace aipack::image {

/// Where a member's bytes are in a tar file on disk.
struct MemberPlace {
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};

/// A plain tar on disk as a directory of members: docker and OCI archives are read at random, and
/// their payloads are not read at all until asked for.
class ArchiveIndex {
public:
  /// Throws Error{unsupported} for a compressed archive, FormatError{corrupt} for a broken one.
  ArchiveIndex(const std::filesystem::path& file, const archive::TarLimits& limits,
               const Operation& op);

  /// The regular file at `path`, symlinks followed (`docker save` before version 25 writes equal
  /// layers as links). Null when there is none.
  [[nodiscard]] const MemberPlace* find(const fs::RootPath& path) const;
  /// A small member. Throws FormatError{corrupt} when it is missing or larger than `limit`.
  [[nodiscard]] std::string text(const fs::RootPath& path, std::uint64_t limit) const;
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(const MemberPlace& place,
                                                     std::uint64_t offset = 0) const;
  /// `place` as a blob; reading it from the start to the end verifies it.
  [[nodiscard]] blob::BlobPtr blob(oci::Descriptor descriptor, const MemberPlace& place) const;
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
  std::string name_;
  std::shared_ptr<const io::File> file_;
  std::map<fs::RootPath, MemberPlace> places_;
  fs::FileTree names_;
};

} // namespace aipack::image
