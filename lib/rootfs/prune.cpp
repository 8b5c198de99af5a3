#include "prune.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "documentation.hpp"
#include "package_database.hpp"
#include "package_facts.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

struct Kind {
  std::string_view glob;
  std::string_view what;
  bool documentation; ///< left out of whole packages too
};
// Rule 45.
constexpr std::array<Kind, 22> kinds{{
    {"usr/share/doc/**", "documentation", true},
    {"usr/share/man/**", "documentation", true},
    {"usr/share/info/**", "documentation", true},
    {"usr/share/doc-base/**", "documentation", true},
    {"usr/share/gtk-doc/**", "documentation", true},
    {"usr/share/lintian/**", "packaging notes", true},
    {"usr/share/bug/**", "packaging notes", true},
    {"usr/share/apport/**", "packaging notes", true},
    {"usr/share/locale/**", "message catalogue", true},
    {"usr/share/gdb/**", "support for debuggers", true},
    {"usr/share/gcc/**", "support for debuggers", true},
    {"usr/lib/debug/**", "support for debuggers", true},
    {"usr/include/**", "development file", false},
    {"usr/lib/**/*.a", "development file", false},
    {"usr/lib/**/*.la", "development file", false},
    {"usr/lib/**/pkgconfig/*", "development file", false},
    {"usr/lib/**/cmake/**", "development file", false},
    {"usr/share/pkgconfig/*", "development file", false},
    {"usr/lib/**/gconv/**", "character set converter; name it as data if iconv is used", false},
    {"usr/share/bash-completion/**", "shell completion", false},
    {"usr/lib/systemd/**", "unit of a service manager", false},
    {"usr/lib/tmpfiles.d/**", "directory of a running system", false},
}};

/// Hard links: the first kept name is the file, the others link to it. Rule 41.
void restore_hard_links(const Root& root, fs::FileTree& tree) {
  std::map<const fs::Content*, fs::RootPath> first;
  for (const auto& [path, entry] : root.tree.entries()) {
    if (!entry.reason || !entry.content || !root.hard_linked.contains(entry.content.get())) {
      continue;
    }
    const auto [slot, is_first] = first.try_emplace(entry.content.get(), path);
    if (!is_first) {
      fs::FileEntry& link = *tree.find(path);
      link.type = fs::FileType::hard_link;
      link.link_target = slot->second.text();
      link.content.reset();
    }
  }
}

std::string drop_reason(const Root& root, const std::set<std::string>& packages,
                        const fs::RootPath& path, const fs::FileEntry& entry) {
  if (const auto merged = root.merged_into.find(path); merged != root.merged_into.end()) {
    return "its content is in " + merged->second;
  }
  if (const auto kind = useless_kind(path.text())) {
    return std::string(*kind);
  }
  if (!packages.contains(entry.package)) {
    return "nothing in the image needs package " + entry.package;
  }
  return "not reached from the entrypoint";
}

void check_owners(const Root& root) {
  for (const auto& [path, name] : root.unknown_owners) {
    if (root.is_kept(path)) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot compose '{}': '{}' belongs to {}, which is no static account",
                              root.request.platform.to_string(), path.to_string(), quoted(name)));
    }
  }
}

} // namespace

std::optional<std::string_view> useless_kind(std::string_view path) noexcept {
  const auto found = std::find_if(kinds.begin(), kinds.end(),
                                  [&](const Kind& kind) { return glob_matches(kind.glob, path); });
  return found == kinds.end() ? std::nullopt : std::optional(found->what);
}

bool is_documentation(std::string_view path) noexcept {
  return std::any_of(kinds.begin(), kinds.end(), [&](const Kind& kind) {
    return kind.documentation && glob_matches(kind.glob, path);
  });
}

Composition prune(Root& root) {
  check_owners(root);
  Composition result;
  const std::set<std::string> packages = packages_with_kept_files(root);
  result.packages = facts_of_packages(root, packages);
  result.dropped = std::move(root.dropped);
  for (const auto& [path, entry] : root.tree.entries()) {
    if (entry.reason) {
      result.tree.put(path, entry);
      // Directories on the way stay as they are in the packages.
      for (fs::RootPath parent = path.parent();
           !parent.is_root() && result.tree.find(parent) == nullptr; parent = parent.parent()) {
        if (const fs::FileEntry* directory = root.tree.find(parent)) {
          fs::FileEntry& copy = result.tree.put(parent, *directory);
          copy.reason = fs::Reason{"directory", "holds what is kept"};
        }
      }
    } else if (entry.type != fs::FileType::directory && !entry.package.empty()) {
      result.dropped.push_back({path.to_string(), entry.package, entry.size(),
                                drop_reason(root, packages, path, entry)});
    }
  }
  restore_hard_links(root, result.tree);
  result.tree.add_missing_parents(root.request.epoch);
  std::vector<fs::RootPath> implied;
  for (const auto& [path, entry] : result.tree.entries()) {
    if (!entry.reason) {
      implied.push_back(path);
    }
  }
  for (const auto& path : implied) {
    result.tree.find(path)->reason = fs::Reason{"directory", "holds what is kept"};
  }
  for (const auto& [path, bits] : root.cleared_bits) {
    if (root.is_kept(path)) {
      root.notes.insert(fmt::format("{} lost its {} bit", path.to_string(),
                                    (bits & 04000) != 0 ? "setuid" : "setgid"));
    }
  }
  for (const auto& name : root.request.assumed) {
    result.dropped.push_back({"package " + name, name, 0, "only maintainer scripts use it"});
  }
  std::sort(result.dropped.begin(), result.dropped.end(), [](const Dropped& a, const Dropped& b) {
    return std::tie(a.what, a.package) < std::tie(b.what, b.package);
  });
  result.notes.assign(root.notes.begin(), root.notes.end());
  return result;
}

} // namespace aipack::rootfs
