#pragma once

#include "aipack/elf/object.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/oci/platform.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::rootfs {

/// The root while it is being composed. Every file of every package is in `tree` until the end; an
/// entry is kept when it has a reason.
struct Root {
  const Request& request;
  oci::ArchitectureNames names;
  elf::Machine machine;
  std::vector<const Input*>
      packages; ///< base-files first, then by name: who comes first decides shared directories
  fs::FileTree tree{};
  std::vector<Dropped> dropped{}; ///< files that lost their path to another package's
  std::set<std::string> notes{};
  std::map<fs::RootPath, std::string> unknown_owners{}; ///< an error once such a file is kept
  std::map<fs::RootPath, std::uint32_t> cleared_bits{}; ///< setuid and setgid of regular files
  std::set<const fs::Content*> hard_linked{};           ///< contents with more than one name
  std::map<fs::RootPath, std::string>
      merged_into{}; ///< path → the generated file that holds its content

  [[nodiscard]] const Input* find_package(std::string_view name) const;
  /// `name` when that package is among the inputs, else empty: generated files belong to the
  /// package whose script would have made them.
  [[nodiscard]] std::string owner(std::string_view name) const {
    return find_package(name) != nullptr ? std::string(name) : std::string();
  }

  /// Where the file called `path` stands: aliases and symlinked directories resolved, the last part
  /// as it is.
  [[nodiscard]] fs::RootPath canonical(const fs::RootPath& path) const;

  /// Gives an entry its reason unless it has one. The entry must exist.
  void keep(const fs::RootPath& path, const fs::Reason& reason);
  /// The same for what `path` leads to, and for the symlinks on the way. False when it leads
  /// nowhere.
  bool keep_resolved(const fs::RootPath& path, const fs::Reason& reason);
  [[nodiscard]] bool is_kept(const fs::RootPath& path) const;

  void generate_file(std::string_view path, std::string text, const fs::Reason& reason,
                     std::string_view package = {});
  void generate_link(std::string_view path, std::string target, const fs::Reason& reason,
                     std::string_view package = {});
  /// Makes or keeps a directory; mode and owner are set only on one that no package has, or when
  /// `force`.
  void generate_directory(std::string_view path, std::uint32_t mode, const fs::Reason& reason,
                          std::string_view package = {}, bool force = false);

  /// Small text content of an entry that must be a regular file.
  [[nodiscard]] std::string text_of(const fs::RootPath& path) const;
  [[nodiscard]] std::int64_t clamp(std::int64_t mtime) const noexcept;
};

/// Limit of the small files that composing reads: configuration, certificates, scripts.
inline constexpr std::uint64_t max_text_bytes = std::uint64_t{16} << 20;

/// '*' and '?' match within one part, a part "**" any number of parts, none included; everything
/// else is literal.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view path);
[[nodiscard]] bool is_glob(std::string_view pattern) noexcept;

} // namespace aipack::rootfs
