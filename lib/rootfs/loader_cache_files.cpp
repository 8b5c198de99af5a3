#include "aipack/elf/loader_cache.hpp"
#include "aipack/io/byte_stream.hpp"

#include "loader_path.hpp"
#include "skeleton.hpp"

#include <set>

namespace aipack::rootfs {
namespace {

/// ldconfig's _dl_is_dso, and the names it passes over.
bool looks_like_library(std::string_view name) {
  const bool start = name.starts_with("lib") || name.starts_with("ld-") ||
                     name.starts_with("ld.so") || name.starts_with("ld64.so");
  return start && name.find(".so") != std::string_view::npos && !name.ends_with("-gdb.py") &&
         !name.ends_with(".dpkg-new") && !name.ends_with(".dpkg-tmp");
}

/// The name under which ldconfig enters a file or link called `name` whose library says `soname`.
std::string entry_name(std::string_view name, const std::string& soname, bool is_link) {
  if (soname.empty()) {
    return std::string(name);
  }
  const bool development_link = is_link && name.ends_with(".so") && soname.starts_with(name);
  return development_link ? std::string(name) : soname;
}

} // namespace

void add_loader_cache(Root& root, const std::map<fs::RootPath, std::string>& sonames) {
  std::vector<elf::CacheEntry> entries;
  const auto scan = [&](const std::string& directory, const std::string& hwcap) {
    const auto real = root.tree.resolve(fs::RootPath::parse(directory));
    if (!real) {
      return;
    }
    std::set<std::string> names;
    for (const auto& child : root.tree.children(*real)) {
      const auto target = root.is_kept(child) && looks_like_library(child.filename())
                              ? root.tree.resolve(child)
                              : std::nullopt;
      const auto soname = target ? sonames.find(*target) : sonames.end();
      if (soname != sonames.end()) {
        names.insert(entry_name(child.filename(), soname->second,
                                root.tree.find(child)->type == fs::FileType::symlink));
      }
    }
    for (const auto& name : names) {
      entries.push_back({name, directory + "/" + name, hwcap});
    }
  };
  for (const auto& directory : cached_directories(root.tree, root.names.triplet)) {
    scan(directory, {});
    for (const auto& hwcap : hwcaps_subdirectories(root.tree, directory)) {
      scan(directory + "/glibc-hwcaps/" + hwcap, hwcap);
    }
  }
  const auto bytes = elf::write_loader_cache(root.machine, std::move(entries));
  root.generate_file("etc/ld.so.cache", std::string(io::as_text(bytes)),
                     {"generated", "rule 28: cache of the loader"}, "libc-bin");
}

} // namespace aipack::rootfs
