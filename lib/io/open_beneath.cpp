#include "open_beneath.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include "retry.hpp"

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace aipack::io {

namespace {

/// The parts of a relative name that may be followed beneath a directory; throws for one that may
/// not.
std::vector<std::string> checked_parts(std::string_view relative) {
  const auto refuse = [&](std::string_view cause) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot open {}: {}", quoted(relative), cause));
  };
  if (relative.empty()) {
    refuse("the name is empty");
  }
  if (relative.front() == '/') {
    refuse("the name is absolute");
  }
  if (relative.find('\0') != std::string_view::npos) {
    refuse("the name contains a NUL byte");
  }
  std::vector<std::string> parts;
  for (const auto part : split(relative, '/')) {
    if (part == "..") {
      refuse("the name contains '..'");
    }
    if (!part.empty() && part != ".") {
      parts.emplace_back(part);
    }
  }
  if (parts.empty() || relative.back() == '/') {
    refuse("the name is a directory's");
  }
  return parts;
}

/// O_NONBLOCK: opening a FIFO must fail the regular-file check below, not wait for a writer.
constexpr int beneath_flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;

/// openat2(2), Linux 5.6. Returns -1 with errno ENOSYS or EPERM where the kernel or a seccomp
/// filter does not have it.
int open_beneath_openat2(int directory, const std::string& relative) {
  struct open_how how {};
  how.flags = beneath_flags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return retry([&] {
    return static_cast<int>(::syscall(SYS_openat2, directory, relative.c_str(), &how, sizeof(how)));
  });
}

bool is_symlink(int directory, const std::string& part) noexcept {
  struct stat info {};
  return ::fstatat(directory, part.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISLNK(info.st_mode);
}

} // namespace

int open_beneath_by_parts(int directory, std::span<const std::string> parts) {
  int current = directory;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const int flags = last ? beneath_flags : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const int next = retry([&] { return ::openat(current, parts[i].c_str(), flags); });
    int error = errno;
    if (next < 0 && error == ENOTDIR && is_symlink(current, parts[i])) {
      error = ELOOP; // openat2's word; O_DIRECTORY hides that O_NOFOLLOW was the reason
    }
    if (current != directory) {
      ::close(current);
    }
    if (next < 0) {
      errno = error;
      return -1;
    }
    current = next;
  }
  return current;
}

File File::open_beneath(const std::filesystem::path& directory, std::string_view relative) {
  const auto parts = checked_parts(relative);
  const std::string name = (directory / relative).string();
  const File root(
      retry([&] { return ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }),
      directory.string());
  if (root.fd() < 0) {
    throw_errno("open " + quoted(directory.string()), errno);
  }
  int fd = open_beneath_openat2(root.fd(), std::string(relative));
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
    fd = open_beneath_by_parts(root.fd(), parts);
  }
  if (fd < 0) {
    if (errno == ELOOP || errno == EXDEV) {
      throw Error(
          ErrorCode::invalid_input,
          fmt::format("cannot open {}: a part of the name is a symbolic link", quoted(name)));
    }
    throw_errno("open " + quoted(name), errno);
  }
  File file(fd, name);
  if (!file.is_regular()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot open {}: not a regular file", quoted(name)));
  }
  return file;
}

} // namespace aipack::io
