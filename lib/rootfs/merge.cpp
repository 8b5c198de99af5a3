#include "merge.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/deb/version.hpp"
#include "aipack/io/byte_stream.hpp"

#include "accounts.hpp"
#include "aliases.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

std::string article(const std::string& package) {
  return package.empty() ? "the composition" : "package '" + package + "'";
}

class Merger {
public:
  Merger(Root& root, const Operation& op) : root_(root), op_(op) {}
  void add_directories(const Input& input);
  void add_symlinks(const Input& input);
  void add_aliases();
  void move_what_stands_below_links();
  void add_files(const Input& input);
  void add_hard_links(const Input& input);

private:
  [[nodiscard]] fs::FileEntry entry_of(const Input& input, const deb::PackageMember& member,
                                       const fs::RootPath& at);
  std::uint32_t owner_id(std::string_view name, std::uint32_t number,
                         std::optional<std::uint32_t> (*find)(std::string_view) noexcept,
                         const fs::RootPath& at);
  void put(const fs::RootPath& at, fs::FileEntry entry);
  /// Root::canonical() with a memory per directory: links do not change any more.
  [[nodiscard]] fs::RootPath place_of(const fs::RootPath& raw);
  [[nodiscard]] bool is_used(const fs::RootPath& directory) const;
  [[nodiscard]] bool replaces(const std::string& winner, const std::string& loser) const;
  void lose(const fs::RootPath& at, const fs::FileEntry& entry, std::string reason);

  Root& root_;
  const Operation& op_;
  std::unordered_map<std::string, fs::RootPath> directories_;
};

fs::RootPath Merger::place_of(const fs::RootPath& raw) {
  const fs::RootPath path = without_alias(raw);
  const auto [slot, is_new] = directories_.try_emplace(path.parent().text());
  if (is_new) {
    const fs::RootPath parent = path.parent();
    slot->second = root_.tree.resolve(parent).value_or(root_.canonical(parent));
  }
  return slot->second / path.filename();
}

std::uint32_t Merger::owner_id(std::string_view name, std::uint32_t number,
                               std::optional<std::uint32_t> (*find)(std::string_view) noexcept,
                               const fs::RootPath& at) {
  if (name.empty()) {
    if (number >= 100 &&
        number != 65534) { // Policy 9.2.2: only 0-99 and nobody mean the same on every system
      root_.unknown_owners.try_emplace(at, fmt::format("number {}", number));
    }
    return number;
  }
  if (const auto id = find(name)) {
    return *id;
  }
  root_.unknown_owners.try_emplace(at, std::string(name));
  return 0;
}

fs::FileEntry Merger::entry_of(const Input& input, const deb::PackageMember& item,
                               const fs::RootPath& at) {
  const archive::TarMember& member = item.member;
  fs::FileEntry entry{.type = member.type,
                      .mode = member.mode & 07777,
                      .mtime = root_.clamp(member.mtime),
                      .link_target = member.link_target,
                      .content = item.content,
                      .package = input.package.name};
  entry.uid = owner_id(member.user_name, member.uid, static_user_id, at);
  entry.gid = owner_id(member.group_name, member.gid, static_group_id, at);
  if (member.type == fs::FileType::regular && (entry.mode & 06000) != 0) {
    root_.cleared_bits[at] = entry.mode & 06000;
    entry.mode &= ~std::uint32_t{06000};
  }
  if (member.type == fs::FileType::symlink) {
    entry.mode = 0777;
  }
  return entry;
}

void Merger::add_directories(const Input& input) {
  for (const auto& item : input.file.members) {
    const fs::RootPath& raw = item.member.path;
    if (item.member.type != fs::FileType::directory || raw.is_root() || alias_of(raw) != nullptr) {
      continue;
    }
    const fs::RootPath at = without_alias(raw);
    fs::FileEntry entry = entry_of(input, item, at);
    const fs::FileEntry* existing = root_.tree.find(at);
    if (existing == nullptr) {
      root_.tree.put(at, std::move(entry));
    } else if (existing->mode != entry.mode || existing->uid != entry.uid ||
               existing->gid != entry.gid) {
      root_.notes.insert(fmt::format(
          "directory {} has mode {:04o} {}:{} from {}, not {:04o} {}:{} as in {}", at.to_string(),
          existing->mode, existing->uid, existing->gid, article(existing->package), entry.mode,
          entry.uid, entry.gid, article(entry.package)));
    }
  }
}

