#pragma once

#include "aipack/core/export.hpp"
#include "aipack/io/byte_stream.hpp"

#include <compare>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace aipack::io {

/// Which file, and which state of it: equal identities mean unchanged content (times in nanoseconds
/// since the epoch).
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  auto operator<=>(const FileIdentity&) const = default;
};

/// An open file descriptor. Move only; closes itself.
class AIPACK_API File {
public:
  /// Read only, close-on-exec. Throws Error{not_found | denied | io} "cannot open 'path': …".
  [[nodiscard]] static File open(const std::filesystem::path& path);
  /// Opens `relative` strictly beneath `directory`: no `..`, no absolute path, no symlink in any
  /// component, regular files only (openat2 RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS, with a
  /// component-wise fallback for older kernels). Throws Error{invalid_input}.
  [[nodiscard]] static File open_beneath(const std::filesystem::path& directory,
                                         std::string_view relative);

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();
  /// Takes over `fd`; `name` is what errors call it.
  File(int fd, std::string name) noexcept;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] FileIdentity identity() const;
  [[nodiscard]] std::uint64_t size() const { return identity().size_bytes; }
  [[nodiscard]] bool is_regular() const;
  /// Number of names of the inode.
  [[nodiscard]] std::uint64_t link_count() const;
  /// Up to `into.size()` bytes at `offset`; 0 at the end.
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> into) const;
  /// All of it or an exception (a full disk is Error{io} with a hint).
  void write(std::span<const std::byte> bytes);
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  void sync() const;

private:
  int fd_ = -1;
  std::string name_;
};

/// A part of a file as a stream; shares the descriptor.
class AIPACK_API FileSource final : public ByteSource {
public:
  explicit FileSource(const std::filesystem::path& path)
      : FileSource(std::make_shared<File>(File::open(path))) {}
  explicit FileSource(std::shared_ptr<const File> file, std::uint64_t offset = 0,
                      std::uint64_t length = UINT64_MAX)
      : file_(std::move(file)), offset_(offset), rest_(length) {}
  std::size_t read(std::span<std::byte> into) override;

private:
  std::shared_ptr<const File> file_;
  std::uint64_t offset_;
  std::uint64_t rest_;
};

/// A file for readers that jump about.
class AIPACK_API FileAccess final : public RandomAccess {
public:
  explicit FileAccess(std::shared_ptr<const File> file)
      : file_(std::move(file)), size_(file_->size()) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return size_; }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override;

private:
  std::shared_ptr<const File> file_;
  std::uint64_t size_;
};

/// A read-only private mapping of a whole file. The file must not shrink while it is mapped: only
/// for files in aipack's own cache, or where the caller holds the file's identity and accepts that.
class AIPACK_API Mapping {
public:
  explicit Mapping(const File& file);
  explicit Mapping(const std::filesystem::path& path) : Mapping(File::open(path)) {}
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

private:
  std::span<const std::byte> bytes_;
};

/// Whole small files, with a limit.
[[nodiscard]] AIPACK_API std::string read_text_file(const std::filesystem::path& path,
                                                    std::uint64_t limit);
[[nodiscard]] AIPACK_API std::vector<std::byte> read_file(const std::filesystem::path& path,
                                                          std::uint64_t limit);

} // namespace aipack::io
