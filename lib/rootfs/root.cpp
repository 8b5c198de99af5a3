#include "root.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/byte_stream.hpp"

#include <algorithm>
#include <utility>

namespace aipack::rootfs {

const Input* Root::find_package(std::string_view name) const {
  const auto found = std::find_if(packages.begin(), packages.end(),
                                  [&](const Input* input) { return input->package.name == name; });
  return found == packages.end() ? nullptr : *found;
}

fs::RootPath Root::canonical(const fs::RootPath& path) const {
  if (path.is_root()) {
    return path;
  }
  if (const auto found = tree.resolve_parent(path)) {
    return *found;
  }
  return canonical(path.parent()) / path.filename(); // in a directory that does not exist yet
}

void Root::keep(const fs::RootPath& path, const fs::Reason& reason) {
  fs::FileEntry* entry = tree.find(path);
  if (entry != nullptr && !entry->reason) {
    entry->reason = reason;
  }
}

bool Root::keep_resolved(const fs::RootPath& path, const fs::Reason& reason) {
  std::vector<fs::RootPath> links;
  const auto target = tree.resolve(path, &links);
  if (!target) {
    return false;
  }
  for (const auto& link : links) {
    keep(link, {"link", "leads to " + target->to_string(), reason.from});
  }
  keep(*target, reason);
  return true;
}

bool Root::is_kept(const fs::RootPath& path) const {
  const fs::FileEntry* entry = tree.find(path);
  return entry != nullptr && entry->reason.has_value();
}

namespace {

/// True where the user put a file of their own: it wins over what would be generated.
bool is_the_users(const fs::FileTree& tree, const fs::RootPath& path) {
  const fs::FileEntry* entry = tree.find(path);
  return entry != nullptr && entry->package.empty() && entry->reason &&
         entry->reason->rule == "file" && entry->type != fs::FileType::directory;
}

} // namespace

void Root::generate_file(std::string_view path, std::string text, const fs::Reason& reason,
                         std::string_view package) {
  const fs::RootPath at = canonical(fs::RootPath::parse(path));
  if (is_the_users(tree, at)) {
    return;
  }
  tree.put(at, {.type = fs::FileType::regular,
                .mode = 0644,
                .mtime = request.epoch,
                .content = fs::memory_content(std::move(text)),
                .package = owner(package),
                .reason = reason});
}

void Root::generate_link(std::string_view path, std::string target, const fs::Reason& reason,
                         std::string_view package) {
  const fs::RootPath at = canonical(fs::RootPath::parse(path));
  if (is_the_users(tree, at)) {
    return;
  }
  tree.put(at, {.type = fs::FileType::symlink,
                .mode = 0777,
                .mtime = request.epoch,
                .link_target = std::move(target),
                .package = owner(package),
                .reason = reason});
}

void Root::generate_directory(std::string_view path, std::uint32_t mode, const fs::Reason& reason,
                              std::string_view package, bool force) {
  const fs::RootPath at = canonical(fs::RootPath::parse(path));
  fs::FileEntry* entry = tree.find(at);
  if (entry == nullptr) {
    tree.put(at, {.type = fs::FileType::directory,
                  .mode = mode,
                  .mtime = request.epoch,
                  .package = owner(package),
                  .reason = reason});
    return;
  }
  if (force) {
    entry->mode = mode;
  }
  keep(at, reason);
}

std::string Root::text_of(const fs::RootPath& path) const {
  const fs::FileEntry* entry = tree.find(path);
  if (entry == nullptr || !entry->content) {
    throw Error(ErrorCode::not_found, "cannot read " + quoted(path.to_string()) +
                                          ": no regular file of that name in the root");
  }
  const auto source = entry->content->open();
  return io::read_text(*source, max_text_bytes, path.to_string());
}

std::int64_t Root::clamp(std::int64_t mtime) const noexcept {
  return std::clamp<std::int64_t>(mtime, 0, std::max<std::int64_t>(request.epoch, 0));
}

bool is_glob(std::string_view pattern) noexcept {
  return pattern.find_first_of("*?") != std::string_view::npos;
}

namespace {

/// One part against one pattern part.
bool part_matches(std::string_view pattern, std::string_view part) noexcept {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_at = 0;
  while (t < part.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_at = t;
    } else if (p < pattern.size() && (pattern[p] == part[t] || pattern[p] == '?')) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_at;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') {
    ++p;
  }
  return p == pattern.size();
}

} // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
  const std::string_view literal = pattern.substr(0, pattern.find_first_of("*?"));
  if (literal.size() == pattern.size()) {
    return pattern == path;
  }
  if (const auto whole = literal.substr(0, literal.rfind('/') + 1);
      !path.starts_with(whole) && path != whole.substr(0, whole.size() - 1)) {
    return false; // most paths end here
  }
  const std::vector<std::string_view> wanted = split(pattern, '/');
  const std::vector<std::string_view> parts = split(path, '/');
  // reachable[i]: the pattern parts seen so far match the first i parts of the path.
  std::vector<char> reachable(parts.size() + 1, 0);
  reachable[0] = 1;
  for (const std::string_view part : wanted) {
    std::vector<char> next(parts.size() + 1, 0);
    bool any = false;
    for (std::size_t i = 0; i <= parts.size(); ++i) {
      if (part == "**") {
        any = any || reachable[i] != 0;
        next[i] = any ? 1 : 0;
      } else if (i > 0 && reachable[i - 1] != 0 && part_matches(part, parts[i - 1])) {
        next[i] = 1;
      }
    }
    reachable = std::move(next);
  }
  return reachable.back() != 0;
}

} // namespace aipack::rootfs
