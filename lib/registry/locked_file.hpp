#pragma once

#include "aipack/core/operation.hpp"
#include "aipack/io/file.hpp"

#include <chrono>
#include <filesystem>
#include <optional>

namespace aipack::registry {

/// A private file (mode 0600) that one at a time works on, threads and processes alike: state of an
/// unfinished transfer. Who is done removes or renames it under the lock, so that an opener makes
/// sure that what it locked still has the name. The lock ends with the object or with the process,
/// however that ends.
class LockedFile {
public:
  /// Makes the file (not its directory) when it is missing. Empty: someone else works on it.
  [[nodiscard]] static std::optional<LockedFile> try_open(const std::filesystem::path& path);
  /// The same, but never makes one; empty also when there is none.
  [[nodiscard]] static std::optional<LockedFile>
  try_open_existing(const std::filesystem::path& path);
  /// Waits for the other, asking `op` several times a second.
  [[nodiscard]] static LockedFile open(const std::filesystem::path& path, const Operation& op);

  [[nodiscard]] io::File& file() noexcept { return file_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  void remove() noexcept;

private:
  LockedFile(io::File file, std::filesystem::path path) noexcept
      : file_(std::move(file)), path_(std::move(path)) {}
  static std::optional<LockedFile> try_open(const std::filesystem::path& path, int flags);

  io::File file_;
  std::filesystem::path path_;
};

/// Removes regular files directly inside `directory` that nobody has touched for `age` and nobody
/// works on: what is left of transfers that were never taken up again. Failing to is no error.
void remove_older_than(const std::filesystem::path& directory, std::chrono::hours age) noexcept;

/// What is left of a transfer is kept this long. Registries forget upload sessions sooner (the
/// reference implementation purges after a week).
inline constexpr std::chrono::hours keep_unfinished{7 * 24};

} // namespace aipack::registry
