#pragma once

#include "aipack/archive/tar_reader.hpp"
#include "aipack/core/export.hpp"
#include "aipack/deb/control.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/oci/digest.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace aipack::deb {

/// One member of data.tar: metadata, and for regular files the content as an extent of the unpacked
/// data.tar in the cache.
struct PackageMember {
  archive::TarMember member;
  fs::ContentPtr content{}; ///< regular files only
};

/// An opened .deb whose digest was verified before.
struct PackageFile {
  Paragraph control;
  std::string control_text;                   ///< as written, for status.d
  std::map<std::string, std::string> scripts; ///< preinst, postinst, prerm, postrm, config → text
  std::map<std::string, std::string>
      metadata;                       ///< conffiles, md5sums, triggers, shlibs, symbols → text
  std::vector<PackageMember> members; ///< in archive order
};

/// Opens `deb_file`. The uncompressed data.tar is kept in `cache_dir` under the package's digest,
/// whole or not at all, with its own digest beside it, so that contents are extents of one plain
/// file; one that is no longer what was unpacked is made again. Accepts control and data as none,
/// gz, xz, zst, bz2 and lzma. Throws FormatError{corrupt}. Source: deb(5).
[[nodiscard]] AIPACK_API PackageFile open_package(const std::filesystem::path& deb_file,
                                                  const oci::Digest& digest,
                                                  const std::filesystem::path& cache_dir,
                                                  const Operation& op);

} // namespace aipack::deb
