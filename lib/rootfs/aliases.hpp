#pragma once

#include "aipack/fs/root_path.hpp"

#include <array>
#include <string_view>

namespace aipack::rootfs {

/// Directories that are links in every merged-/usr Debian. Source: base-files 13.8, its data and
/// its postinst.
struct Alias {
  std::string_view link;
  std::string_view directory;
  std::string_view target; ///< as written in the link
  enum class When { always, amd64_or_used, used } when;
};
inline constexpr std::array<Alias, 9> aliases{{
    {"bin", "usr/bin", "usr/bin", Alias::When::always},
    {"sbin", "usr/sbin", "usr/sbin", Alias::When::always},
    {"lib", "usr/lib", "usr/lib", Alias::When::always},
    {"lib64", "usr/lib64", "usr/lib64", Alias::When::amd64_or_used},
    {"lib32", "usr/lib32", "usr/lib32", Alias::When::used},
    {"libo32", "usr/libo32", "usr/libo32", Alias::When::used},
    {"libx32", "usr/libx32", "usr/libx32", Alias::When::used},
    {"var/run", "run", "/run", Alias::When::always},
    {"var/lock", "run/lock", "/run/lock", Alias::When::always},
}};

/// The alias that stands at `path` itself, or null.
[[nodiscard]] const Alias* alias_of(const fs::RootPath& path);

/// `path` with the alias it starts with replaced: "lib/x" is "usr/lib/x".
[[nodiscard]] fs::RootPath without_alias(const fs::RootPath& path);

} // namespace aipack::rootfs
