#pragma once

#include "aipack/core/export.hpp"
#include "aipack/io/file.hpp"

#include <filesystem>
#include <span>
#include <string>

namespace aipack::io {

/// Whether data must survive a power cut before the call returns.
enum class Durability { cached, synced };

/// A file that appears whole under its final name, or not at all. Uses an unnamed inode (O_TMPFILE)
/// where the file system has them, so that not even SIGKILL leaves anything behind; else a
/// `.aipack-tmp-*` name that the destructor removes.
class AIPACK_API TempFile final : public ByteSink {
public:
  /// `directory` must exist and be on the file system of the final name.
  explicit TempFile(const std::filesystem::path& directory);
  ~TempFile() override;
  TempFile(TempFile&&) = delete;

  [[nodiscard]] File& file() noexcept { return file_; }
  void write(std::span<const std::byte> bytes) override { file_.write(bytes); }

  /// Gives the file its final name. When `path` exists already it is left alone (`keep`: right for
  /// content-addressed names) or replaced atomically (`replace`).
  enum class IfExists { keep, replace };
  void commit(const std::filesystem::path& path, IfExists if_exists, Durability durability,
              unsigned mode = 0644);

private:
  std::filesystem::path directory_;
  std::filesystem::path name_; ///< empty: an unnamed inode
  File file_;
};

/// Replaces `path` atomically by `bytes`, creating parent directories.
AIPACK_API void write_file_atomically(const std::filesystem::path& path,
                                      std::span<const std::byte> bytes,
                                      Durability durability = Durability::cached,
                                      unsigned mode = 0644);

/// A directory that is removed with everything in it.
class AIPACK_API TempDirectory {
public:
  explicit TempDirectory(
      const std::filesystem::path& parent = std::filesystem::temp_directory_path());
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  std::filesystem::path path_;
};

/// An exclusive lock between processes and threads, held until destruction; waits, asking `op` at
/// least four times a second.
class AIPACK_API FileLock {
public:
  /// What becomes of the lock file when the lock ends. `remove` suits locks of which there are many
  /// (one per download); all who lock the file must say so.
  enum class Afterwards { keep, remove };
  FileLock(std::filesystem::path path, const Operation& op,
           Afterwards afterwards = Afterwards::keep);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

private:
  std::filesystem::path path_;
  File file_;
  Afterwards afterwards_;
};

} // namespace aipack::io
