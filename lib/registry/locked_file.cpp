#include "locked_file.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/http/http.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aipack::registry {
namespace {

constexpr std::chrono::milliseconds poll_interval{100};

bool has_name(const io::File& file, const std::filesystem::path& path) {
  struct stat named {};
  const io::FileIdentity opened = file.identity();
  return ::stat(path.c_str(), &named) == 0 && named.st_ino == opened.inode &&
         named.st_dev == opened.device;
}

} // namespace

std::optional<LockedFile> LockedFile::try_open(const std::filesystem::path& path, int flags) {
  for (;;) {
    int fd = -1;
    do {
      fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0 && errno == ENOENT && (flags & O_CREAT) == 0) {
      return std::nullopt;
    }
    if (fd < 0) {
      throw_errno("open " + quoted(path.string()), errno);
    }
    LockedFile locked(io::File(fd, path.string()), path);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        return std::nullopt;
      }
      throw_errno("lock " + quoted(path.string()), errno);
    }
    if (has_name(locked.file_, path)) {
      return locked;
    }
    // The one before us finished and removed it between our open and our lock.
  }
}

std::optional<LockedFile> LockedFile::try_open(const std::filesystem::path& path) {
  return try_open(path, O_CREAT);
}

std::optional<LockedFile> LockedFile::try_open_existing(const std::filesystem::path& path) {
  return try_open(path, 0);
}

LockedFile LockedFile::open(const std::filesystem::path& path, const Operation& op) {
  for (;;) {
    op.check();
    if (auto locked = try_open(path)) {
      return std::move(*locked);
    }
    http::wait(poll_interval, op);
  }
}

void LockedFile::remove() noexcept {
  ::unlink(path_.c_str());
}

void remove_older_than(const std::filesystem::path& directory, std::chrono::hours age) noexcept {
  try {
    const auto oldest = std::filesystem::file_time_type::clock::now() - age;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (!entry.is_symlink() && entry.is_regular_file() && entry.last_write_time() < oldest) {
        if (auto locked = LockedFile::try_open_existing(entry.path())) {
          locked->remove();
        }
      }
    }
  } catch (const std::exception&) {
    // Tidying up for others must not fail the work at hand.
  }
}

} // namespace aipack::registry
