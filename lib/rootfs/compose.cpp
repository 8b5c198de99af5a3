#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include "accounts.hpp"
#include "aliases.hpp"
#include "merge.hpp"
#include "package_database.hpp"
#include "prune.hpp"
#include "root.hpp"
#include "scripts.hpp"
#include "skeleton.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

/// base-files first, then by name: the order in which packages decide about shared directories,
/// whatever order they came in.
std::vector<const Input*> ordered(const std::vector<Input>& packages) {
  std::vector<const Input*> order;
  for (const Input& input : packages) {
    order.push_back(&input);
  }
  std::sort(order.begin(), order.end(), [](const Input* a, const Input* b) {
    const bool a_is_base = a->package.name == "base-files";
    const bool b_is_base = b->package.name == "base-files";
    return a_is_base != b_is_base ? a_is_base : a->package.name < b->package.name;
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i]->package.name == order[i - 1]->package.name) {
      throw Error(ErrorCode::invalid_input,
                  "cannot compose: package " + quoted(order[i]->package.name) + " is given twice");
    }
  }
  return order;
}

std::vector<ChainLink> chain(const fs::RootPath& path, auto&& find) {
  std::vector<ChainLink> links;
  std::set<fs::RootPath> seen; // two libraries that need each other end the chain
  for (std::optional<fs::RootPath> at = path; at && seen.insert(*at).second;) {
    std::optional<ChainLink> link = find(*at);
    if (!link) {
      break;
    }
    at = link->reason.from;
    links.push_back(std::move(*link));
  }
  if (links.empty()) {
    throw Error(ErrorCode::not_found,
                "cannot explain " + quoted(path.to_string()) + ": it is not in the image");
  }
  std::reverse(links.begin(), links.end());
  return links;
}

} // namespace

Composition compose(const Request& request, const Operation& op) {
  const oci::ArchitectureNames& names = oci::architecture_names(request.platform);
  Root root{.request = request,
            .names = names,
            .machine = elf::machine_of(names.oci),
            .packages = ordered(request.packages)};
  merge_packages(root, op);
  add_extra_files(root);
  add_alternatives(root);
  root.tree.add_missing_parents(request.epoch);
  add_skeleton(root);

  // Every file that may be needed has its place now; from here on only reasons are given.
  const auto sonames = keep_what_is_needed(root, op);
  add_local_time(root);
  const std::set<std::string> packages = packages_with_kept_files(root);
  std::vector<ScriptVerdict> scripts = classify_scripts(root, packages);
  apply_tmpfiles(root, packages);
  add_loader_cache(root, sonames);
  write_accounts(root);
  keep_copyrights(root);
  write_package_database(root);

  Composition composition = prune(root);
  composition.scripts = std::move(scripts);
  return composition;
}

std::vector<ChainLink> why(const fs::FileTree& tree, const fs::RootPath& path) {
  const fs::RootPath place =
      tree.find(path) != nullptr ? path : tree.resolve_parent(path).value_or(path);
  return chain(place, [&](const fs::RootPath& at) -> std::optional<ChainLink> {
    const fs::FileEntry* entry = tree.find(at);
    if (entry == nullptr || !entry->reason) {
      return std::nullopt;
    }
    return ChainLink{at, *entry->reason, entry->package};
  });
}

std::vector<ChainLink> why(const Record& record, const fs::RootPath& path) {
  const auto find = [&](const fs::RootPath& at) -> std::optional<ChainLink> {
    const auto found = std::lower_bound(
        record.kept.begin(), record.kept.end(), at,
        [](const Record::Entry& entry, const fs::RootPath& wanted) { return entry.path < wanted; });
    if (found == record.kept.end() || found->path != at) {
      return std::nullopt;
    }
    return ChainLink{found->path, found->reason, found->package};
  };
  return chain(find(path) ? path : without_alias(path), find);
}

} // namespace aipack::rootfs
