#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// The ustar header block. Source: POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual,
/// "Basic Tar Format".
///
///   field     offset  bytes  content
///   name           0    100  last part of the path, not terminated when it fills the field
///   mode         100      8  octal, NUL or space at the end (all numbers)
///   uid, gid 108,116      8
///   size         124     12
///   mtime        136     12
///   chksum       148      8  sum of all bytes of the block, this field taken as spaces
///   typeflag     156      1
///   linkname     157    100
///   magic        257      6  "ustar" NUL (POSIX); "ustar " (GNU)
///   version      263      2  "00" (POSIX); " " NUL (GNU)
///   uname        265     32  NUL-terminated
///   gname        297     32  NUL-terminated
///   devmajor     329      8
///   devminor     337      8
///   prefix       345    155  POSIX only: goes before name with a "/" between; GNU keeps other
///   things here (unused)     500     12
namespace aipack::archive::tar {

struct Field {
  std::size_t offset;
  std::size_t length;

  [[nodiscard]] std::string_view in(std::string_view block) const {
    return block.substr(offset, length);
  }
};

inline constexpr Field name{0, 100};
inline constexpr Field mode{100, 8};
inline constexpr Field uid{108, 8};
inline constexpr Field gid{116, 8};
inline constexpr Field size{124, 12};
inline constexpr Field mtime{136, 12};
inline constexpr Field checksum{148, 8};
inline constexpr std::size_t type_offset = 156;
inline constexpr Field link_name{157, 100};
inline constexpr Field magic{257, 8}; ///< magic and version
inline constexpr Field user_name{265, 32};
inline constexpr Field group_name{297, 32};
inline constexpr Field dev_major{329, 8};
inline constexpr Field dev_minor{337, 8};
inline constexpr Field prefix{345, 155};

inline constexpr std::string_view posix_magic{"ustar\00000", 8};
inline constexpr std::string_view gnu_magic{"ustar  \0", 8};

/// The checksum that the header block should carry.
[[nodiscard]] inline std::uint64_t checksum_of(std::string_view block) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool inside = i >= checksum.offset && i < checksum.offset + checksum.length;
    sum += inside ? 0x20U : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

} // namespace aipack::archive::tar