void Merger::add_symlinks(const Input& input) {
  for (const auto& item : input.file.members) {
    const fs::RootPath& raw = item.member.path;
    if (item.member.type != fs::FileType::symlink) {
      continue;
    }
    if (const Alias* alias = alias_of(raw)) {
      if (raw.resolve_link(item.member.link_target).text() != alias->directory) {
        throw Error(
            ErrorCode::corrupt,
            fmt::format("cannot merge package '{}': its link '{}' leads to {} instead of '/{}'",
                        input.package.name, raw.to_string(), quoted(item.member.link_target),
                        alias->directory));
      }
      continue; // written for every root, whoever ships it
    }
    const fs::RootPath at = without_alias(raw);
    const fs::FileEntry* existing = root_.tree.find(at);
    if (existing != nullptr && existing->type == fs::FileType::directory) {
      // dpkg keeps whichever came first; here the link wins where it leads to a directory, and what
      // stands below moves there.
      const auto target = root_.tree.resolve(at.resolve_link(item.member.link_target));
      if (!target || root_.tree.find(*target)->type != fs::FileType::directory) {
        throw Error(
            ErrorCode::corrupt,
            fmt::format("cannot merge package '{}': '{}' is a link there and a directory in {}",
                        input.package.name, at.to_string(), article(existing->package)));
      }
      root_.tree.erase(at);
    }
    put(at, entry_of(input, item, at));
  }
}

bool Merger::is_used(const fs::RootPath& directory) const {
  return std::any_of(root_.packages.begin(), root_.packages.end(), [&](const Input* input) {
    return std::any_of(input->file.members.begin(), input->file.members.end(),
                       [&](const deb::PackageMember& item) {
                         return alias_of(item.member.path) == nullptr &&
                                without_alias(item.member.path).is_within(directory);
                       });
  });
}

void Merger::add_aliases() {
  for (const Alias& alias : aliases) {
    const fs::RootPath directory = fs::RootPath::parse(alias.directory);
    const bool used = alias.when == Alias::When::always || is_used(directory);
    if (alias.when == Alias::When::used && !used) {
      continue;
    }
    if (alias.when == Alias::When::amd64_or_used && !used &&
        root_.machine != elf::Machine::x86_64) {
      continue;
    }
    root_.generate_directory(alias.directory, 0755,
                             {"skeleton", "rule 8: what the aliases lead to"}, "base-files");
    root_.generate_link(alias.link, std::string(alias.target),
                        {"skeleton", "rule 8: merged /usr and /run"}, "base-files");
  }
}

void Merger::move_what_stands_below_links() {
  std::vector<fs::RootPath> stray;
  const fs::RootPath* link = nullptr;
  for (const auto& [path, entry] : root_.tree.entries()) {
    if (link != nullptr && path != *link && path.is_within(*link)) {
      stray.push_back(path);
    } else if (entry.type == fs::FileType::symlink) {
      link = &path;
    } else {
      link = nullptr;
    }
  }
  for (const auto& path : stray) {
    fs::FileEntry entry = *root_.tree.find(path);
    root_.tree.erase(path);
    const fs::RootPath at = root_.canonical(path);
    if (entry.type == fs::FileType::directory) {
      if (root_.tree.find(at) == nullptr) {
        root_.tree.put(at, std::move(entry));
      }
    } else {
      put(at, std::move(entry));
    }
  }
}

bool Merger::replaces(const std::string& winner, const std::string& loser) const {
  const Input* winning = root_.find_package(winner);
  const Input* losing = root_.find_package(loser);
  if (winning == nullptr || losing == nullptr) {
    return false;
  }
  const auto field = winning->file.control.find("Replaces");
  if (!field) {
    return false;
  }
  const auto version = deb::Version::try_parse(losing->package.version);
  for (const auto& alternatives : deb::parse_relations(*field)) {
    for (const auto& relation : alternatives) {
      if (relation.name != loser) {
        continue;
      }
      const auto bound = deb::Version::try_parse(relation.version);
      if (relation.op.empty() || !bound || !version) {
        return relation.op.empty();
      }
      const auto order = *version <=> *bound;
      if ((relation.op == "<<" && order < 0) || (relation.op == "<=" && order <= 0) ||
          (relation.op == "=" && order == 0) || (relation.op == ">=" && order >= 0) ||
          (relation.op == ">>" && order > 0)) {
        return true;
      }
    }
  }
  return false;
}

bool same_content(const fs::FileEntry& a, const fs::FileEntry& b, const Operation& op) {
  if (a.type != b.type || a.link_target != b.link_target || a.size() != b.size()) {
    return false;
  }
  if (a.type != fs::FileType::regular || a.content == b.content) {
    return true;
  }
  const auto left = a.content->open();
  const auto right = b.content->open();
  return io::same_bytes(*left, *right, op);
}

void Merger::lose(const fs::RootPath& at, const fs::FileEntry& entry, std::string reason) {
  root_.dropped.push_back({at.to_string(), entry.package, entry.size(), std::move(reason)});
}

