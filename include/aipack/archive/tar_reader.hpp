#pragma once

#include "aipack/core/export.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/io/byte_stream.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace aipack::archive {

/// Limits of a tar that others wrote.
struct TarLimits {
  std::uint64_t max_entries = 1'000'000;
  std::uint64_t max_entry_bytes = std::uint64_t{64} << 30;
  std::uint64_t max_total_bytes = std::uint64_t{256} << 30;
};

/// One member, as written in the archive.
struct TarMember {
  fs::RootPath path;
  fs::FileType type = fs::FileType::regular;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string user_name{}; ///< empty when the archive has none
  std::string group_name{};
  std::int64_t mtime = 0;
  std::uint64_t size = 0;
  std::string link_target{}; ///< symlink: as written; hard_link: the RootPath text of its target
  std::uint64_t data_offset = 0; ///< where the content starts in the (uncompressed) tar stream
  bool setuid_or_setgid = false;
};

/// Walks a plain (uncompressed) tar. ustar, GNU long names and PAX; checked: header checksums,
/// absolute names, `..`, NUL, device nodes, FIFOs and sparse files (refused), duplicate paths
/// (refused), members behind a symlink of the same archive (refused), sizes past the end. Throws
/// FormatError{corrupt} with the byte offset. `name` is what errors call the archive.
class AIPACK_API TarReader {
public:
  TarReader(std::unique_ptr<io::ByteSource> source, std::string name, TarLimits limits = {});
  ~TarReader();
  /// The next member, or empty at the end. Skips what is left of the previous one.
  [[nodiscard]] std::optional<TarMember> next();
  /// The content of the current member; valid until next().
  [[nodiscard]] io::ByteSource& content();

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace aipack::archive
