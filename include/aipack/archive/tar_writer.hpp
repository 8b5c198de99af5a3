#pragma once

#include "aipack/core/export.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/io/byte_stream.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::archive {

inline constexpr std::uint64_t tar_block_bytes = 512;
/// Payloads of weights files start at a multiple of this, so that file systems can share their
/// extents with the model file.
inline constexpr std::uint64_t payload_alignment = 4096;

/// The header bytes of one member, everything before its payload: a ustar header where it fits,
/// preceded by a PAX header where it does not (path over 100/155 bytes, link over 100, size over 8
/// GiB, ids over 2097151). uname and gname are empty, mode is masked to 07777. With
/// `align_payload_at` (the member's offset in the archive), a PAX `comment` record fills up so that
/// the payload starts at a multiple of payload_alignment. Source: POSIX.1-2017 pax, "ustar
/// Interchange Format" and "pax Header Block". Throws Error{invalid_input} for a base name that
/// starts with ".wh." (an OCI whiteout).
[[nodiscard]] AIPACK_API std::string
tar_header(const fs::RootPath& path, const fs::FileEntry& entry,
           std::optional<std::uint64_t> align_payload_at = std::nullopt);
/// Zero bytes after a payload of `size` bytes, up to the next block.
[[nodiscard]] AIPACK_API std::uint64_t tar_padding(std::uint64_t size) noexcept;
/// The end of an archive: two zero blocks, no record padding.
inline constexpr std::uint64_t tar_trailer_bytes = 2 * tar_block_bytes;

/// Writes members one after the other; the caller keeps the order (fs::FileTree's). Same entries,
/// same bytes.
class AIPACK_API TarWriter {
public:
  explicit TarWriter(io::ByteSink& sink) noexcept : sink_(sink) {}
  void add(const fs::RootPath& path, const fs::FileEntry& entry, const Operation& op);
  /// Writes the trailer.
  void finish();
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }

private:
  void write(std::string_view bytes);
  io::ByteSink& sink_;
  std::uint64_t offset_ = 0;
};

} // namespace aipack::archive
