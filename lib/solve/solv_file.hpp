#pragma once

#include "aipack/oci/digest.hpp"

#include "packages_file.hpp"
#include "solv.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace aipack::solve {

inline constexpr int solv_file_version =
    1; ///< counts changes in what is parsed out of an index and how it is stored

/// The parsed form of one index in the cache: `solv/<index digest>.<libsolv
/// version>.<solv_file_version>.solv`.
///
///     bytes of libsolv's own .solv format (dumpsolv reads the file as it is)
///     u32 offset of each package's paragraph in the index, little-endian
///     u64 size of the .solv part, u64 number of packages, little-endian
///     32 bytes SHA-256 over all of the above and the digest of the index
///     16 bytes "aipack-solv-0001"
///
/// libsolv trusts its files; we check the digest before it sees a byte, so that a torn or altered
/// file is a miss.
class SolvFile {
public:
  /// An empty `cache_dir`: nothing is read or written.
  SolvFile(const std::filesystem::path& cache_dir, const oci::Digest& index_digest);

  /// Adds the packages to the pool; empty when the file is absent, damaged or of another make.
  [[nodiscard]] std::optional<ParsedIndex> read(const std::string& name, std::size_t index_bytes,
                                                solv::Pool& pool) const;
  /// Keeps what was parsed. A cache that cannot be written costs time only, and is not an error.
  void write(const ParsedIndex& parsed, solv::Pool& pool) const;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  std::filesystem::path path_;
  oci::Digest index_digest_;
};

} // namespace aipack::solve
