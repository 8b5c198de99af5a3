#include "purpose.hpp"

#include "aipack/rootfs/rootfs.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace aipack::build {

namespace {

/// Packages that images of every runtime share. gcc-NN-base is matched by its shape, since its name
/// changes with the suite.
constexpr std::array<std::string_view, 10> base_packages{
    "base-files", "ca-certificates", "libc-bin", "libc6",  "libgcc-s1",
    "libstdc++6", "media-types",     "netbase",  "tzdata", "zlib1g"};

bool is_base_package(std::string_view name) {
  return std::ranges::find(base_packages, name) != base_packages.end() ||
         (name.starts_with("gcc-") && name.ends_with("-base"));
}

/// Generated files that change whenever a runtime package does.
constexpr std::string_view loader_cache_path = "etc/ld.so.cache";

} // namespace

image::PurposeOf purpose_of(const std::string& server_path) {
  const auto server = fs::RootPath::parse(server_path.empty() ? "/" : server_path);
  return [server](const fs::RootPath& path, const fs::FileEntry& entry) {
    if ((path == server && !server.is_root()) || path.text() == rootfs::record_path) {
      return image::Purpose::server;
    }
    if (entry.reason && entry.reason->rule == "file") {
      return image::Purpose::files;
    }
    if (!entry.package.empty() && !is_base_package(entry.package)) {
      return image::Purpose::runtime;
    }
    return path.text() == loader_cache_path ? image::Purpose::runtime : image::Purpose::base;
  };
}

} // namespace aipack::build
