#pragma once

#include "aipack/core/export.hpp"
#include "aipack/elf/object.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::elf {

/// One library that the dynamic loader can find by name.
struct CacheEntry {
  std::string soname;
  std::string path;    ///< absolute: "/lib/x86_64-linux-gnu/libc.so.6"
  std::string hwcap{}; ///< glibc-hwcaps subdirectory ("x86-64-v3"), empty for the baseline
  bool operator==(const CacheEntry&) const = default;
};

/// Reader limits.
inline constexpr std::uint64_t max_cache_bytes = std::uint64_t{64} << 20;
inline constexpr std::uint64_t max_cache_entries = 1'000'000;

/// /etc/ld.so.cache in glibc's "new" format ("glibc-ld.so.cache1.1"), little-endian, with the
/// extension block, in ldconfig's order, for any of the three machines whatever the host. Entries
/// of one name keep the order they are given in: ldconfig's directory order, which is the loader's
/// preference. Entry flags: 0x0303 x86-64, 0x0a03 aarch64, 0x1003 riscv64 lp64d. `generator` is who
/// the file says wrote it; all other bytes are those of ldconfig. Source: glibc 2.41
/// sysdeps/generic/dl-cache.h, elf/cache.c.
[[nodiscard]] AIPACK_API std::vector<std::byte>
write_loader_cache(Machine machine, std::vector<CacheEntry> entries,
                   std::string_view generator = "aipack");

/// Reads such a cache back. Throws FormatError{corrupt}.
[[nodiscard]] AIPACK_API std::vector<CacheEntry>
read_loader_cache(std::span<const std::byte> bytes);

} // namespace aipack::elf
