#include "aipack/fs/file_tree.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <deque>
#include <utility>

#include <fmt/format.h>

namespace aipack::fs {

namespace {

/// Walks names through the symlinks of a tree, as the kernel does in a chroot (path_resolution(7)).
class Walk {
public:
  Walk(const FileTree& tree, std::vector<RootPath>* visited) : tree_(tree), visited_(visited) {}

  /// False: the path leads nowhere (a missing entry, a file used as a directory, too many
  /// symlinks).
  bool run(const RootPath& path, bool follow_last) {
    must_exist_ = follow_last;
    push_front(path.text());
    while (!parts_.empty()) {
      const std::string part = std::move(parts_.front());
      parts_.pop_front();
      if (!step(part, follow_last || !parts_.empty())) {
        return false;
      }
    }
    return true;
  }

  [[nodiscard]] const RootPath& position() const noexcept { return position_; }

private:
  bool step(const std::string& part, bool follow) {
    if (part == "..") {
      position_ = position_.parent(); // the root's ".." is the root
      return true;
    }
    const auto child =
        RootPath::try_parse(position_.is_root() ? part : position_.text() + "/" + part);
    if (!child) {
      return false;
    }
    const FileEntry* entry = tree_.find(*child);
    if (entry == nullptr) {
      // Directories may be implied by what stands below them. Who asks for the name of an entry may
      // ask before its directories came; who asks where a path leads may not.
      if (must_exist_ && !is_implied_directory(*child)) {
        return false;
      }
    } else if (entry->type == FileType::symlink && follow) {
      return follow_link(*child, entry->link_target);
    } else if (entry->type != FileType::directory && !parts_.empty()) {
      return false;
    }
    position_ = *child;
    return true;
  }

  bool follow_link(const RootPath& link, std::string_view target) {
    if (++followed_ > FileTree::max_symlinks || target.empty() ||
        target.size() > RootPath::max_bytes) {
      return false;
    }
    if (visited_ != nullptr) {
      visited_->push_back(link);
    }
    if (target.starts_with('/')) {
      position_ = RootPath();
    }
    push_front(target);
    return true;
  }

  void push_front(std::string_view path) {
    std::vector<std::string> parts;
    for (const auto part : split(path, '/')) {
      if (!part.empty() && part != ".") {
        parts.emplace_back(part);
      }
    }
    parts_.insert(parts_.begin(), parts.begin(), parts.end());
  }

  [[nodiscard]] bool is_implied_directory(const RootPath& path) const {
    const auto next = tree_.entries().upper_bound(path);
    return next != tree_.entries().end() && next->first.is_within(path);
  }

  const FileTree& tree_;
  std::vector<RootPath>* visited_;
  std::deque<std::string> parts_;
  RootPath position_;
  unsigned followed_ = 0;
  bool must_exist_ = true;
};

} // namespace

const FileEntry* FileTree::find(const RootPath& path) const {
  const auto found = entries_.find(path);
  return found == entries_.end() ? nullptr : &found->second;
}

FileEntry* FileTree::find(const RootPath& path) {
  const auto found = entries_.find(path);
  return found == entries_.end() ? nullptr : &found->second;
}

FileEntry& FileTree::put(const RootPath& path, FileEntry entry) {
  return entries_.insert_or_assign(path, std::move(entry)).first->second;
}

bool FileTree::erase(const RootPath& path) {
  return entries_.erase(path) != 0;
}

void FileTree::add_missing_parents(std::int64_t mtime) {
  // Upwards from each entry until an ancestor is there already; a new directory is inserted before
  // the entry that needs it, so the loop does not meet it again.
  for (const auto& [path, entry] : entries_) {
    for (RootPath parent = path.parent(); !parent.is_root(); parent = parent.parent()) {
      const auto [place, added] = entries_.try_emplace(
          parent, FileEntry{.type = FileType::directory, .mode = 0755, .mtime = mtime});
      if (!added) {
        if (place->second.type != FileType::directory) {
          throw Error(ErrorCode::invalid_input,
                      fmt::format("cannot add {}: {} is not a directory", quoted(path.to_string()),
                                  quoted(parent.to_string())));
        }
        break;
      }
    }
  }
}

std::optional<RootPath> FileTree::resolve(const RootPath& path,
                                          std::vector<RootPath>* visited) const {
  Walk walk(*this, visited);
  return walk.run(path, true) ? std::optional(walk.position()) : std::nullopt;
}

std::optional<RootPath> FileTree::resolve_parent(const RootPath& path,
                                                 std::vector<RootPath>* visited) const {
  Walk walk(*this, visited);
  return walk.run(path, false) ? std::optional(walk.position()) : std::nullopt;
}

std::vector<RootPath> FileTree::children(const RootPath& directory) const {
  std::vector<RootPath> found;
  auto next = entries_.upper_bound(directory);
  while (next != entries_.end() && next->first.is_within(directory)) {
    // A name deeper down is inside a child that has no entry of its own: only entries are listed.
    if (next->first.parent() == directory) {
      found.push_back(next->first);
    }
    ++next;
  }
  return found;
}

} // namespace aipack::fs
