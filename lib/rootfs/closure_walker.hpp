#pragma once

#include "aipack/core/operation.hpp"
#include "aipack/rootfs/closure.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::rootfs {

/// Walks the closure; roots may be added after a walk, and only what is new is read. See
/// elf_closure().
class ClosureWalker {
public:
  ClosureWalker(const fs::FileTree& tree, elf::Machine machine, std::string_view triplet,
                const Operation& op);

  /// Throws Error{not_found}, Error{unsupported} or Error{corrupt} for what is no program or
  /// library of the machine.
  void add_root(const fs::RootPath& path, const fs::Reason& reason);
  /// Reads everything that is reached from the roots so far.
  void walk();
  /// Whether a library of that name was reached.
  [[nodiscard]] bool has(std::string_view soname) const;
  /// What was read of a root, or null when it is no object of the machine.
  [[nodiscard]] const elf::Object* object_of(const fs::RootPath& path) const;
  /// Where the loader would find `name` without any search path of an object.
  [[nodiscard]] std::optional<fs::RootPath> find_by_default(std::string_view name);
  /// Sorted by path; checks symbol versions first.
  [[nodiscard]] Closure take();

private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  struct Node {
    fs::RootPath path;
    fs::RootPath opened_as; ///< before symlinks of the last part: $ORIGIN is its directory
    elf::Object object;
    fs::Reason reason;
    std::size_t loader = none;
    std::vector<fs::RootPath> links;
    std::map<std::string, std::size_t> resolved; ///< DT_NEEDED → node
  };
  struct Found {
    fs::RootPath path;
    fs::RootPath opened_as;
    std::vector<fs::RootPath> links;
  };
  struct Wanted {
    std::string name;
    fs::Reason reason;
    bool required = true;
  };

  [[nodiscard]] const std::optional<elf::Object>& object_at(const fs::RootPath& path);
  [[nodiscard]] std::optional<Found> candidate(const fs::RootPath& path);
  [[nodiscard]] std::optional<Found> find_in(std::string_view directory, std::string_view name,
                                             std::vector<Found>& variants);
  [[nodiscard]] std::optional<Found> find(std::size_t node, const std::string& name,
                                          std::vector<Found>& variants);
  [[nodiscard]] std::vector<std::string> search_path(std::size_t node) const;
  [[nodiscard]] std::vector<std::string> expand(std::string_view path_list,
                                                const fs::RootPath& opened_as) const;
  [[nodiscard]] std::optional<std::string> expand_one(std::string_view text,
                                                      const fs::RootPath& opened_as) const;
  [[nodiscard]] const std::vector<std::string>& hwcaps_of(const std::string& directory);
  std::size_t add(const Found& found, const fs::Reason& reason, std::size_t loader);
  void visit(std::size_t node);
  void follow(std::size_t node, const Wanted& wanted);
  void follow_interpreter(std::size_t node);
  void follow_notes(std::size_t node);
  void resolve_late();
  void check_versions() const;
  [[nodiscard]] std::vector<fs::RootPath> chain_of(std::size_t node) const;

  const fs::FileTree& tree_;
  elf::Machine machine_;
  std::string triplet_;
  const Operation& op_;
  std::vector<std::string> cached_;
  std::vector<std::string> defaults_;
  std::deque<Node> nodes_;
  std::map<fs::RootPath, std::size_t> index_;
  std::map<fs::RootPath, std::optional<elf::Object>> objects_;
  std::map<std::string, std::vector<std::string>> hwcaps_;
  std::vector<std::pair<std::size_t, Wanted>> unresolved_;
  std::size_t next_ = 0;
};

/// True for a library that the container toolkit of a GPU driver injects: it must not be in an
/// image (model analysis, section 5.8).
[[nodiscard]] bool is_injected_by_driver(std::string_view soname) noexcept;

} // namespace aipack::rootfs
