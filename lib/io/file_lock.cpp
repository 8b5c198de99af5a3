#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/temp_file.hpp"

#include "retry.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

// flock(2): the lock belongs to the open file, so that it also holds between threads and ends with
// the process, however it ends.
//
// A lock counts only while its file stands under its name. Whoever waits for one that is removed
// when it ends gets a lock on a file without a name, while a third may already hold the one of a
// new file under the same name: so the name is looked at once more after locking, and a lock on
// anything else is given up. Only the holder of a lock that counts removes the file.

namespace aipack::io {

namespace {

File open_lock_file(const std::filesystem::path& path) {
  const int fd = retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); });
  if (fd < 0) {
    throw_errno("lock " + quoted(path.string()), errno);
  }
  return {fd, path.string()};
}

bool stands_under(const std::filesystem::path& path, const File& file) noexcept {
  struct stat named {};
  struct stat open {};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(file.fd(), &open) == 0 &&
         named.st_dev == open.st_dev && named.st_ino == open.st_ino;
}

/// Waits for the lock on `file`.
void lock(const File& file, const Operation& op) {
  using namespace std::chrono_literals;
  std::mutex mutex;
  std::condition_variable_any wake;
  // Most locks are short: the first looks come soon after each other.
  for (auto pause = 1ms;; pause = std::min<std::chrono::milliseconds>(pause * 2, 250ms)) {
    op.check();
    if (retry([&] { return ::flock(file.fd(), LOCK_EX | LOCK_NB); }) == 0) {
      return;
    }
    if (errno != EWOULDBLOCK) {
      throw_errno("lock " + quoted(file.name()), errno);
    }
    // Sleeps; a stop request ends it at once.
    std::unique_lock sleeping(mutex);
    wake.wait_for(sleeping, op.stop, pause, [] { return false; });
  }
}

} // namespace

FileLock::FileLock(std::filesystem::path path, const Operation& op, Afterwards afterwards)
    : path_(std::move(path)), file_(open_lock_file(path_)), afterwards_(afterwards) {
  for (lock(file_, op); !stands_under(path_, file_); lock(file_, op)) {
    file_ = open_lock_file(path_);
  }
}

FileLock::~FileLock() {
  if (afterwards_ == Afterwards::remove && stands_under(path_, file_)) {
    ::unlink(path_.c_str());
  }
}

} // namespace aipack::io
