#include "aipack/core/text.hpp"

#include "closure_walker.hpp"
#include "loader_path.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

// Where the loader finds a name, for the target: _dl_map_object of glibc 2.41, elf/dl-load.c.

namespace aipack::rootfs {
namespace {

constexpr std::uint64_t no_default_directories = 0x800; // DF_1_NODEFLIB

} // namespace

std::optional<ClosureWalker::Found> ClosureWalker::candidate(const fs::RootPath& path) {
  Found found;
  const auto real = tree_.resolve(path, &found.links);
  if (!real) {
    return std::nullopt;
  }
  const auto& object = object_at(*real);
  if (!object || !object->is(machine_)) {
    return std::nullopt; // ld.so goes on to the next directory
  }
  found.path = *real;
  found.opened_as = tree_.resolve_parent(path).value_or(*real);
  return found;
}

const std::vector<std::string>& ClosureWalker::hwcaps_of(const std::string& directory) {
  const auto [slot, is_new] = hwcaps_.try_emplace(directory);
  if (is_new) {
    slot->second = hwcaps_subdirectories(tree_, directory);
  }
  return slot->second;
}

std::optional<ClosureWalker::Found> ClosureWalker::find_in(std::string_view directory,
                                                           std::string_view name,
                                                           std::vector<Found>& variants) {
  const std::string base(directory);
  for (const auto& hwcap : hwcaps_of(base)) {
    const auto path =
        fs::RootPath::try_parse(fmt::format("{}/glibc-hwcaps/{}/{}", base, hwcap, name));
    if (auto found = path ? candidate(*path) : std::nullopt) {
      variants.push_back(std::move(*found));
    }
  }
  const auto path = fs::RootPath::try_parse(base + "/" + std::string(name));
  return path ? candidate(*path) : std::nullopt;
}

std::optional<ClosureWalker::Found> ClosureWalker::find(std::size_t node, const std::string& name,
                                                        std::vector<Found>& variants) {
  if (name.find('/') != std::string::npos) { // a path is taken literally; a relative one would
                                             // depend on the working directory
    const auto text = expand_one(name, nodes_[node].opened_as);
    const auto path =
        text && text->starts_with('/') ? fs::RootPath::try_parse(*text) : std::nullopt;
    return path ? candidate(*path) : std::nullopt;
  }
  for (const auto& directory : search_path(node)) {
    if (auto found = find_in(directory, name, variants)) {
      return found;
    }
  }
  return std::nullopt;
}

// The order of _dl_map_object: RPATH of the object and of its loaders unless it has a RUNPATH, its
// own RUNPATH, the cache, the defaults.
std::vector<std::string> ClosureWalker::search_path(std::size_t node) const {
  std::vector<std::string> directories;
  const Node& object = nodes_[node];
  const auto append = [&](std::vector<std::string> more) {
    directories.insert(directories.end(), more.begin(), more.end());
  };
  if (object.object.runpath.empty()) {
    for (std::size_t at = node; at != none; at = nodes_[at].loader) {
      if (nodes_[at].object.runpath.empty()) {
        append(expand(nodes_[at].object.rpath, nodes_[at].opened_as));
      }
    }
  }
  append(expand(object.object.runpath, object.opened_as));
  const bool defaults = (object.object.flags_1 & no_default_directories) == 0;
  for (const auto& directory : cached_) {
    if (defaults || std::find(defaults_.begin(), defaults_.end(), directory) == defaults_.end()) {
      directories.push_back(directory);
    }
  }
  if (defaults) {
    append(defaults_);
  }
  return directories;
}

std::vector<std::string> ClosureWalker::expand(std::string_view path_list,
                                               const fs::RootPath& opened_as) const {
  std::vector<std::string> directories;
  if (path_list.empty()) {
    return directories;
  }
  for (const std::string_view part : split(path_list, ':')) {
    const auto text = expand_one(part, opened_as);
    if (text && text->starts_with('/')) { // empty and relative ones mean the working directory,
                                          // which an image does not promise
      directories.push_back(fs::RootPath().resolve_link(*text).to_string());
    }
  }
  return directories;
}

std::optional<std::string> ClosureWalker::expand_one(std::string_view text,
                                                     const fs::RootPath& opened_as) const {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '$') {
      result.push_back(text[at++]);
      continue;
    }
    const auto token = [&](std::string_view name) {
      for (const std::string& form : {fmt::format("${}", name), fmt::format("${{{}}}", name)}) {
        if (text.substr(at).starts_with(form)) {
          at += form.size();
          return true;
        }
      }
      return false;
    };
    if (token("ORIGIN")) {
      result += opened_as.parent().to_string();
    } else if (token("LIB")) {
      result += "lib/" + triplet_;
    } else if (token("PLATFORM")) {
      if (machine_ == elf::Machine::riscv64) {
        return std::nullopt; // its kernel gives no AT_PLATFORM
      }
      result += to_string(machine_);
    } else {
      return std::nullopt;
    }
  }
  return result;
}

bool ClosureWalker::has(std::string_view soname) const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [&](const Node& node) { return node.object.soname == soname; });
}

std::optional<fs::RootPath> ClosureWalker::find_by_default(std::string_view name) {
  for (const auto* directories : {&cached_, &defaults_}) {
    for (const auto& directory : *directories) {
      std::vector<Found> variants;
      if (const auto found = find_in(directory, name, variants)) {
        return found->opened_as;
      }
    }
  }
  return std::nullopt;
}

/// A library that is loaded already satisfies a name that the search does not find, as in

} // namespace aipack::rootfs
