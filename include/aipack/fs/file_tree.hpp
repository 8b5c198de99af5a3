#pragma once

#include "aipack/core/export.hpp"
#include "aipack/fs/root_path.hpp"
#include "aipack/io/byte_stream.hpp"
#include "aipack/io/file.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::fs {

/// The bytes of a regular file, which can be opened again and again.
struct AIPACK_API Content {
  virtual ~Content() = default;
  [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;
  [[nodiscard]] virtual std::unique_ptr<io::ByteSource> open(std::uint64_t offset = 0) const = 0;
};
using ContentPtr = std::shared_ptr<const Content>;

/// Content in memory: generated files.
[[nodiscard]] AIPACK_API ContentPtr memory_content(std::string bytes);

/// A span of a file on disk, opened anew for each reader; `identity` is what the file must still be
/// when it is read (else Error{io}: "cannot read 'x': it changed while it was being packed").
class AIPACK_API FileExtent final : public Content {
public:
  FileExtent(std::filesystem::path file, std::uint64_t offset, std::uint64_t length,
             io::FileIdentity identity);
  [[nodiscard]] std::uint64_t size() const noexcept override { return length_; }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset = 0) const override;
  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] const io::FileIdentity& identity() const noexcept { return identity_; }
  /// Throws Error{io} when the file is not what `identity()` says.
  void check_unchanged(const io::File& open_file) const;

private:
  std::filesystem::path file_;
  std::uint64_t offset_;
  std::uint64_t length_;
  io::FileIdentity identity_;
};

enum class FileType { regular, directory, symlink, hard_link };

/// Why a file is in the image: one link of the chain that `aipack why` prints.
struct Reason {
  std::string rule;   ///< "entrypoint", "needed", "dlopen", "interpreter", "link", "data",
                      ///< "generated", "model", …
  std::string detail; ///< for people: "DT_NEEDED libre2.so.11", "rule 21: CA bundle"
  std::optional<RootPath> from{}; ///< the kept file that asked for it
  bool operator==(const Reason&) const = default;
};

/// One entry of the image's file system. Owners are numbers; times are whole seconds since the
/// epoch.
struct FileEntry {
  FileType type = FileType::regular;
  std::uint32_t mode = 0644; ///< permission bits, 07777
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t mtime = 0;
  std::string link_target{}; ///< symlink: as written; hard_link: RootPath text of the first name
  ContentPtr content{};      ///< regular files
  std::string package{};     ///< Debian binary package it came from; empty: generated or the user's
  std::optional<Reason> reason{};

  [[nodiscard]] std::uint64_t size() const noexcept { return content ? content->size() : 0; }
};

/// A root file system as a sorted value: a map from path to entry in which parents precede
/// children.
class AIPACK_API FileTree {
public:
  using Entries = std::map<RootPath, FileEntry>;
  static constexpr unsigned max_symlinks = 40; ///< as the kernel's MAXSYMLINKS

  [[nodiscard]] const Entries& entries() const noexcept { return entries_; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] const FileEntry* find(const RootPath& path) const;
  [[nodiscard]] FileEntry* find(const RootPath& path);

  /// Adds or replaces. The parent need not exist yet.
  FileEntry& put(const RootPath& path, FileEntry entry);
  bool erase(const RootPath& path);
  /// Adds missing parent directories (0755, root) for every entry; throws Error{invalid_input}
  /// where a parent is not a directory.
  void add_missing_parents(std::int64_t mtime);

  /// Where `path` leads when every symlink on the way, the last part included, is followed beneath
  /// the root; empty when it leads nowhere. `visited`, if given, collects the symlink entries that
  /// were passed, in order.
  [[nodiscard]] std::optional<RootPath> resolve(const RootPath& path,
                                                std::vector<RootPath>* visited = nullptr) const;
  /// The same, but the last part is not followed, and parts that are not there yet count as
  /// directories: the canonical name under which an entry is or will be stored. Empty for a symlink
  /// loop or a path through a file.
  [[nodiscard]] std::optional<RootPath>
  resolve_parent(const RootPath& path, std::vector<RootPath>* visited = nullptr) const;

  /// Entries directly inside `directory`.
  [[nodiscard]] std::vector<RootPath> children(const RootPath& directory) const;

private:
  Entries entries_;
};

} // namespace aipack::fs
