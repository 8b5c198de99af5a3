#include "loader_path.hpp"

#include "aipack/core/text.hpp"
#include "aipack/io/byte_stream.hpp"

#include "root.hpp"

#include <algorithm>
#include <set>

namespace aipack::rootfs {
namespace {

constexpr unsigned max_include_depth = 8;
constexpr std::size_t max_directories = 1024;

void read_configuration(const fs::FileTree& tree, const fs::RootPath& path, unsigned depth,
                        std::vector<std::string>& directories) {
  const auto real = tree.resolve(path);
  if (!real || depth > max_include_depth) {
    return;
  }
  const fs::FileEntry* entry = tree.find(*real);
  if (entry == nullptr || !entry->content) {
    return;
  }
  const auto source = entry->content->open();
  const std::string text = io::read_text(*source, max_text_bytes, path.to_string());
  for (const std::string_view raw : split(text, '\n')) {
    std::string_view line = trim(raw.substr(0, raw.find('#')));
    constexpr std::string_view include = "include";
    if (line.starts_with(include) && line.size() > include.size() &&
        (line[include.size()] == ' ' || line[include.size()] == '\t')) {
      const std::string_view pattern = trim(line.substr(include.size()));
      const fs::RootPath directory = pattern.starts_with('/') ? fs::RootPath() : path.parent();
      const auto relative = fs::RootPath::try_parse(pattern);
      if (!relative) {
        continue;
      }
      const std::string wanted =
          (directory.is_root() ? *relative : directory / relative->text()).text();
      const auto parent = tree.resolve(fs::RootPath::parse(wanted).parent());
      if (!parent) {
        continue;
      }
      // Sorted byte-wise, as glob(3) does in the C locale.
      for (const auto& child : tree.children(*parent)) {
        if (glob_matches(wanted.substr(wanted.rfind('/') + 1), child.filename()) &&
            !child.filename().starts_with('.')) {
          read_configuration(tree, child, depth + 1, directories);
        }
      }
    } else if (line.starts_with('/') && directories.size() < max_directories) {
      line = line.substr(0, line.find('=')); // "/lib=libc6": the library type is obsolete
      while (line.size() > 1 && line.ends_with('/')) {
        line.remove_suffix(1);
      }
      directories.emplace_back(trim(line));
    }
  }
}

} // namespace

std::vector<std::string> configured_directories(const fs::FileTree& tree) {
  std::vector<std::string> directories;
  read_configuration(tree, fs::RootPath::parse("etc/ld.so.conf"), 0, directories);
  return directories;
}

std::vector<std::string> default_directories(std::string_view triplet) {
  const std::string name(triplet);
  return {"/lib/" + name, "/usr/lib/" + name, "/lib", "/usr/lib"};
}

std::vector<std::string> cached_directories(const fs::FileTree& tree, std::string_view triplet) {
  std::vector<std::string> all = configured_directories(tree);
  for (auto& directory : default_directories(triplet)) {
    all.push_back(std::move(directory));
  }
  std::vector<std::string> unique;
  std::set<fs::RootPath> seen;
  for (auto& directory : all) {
    const auto path = fs::RootPath::try_parse(directory);
    const auto real = path ? tree.resolve(*path) : std::nullopt;
    if (real && seen.insert(*real).second) {
      unique.push_back(std::move(directory));
    }
  }
  return unique;
}

std::vector<std::string> hwcaps_subdirectories(const fs::FileTree& tree,
                                               std::string_view directory) {
  std::vector<std::string> names;
  const auto path = fs::RootPath::try_parse(std::string(directory) + "/glibc-hwcaps");
  const auto real = path ? tree.resolve(*path) : std::nullopt;
  if (!real) {
    return names;
  }
  for (const auto& child : tree.children(*real)) {
    const auto target = tree.resolve(child);
    if (target && tree.find(*target)->type == fs::FileType::directory &&
        child.filename().find(':') == std::string_view::npos) {
      names.emplace_back(child.filename());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

} // namespace aipack::rootfs
