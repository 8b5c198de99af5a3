#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "aipack/core/export.hpp"
#include "aipack/elf/object.hpp"

namespace aipack::elf {

/// One library that the dynamic loader can find by name.
struct CacheEntry {
    std::string soname;
    std::string path;     ///< absolute: "/lib/x86_64-linux-gnu/libc.so.6"
    std::string hwcap{};  ///< glibc-hwcaps subdirectory ("x86-64-v3"), empty for the baseline
    bool operator==(const CacheEntry&) const = default;
};

/// /etc/ld.so.cache in glibc's "new" format ("glibc-ld.so.cache1.1"), little-endian, with the extension block, in ldconfig's order, for
/// any of the three machines whatever the host. Entry flags: 0x0303 x86-64, 0x0a03 aarch64, 0x1003 riscv64 lp64d.
/// Source: glibc 2.41 sysdeps/generic/dl-cache.h, elf/cache.c.
[[nodiscard]] AIPACK_API std::vector<std::byte> write_loader_cache(Machine machine, std::vector<CacheEntry> entries);

/// Reads such a cache back (limits: 64 MiB, 1,000,000 entries). Throws FormatError{corrupt}.
[[nodiscard]] AIPACK_API std::vector<CacheEntry> read_loader_cache(std::span<const std::byte> bytes);

} // namespace aipack::elf
