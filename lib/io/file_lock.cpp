#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/temp_file.hpp"

#include "retry.hpp"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include <fcntl.h>
#include <sys/file.h>

namespace aipack::io {

namespace {

File open_lock_file(const std::filesystem::path& path) {
  const int fd = retry([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); });
  if (fd < 0) {
    throw_errno("lock " + quoted(path.string()), errno);
  }
  return {fd, path.string()};
}

} // namespace

// flock(2): the lock belongs to the open file, so that it also holds between threads and ends with
// the process, however it ends. The lock file stays: removing it would let two owners hold locks on
// two inodes of one name.
FileLock::FileLock(const std::filesystem::path& path, const Operation& op)
    : file_(open_lock_file(path)) {
  std::mutex mutex;
  std::condition_variable_any wake;
  for (;;) {
    op.check();
    if (retry([&] { return ::flock(file_.fd(), LOCK_EX | LOCK_NB); }) == 0) {
      return;
    }
    if (errno != EWOULDBLOCK) {
      throw_errno("lock " + quoted(path.string()), errno);
    }
    // Sleeps a quarter of a second; a stop request ends it at once.
    std::unique_lock lock(mutex);
    wake.wait_for(lock, op.stop, std::chrono::milliseconds(250), [] { return false; });
  }
}

} // namespace aipack::io
