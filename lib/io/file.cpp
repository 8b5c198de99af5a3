#include "aipack/io/file.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "retry.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aipack::io {

namespace {

/// The kernel moves at most this much in one call (read(2), "On Linux" 0x7ffff000), rounded down to
/// a power of two.
constexpr std::size_t max_transfer_bytes = std::size_t{1} << 30;

struct stat stat_of(const File& file) {
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) {
    throw_errno("examine " + quoted(file.name()), errno);
  }
  return info;
}

std::int64_t nanoseconds(const struct timespec& time) noexcept {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + std::int64_t{time.tv_nsec};
}

/// off_t is signed: an offset from a hostile header must not turn negative.
off_t checked_offset(const File& file, std::uint64_t offset) {
  if (offset > static_cast<std::uint64_t>(INT64_MAX)) {
    throw Error(ErrorCode::corrupt, fmt::format("cannot read {}: offset {} is past any file's end",
                                                quoted(file.name()), offset));
  }
  return static_cast<off_t>(offset);
}

/// Hands all of `bytes` to `write_some`, which takes a part and says how much.
template <class WriteSome>
void write_fully(const File& file, std::span<const std::byte> bytes, WriteSome write_some) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), max_transfer_bytes));
    const ssize_t count = retry([&] { return write_some(part); });
    if (count < 0) {
      throw_errno("write " + quoted(file.name()), errno);
    }
    if (count == 0) {
      throw_errno("write " + quoted(file.name()), EIO);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

} // namespace

File File::open(const std::filesystem::path& path) {
  const int fd = retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
  if (fd < 0) {
    throw_errno("open " + quoted(path.string()), errno);
  }
  return {fd, path.string()};
}

File::File(int fd, std::string name) noexcept : fd_(fd), name_(std::move(name)) {}

File::File(File&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(name_, other.name_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) {
    ::close(fd_); // what matters was sync()ed or write()n with an answer before
  }
}

FileIdentity File::identity() const {
  const auto info = stat_of(*this);
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size_bytes = static_cast<std::uint64_t>(info.st_size),
          .mtime_ns = nanoseconds(info.st_mtim),
          .ctime_ns = nanoseconds(info.st_ctim)};
}

bool File::is_regular() const {
  return S_ISREG(stat_of(*this).st_mode);
}

std::uint64_t File::link_count() const {
  return stat_of(*this).st_nlink;
}

std::size_t File::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  const off_t at = checked_offset(*this, offset);
  const std::size_t length = std::min(into.size(), max_transfer_bytes);
  const ssize_t count = retry([&] { return ::pread(fd_, into.data(), length, at); });
  if (count < 0) {
    throw_errno("read " + quoted(name_), errno);
  }
  return static_cast<std::size_t>(count);
}

void File::write(std::span<const std::byte> bytes) {
  write_fully(*this, bytes, [&](auto part) { return ::write(fd_, part.data(), part.size()); });
}

void File::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  off_t at = checked_offset(*this, offset);
  write_fully(*this, bytes, [&](auto part) {
    const ssize_t count = ::pwrite(fd_, part.data(), part.size(), at);
    at += std::max<ssize_t>(count, 0);
    return count;
  });
}

void File::sync() const {
  if (retry([&] { return ::fdatasync(fd_); }) != 0) {
    throw_errno("write " + quoted(name_) + " to the disk", errno);
  }
}

std::size_t FileSource::read(std::span<std::byte> into) {
  const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), rest_));
  if (length == 0) {
    return 0;
  }
  const std::size_t count = file_->read_at(offset_, into.first(length));
  offset_ += count;
  rest_ -= count;
  return count;
}

void FileAccess::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const std::size_t count = file_->read_at(offset, into);
    if (count == 0) {
      throw FormatError(file_->name(), offset, "the file ends too early");
    }
    offset += count;
    into = into.subspan(count);
  }
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t limit) {
  FileSource source(path);
  return read_text(source, limit, quoted(path.string()));
}

std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t limit) {
  FileSource source(path);
  return read_all(source, limit, quoted(path.string()));
}

} // namespace aipack::io
