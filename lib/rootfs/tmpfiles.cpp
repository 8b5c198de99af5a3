#include "aipack/core/text.hpp"

#include "accounts.hpp"
#include "aliases.hpp"
#include "skeleton.hpp"

#include <array>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

// tmpfiles.d(5): "type path mode user group age argument", "-" for a default.
constexpr std::string_view folder = "usr/lib/tmpfiles.d/";
constexpr std::size_t max_fields = 7;

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  for (std::size_t at = line.find_first_not_of(" \t");
       at != std::string_view::npos && fields.size() < max_fields;
       at = line.find_first_not_of(" \t", at)) {
    const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
    fields.push_back(line.substr(at, end - at));
    at = end;
  }
  return fields;
}

/// One line; false when it is of a kind that an image has no use for or that is not understood.
bool apply(Root& root, std::string_view line, const fs::Reason& reason,
           const std::string& package) {
  const auto fields = fields_of(line);
  const auto field = [&](std::size_t i) {
    return i < fields.size() && fields[i] != "-" ? fields[i] : std::string_view();
  };
  if (fields.size() < 2 || field(1).find('%') != std::string_view::npos) {
    return false;
  }
  const auto path = fs::RootPath::try_parse(field(1));
  if (!path || path->is_root()) {
    return false;
  }
  const fs::RootPath at = root.canonical(without_alias(*path));
  const std::string_view type = field(0);
  if (type == "L" || type == "L+" || type == "L?") {
    if (root.tree.find(at) == nullptr && !field(6).empty()) {
      root.generate_link(at.text(), std::string(field(6)), reason, package);
    }
    return !field(6).empty();
  }
  if (type.empty() || std::string_view("dDvqQ").find(type[0]) == std::string_view::npos) {
    return false;
  }
  std::string_view digits = field(2);
  while (digits.starts_with('~') || digits.starts_with(':')) {
    digits.remove_prefix(1);
  }
  std::uint32_t mode = 0755;
  const auto uid = field(3).empty() ? std::optional<std::uint32_t>(0) : static_user_id(field(3));
  const auto gid = field(4).empty() ? std::optional<std::uint32_t>(0) : static_group_id(field(4));
  const bool good_mode =
      digits.empty() ||
      (std::from_chars(digits.data(), digits.data() + digits.size(), mode, 8).ptr ==
           digits.data() + digits.size() &&
       mode <= 07777);
  if (!uid || !gid || !good_mode) {
    return false;
  }
  const fs::FileEntry* existing = root.tree.find(at);
  if (existing != nullptr && existing->type != fs::FileType::directory) {
    return false;
  }
  root.generate_directory(at.text(), mode, reason, package, true);
  fs::FileEntry& entry = *root.tree.find(at);
  entry.uid = *uid;
  entry.gid = *gid;
  return true;
}

} // namespace

void apply_tmpfiles(Root& root, const std::set<std::string>& packages_with_files) {
  std::vector<std::pair<fs::RootPath, std::string>> files;
  for (const auto& [path, entry] : root.tree.entries()) {
    if (path.text().starts_with(folder) && path.text().ends_with(".conf") && entry.content &&
        packages_with_files.contains(entry.package)) {
      files.emplace_back(path, entry.package);
    }
  }
  for (const auto& [path, package] : files) {
    const fs::Reason reason{"generated", "rule 39: tmpfiles.d of " + package};
    const std::string text = root.text_of(path);
    for (const std::string_view raw : split(text, '\n')) {
      const std::string_view line = trim(raw);
      if (!line.empty() && !line.starts_with('#') && !apply(root, line, reason, package)) {
        root.notes.insert(fmt::format("{}: {} is not applied", path.to_string(), quoted(line)));
      }
    }
  }
}

} // namespace aipack::rootfs
