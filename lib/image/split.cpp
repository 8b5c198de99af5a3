#include "aipack/image/split.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

namespace aipack::image {
namespace {

using Paths = std::vector<fs::RootPath>;

[[noreturn]] void refuse(const fs::RootPath& path, std::string_view cause) {
  throw Error(ErrorCode::invalid_input,
              fmt::format("cannot cut {} into layers: {}", quoted(path.to_string()), cause));
}

/// The regular file that a hard link is another name of.
fs::RootPath link_root(const fs::FileTree& tree, const fs::RootPath& link) {
  fs::RootPath path = link;
  for (unsigned hop = 0; hop <= fs::FileTree::max_symlinks; ++hop) {
    const auto* entry = tree.find(path);
    if (entry == nullptr || entry->type == fs::FileType::directory ||
        entry->type == fs::FileType::symlink) {
      refuse(link,
             fmt::format("the target {} of the hard link is not a file", quoted(path.to_string())));
    }
    if (entry->type == fs::FileType::regular) {
      return path;
    }
    path = fs::RootPath::parse(entry->link_target);
  }
  refuse(link, "the hard link leads in a circle");
}

/// What stays together in one layer: the names of one file (sorted), or one symlink, or one empty
/// directory.
struct Unit {
  fs::RootPath root; ///< the regular file, the symlink or the directory
  Paths names;
  std::uint64_t size_bytes = 0;
  bool is_file = false;
};
using Units = std::vector<Unit>;

/// Directories that have something below them; the others must be somewhere too.
std::set<fs::RootPath> parents_of_all(const fs::FileTree& tree) {
  std::set<fs::RootPath> parents;
  for (const auto& [path, entry] : tree.entries()) {
    if (path.is_root()) {
      continue;
    }
    const auto parent = path.parent();
    if (!parent.is_root()) {
      const auto* found = tree.find(parent);
      if (found == nullptr || found->type != fs::FileType::directory) {
        refuse(path, "its parent is not a directory");
      }
      parents.insert(parent);
    }
  }
  return parents;
}

std::map<Purpose, Units> units_by_purpose(const fs::FileTree& tree, const PurposeOf& purpose_of) {
  const auto parents = parents_of_all(tree);
  std::map<std::pair<Purpose, fs::RootPath>, Unit> units;
  for (const auto& [path, entry] : tree.entries()) {
    if (path.is_root() || (entry.type == fs::FileType::directory && parents.contains(path))) {
      continue;
    }
    const auto root = entry.type == fs::FileType::hard_link ? link_root(tree, path) : path;
    auto& unit = units[{purpose_of(path, entry), root}];
    unit.root = root;
    unit.names.push_back(path); // sorted: the tree is
    unit.size_bytes = tree.find(root)->size();
    unit.is_file = tree.find(root)->type == fs::FileType::regular;
  }
  std::map<Purpose, Units> by_purpose;
  for (auto& [key, unit] : units) {
    by_purpose[key.first].push_back(std::move(unit));
  }
  return by_purpose;
}

void add_parents(std::map<fs::RootPath, fs::FileEntry>& entries, const fs::FileTree& tree,
                 const fs::RootPath& path, const SplitOptions& options) {
  for (auto parent = path.parent(); !parent.is_root(); parent = parent.parent()) {
    if (entries.contains(parent)) {
      return;
    }
    auto entry = *tree.find(parent);
    entry.mtime = options.directory_mtime;
    entries.emplace(parent, std::move(entry));
  }
}

/// The first name in sort order is the file, whichever it was in the tree: extractors need the
/// target before its links.
void add_unit(std::map<fs::RootPath, fs::FileEntry>& entries, const fs::FileTree& tree,
              const Unit& unit, const SplitOptions& options) {
  const auto& file = *tree.find(unit.root);
  for (const auto& name : unit.names) {
    add_parents(entries, tree, name, options);
    auto entry = file;
    const auto& own = *tree.find(name);
    entry.package = own.package;
    entry.reason = own.reason;
    if (entry.type == fs::FileType::directory) {
      entry.mtime = options.directory_mtime;
    }
    if (name != unit.names.front()) {
      entry.type = fs::FileType::hard_link;
      entry.link_target = unit.names.front().text();
      entry.content = nullptr;
    }
    entries.emplace(name, std::move(entry));
  }
}

/// "runtime: libonnxruntime1.21 and 14 more": the largest package (or, without packages, the
/// largest file) stands for all.
std::string title_of(Purpose purpose, const std::map<fs::RootPath, fs::FileEntry>& entries) {
  std::map<std::string, std::uint64_t> packages;
  std::map<std::string, std::uint64_t> files;
  for (const auto& [path, entry] : entries) {
    if (entry.type == fs::FileType::directory) {
      continue;
    }
    files[std::string(path.filename())] += entry.size();
    if (!entry.package.empty()) {
      packages[entry.package] += entry.size();
    }
  }
  const auto& names = packages.empty() ? files : packages;
  if (names.empty()) {
    return std::string(to_string(purpose));
  }
  const auto largest = std::max_element(
      names.begin(), names.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  auto title = fmt::format("{}: {}", to_string(purpose), largest->first);
  if (names.size() > 1) {
    title += fmt::format(" and {} more", names.size() - 1);
  }
  return title;
}

LayerPlan make_plan(Purpose purpose, const Units& units, const fs::FileTree& tree,
                    const SplitOptions& options) {
  std::map<fs::RootPath, fs::FileEntry> entries;
  for (const auto& unit : units) {
    add_unit(entries, tree, unit, options);
  }
  LayerPlan plan;
  plan.purpose = purpose;
  plan.compression = purpose == Purpose::model ? options.model_compression : options.compression;
  plan.title = title_of(purpose, entries);
  plan.entries.assign(std::make_move_iterator(entries.begin()),
                      std::make_move_iterator(entries.end()));
  return plan;
}

/// One layer per model file, in path order; what does not fit the budget shares the first one.
std::vector<Units> cut_model(Units units, const SplitOptions& options) {
  Units files;
  Units shared;
  for (auto& unit : units) {
    const bool alone = unit.is_file && unit.size_bytes >= options.min_own_layer_bytes;
    (alone ? files : shared).push_back(std::move(unit));
  }
  std::stable_sort(files.begin(), files.end(),
                   [](const Unit& a, const Unit& b) { return a.size_bytes > b.size_bytes; });
  const bool too_many = files.size() + (shared.empty() ? 0U : 1U) > options.max_model_layers;
  if (too_many) {
    const auto first_small =
        files.begin() + static_cast<std::ptrdiff_t>(options.max_model_layers - 1);
    std::move(first_small, files.end(), std::back_inserter(shared));
    files.erase(first_small, files.end());
  }
  std::sort(files.begin(), files.end(),
            [](const Unit& a, const Unit& b) { return a.root < b.root; });

  std::vector<Units> layers;
  if (!shared.empty()) {
    layers.push_back(std::move(shared));
  }
  for (auto& file : files) {
    layers.push_back({std::move(file)});
  }
  return layers;
}

} // namespace

std::vector<LayerPlan> split(const fs::FileTree& tree, const PurposeOf& purpose_of,
                             const SplitOptions& options) {
  std::vector<LayerPlan> plans;
  for (auto& [purpose, units] : units_by_purpose(tree, purpose_of)) {
    if (purpose != Purpose::model) {
      plans.push_back(make_plan(purpose, units, tree, options));
      continue;
    }
    for (const auto& layer : cut_model(std::move(units), options)) {
      plans.push_back(make_plan(purpose, layer, tree, options));
    }
  }
  return plans;
}

} // namespace aipack::image