void Merger::put(const fs::RootPath& at, fs::FileEntry entry) {
  const fs::FileEntry* existing = root_.tree.find(at);
  if (existing == nullptr) {
    root_.tree.put(at, std::move(entry));
    return;
  }
  if (existing->package == entry.package) {
    throw Error(ErrorCode::corrupt, fmt::format("cannot merge package '{}': it has '{}' twice",
                                                entry.package, at.to_string()));
  }
  if (existing->type == fs::FileType::directory) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot merge package '{}': '{}' is a file there and a directory in {}",
                            entry.package, at.to_string(), article(existing->package)));
  }
  if (same_content(*existing, entry, op_)) {
    lose(at, entry, "the same file as in " + article(existing->package));
    return;
  }
  const bool new_wins = replaces(entry.package, existing->package);
  const bool old_wins = replaces(existing->package, entry.package);
  if (new_wins == old_wins) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot merge '{}': {} and {} both have it, with different content",
                            at.to_string(), article(existing->package), article(entry.package)))
        .with_hint("one of the packages must say that it replaces the other; leave one out");
  }
  if (new_wins) {
    lose(at, *existing, "replaced by " + article(entry.package));
    root_.tree.put(at, std::move(entry));
  } else {
    lose(at, entry, "replaced by " + article(existing->package));
  }
}

void Merger::add_files(const Input& input) {
  for (const auto& item : input.file.members) {
    if (item.member.type == fs::FileType::regular) {
      const fs::RootPath at = place_of(item.member.path);
      if (alias_of(at) != nullptr) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("cannot merge package '{}': '{}' is a file there",
                                input.package.name, at.to_string()));
      }
      put(at, entry_of(input, item, at));
    }
  }
}

void Merger::add_hard_links(const Input& input) {
  for (const auto& item : input.file.members) {
    if (item.member.type != fs::FileType::hard_link) {
      continue;
    }
    const fs::RootPath at = place_of(item.member.path);
    const fs::RootPath target = place_of(fs::RootPath::parse(item.member.link_target));
    const fs::FileEntry* first = root_.tree.find(target);
    if (first == nullptr || first->type != fs::FileType::regular ||
        first->package != input.package.name) {
      throw Error(
          ErrorCode::corrupt,
          fmt::format(
              "cannot merge package '{}': hard link '{}' leads to '{}', which is no file of it",
              input.package.name, at.to_string(), target.to_string()));
    }
    // Every name is a whole file until pruning has decided which names stay.
    fs::FileEntry entry = *first;
    root_.hard_linked.insert(entry.content.get());
    if (const auto bits = root_.cleared_bits.find(target); bits != root_.cleared_bits.end()) {
      root_.cleared_bits[at] = bits->second;
    }
    put(at, std::move(entry));
  }
}

} // namespace

void merge_packages(Root& root, const Operation& op) {
  for (const Input* input : root.packages) {
    if (input->package.architecture != root.names.debian && input->package.architecture != "all") {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot compose '{}': package '{}' is for architecture '{}'",
                              root.request.platform.to_string(), input->package.name,
                              input->package.architecture));
    }
  }
  Merger merger(root, op);
  const auto for_each_package = [&](void (Merger::*step)(const Input&)) {
    for (const Input* input : root.packages) {
      op.check();
      (merger.*step)(*input);
    }
  };
  for_each_package(&Merger::add_directories);
  for_each_package(&Merger::add_symlinks);
  merger.add_aliases();
  merger.move_what_stands_below_links();
  // Links are final here: files go where they lead.
  for_each_package(&Merger::add_files);
  for_each_package(&Merger::add_hard_links);
}

void add_extra_files(Root& root) {
  for (const ExtraFile& extra : root.request.extra) {
    const fs::RootPath at = root.canonical(without_alias(extra.path));
    fs::FileEntry entry = extra.entry;
    entry.mtime = root.clamp(entry.mtime);
    entry.package.clear();
    if (!entry.reason) {
      entry.reason = fs::Reason{"file", "asked for by the user"};
    }
    if (const fs::FileEntry* existing = root.tree.find(at)) {
      if ((existing->type == fs::FileType::directory) != (entry.type == fs::FileType::directory)) {
        throw Error(ErrorCode::invalid_input,
                    fmt::format("cannot add '{}': one of it and what {} has there is a directory",
                                at.to_string(), article(existing->package)));
      }
      if (entry.type != fs::FileType::directory && !existing->package.empty()) {
        root.dropped.push_back(
            {at.to_string(), existing->package, existing->size(), "replaced by the user's file"});
      }
    }
    root.tree.put(at, std::move(entry));
  }
}

} // namespace aipack::rootfs
