#include "aipack/io/temp_file.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "retry.hpp"
#include "temp_name.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aipack::io {

std::filesystem::path temp_name(const std::filesystem::path& directory) {
  std::uint64_t number = 0;
  // Names only need to differ; O_EXCL and EEXIST make sure that they do. Before the kernel has
  // entropy, time and pid would not differ more.
  if (::getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number)) {
    static std::atomic<std::uint64_t> counter{0};
    number = (static_cast<std::uint64_t>(::getpid()) << 32) + counter.fetch_add(1);
  }
  return directory / fmt::format("{}{:016x}", temp_prefix, number);
}

NamedFile create_named(const std::filesystem::path& directory) {
  for (;;) {
    auto name = temp_name(directory);
    const int fd =
        retry([&] { return ::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); });
    if (fd >= 0) {
      return {File(fd, name.string()), std::move(name)};
    }
    if (errno != EEXIST) {
      throw_errno("create a file in " + quoted(directory.string()), errno);
    }
  }
}

// renameat2(2) is one step; file systems without RENAME_NOREPLACE get link and unlink, which is as
// atomic: link(2) never replaces.
bool rename_keeping(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    return true;
  }
  if (errno == EINVAL || errno == ENOSYS || errno == EPERM) {
    if (::link(from.c_str(), to.c_str()) == 0) {
      ::unlink(from.c_str());
      return true;
    }
  }
  if (errno == EEXIST) {
    return false;
  }
  throw_errno("create " + quoted(to.string()), errno);
}

namespace {

/// An unnamed inode (O_TMPFILE, open(2)) where the file system has them and /proc can give it a
/// name later.
NamedFile open_temporary(const std::filesystem::path& directory) {
  const int fd =
      retry([&] { return ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); });
  if (fd < 0) {
    // EOPNOTSUPP: the file system; EISDIR, ENOENT: kernels before 3.11. What else is wrong shows
    // again, and is reported, below.
    return create_named(directory);
  }
  File file(fd, (directory / "(new file)").string());
  if (::access(fmt::format("/proc/self/fd/{}", fd).c_str(), F_OK) != 0) {
    return create_named(directory);
  }
  return {std::move(file), {}};
}

/// Gives the unnamed inode a name; false: the name exists.
bool link_unnamed(const File& file, const std::filesystem::path& path) {
  const auto self = fmt::format("/proc/self/fd/{}", file.fd());
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) {
    return true;
  }
  if (errno == EEXIST) {
    return false;
  }
  throw_errno("create " + quoted(path.string()), errno);
}

void rename_over(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    throw_errno("create " + quoted(to.string()), errno);
  }
}

/// A new name is durable once its directory is.
void sync_directory(const std::filesystem::path& directory) {
  const File file(
      retry([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }),
      directory.string());
  if (file.fd() < 0) {
    throw_errno("open " + quoted(directory.string()), errno);
  }
  if (retry([&] { return ::fsync(file.fd()); }) != 0 && errno != EINVAL) {
    throw_errno("write " + quoted(directory.string()) + " to the disk", errno);
  }
}

std::filesystem::path directory_of(const std::filesystem::path& path) {
  auto parent = path.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

} // namespace

TempFile::TempFile(const std::filesystem::path& directory)
    : directory_(directory), file_(-1, std::string()) {
  auto opened = open_temporary(directory_);
  name_ = std::move(opened.name);
  file_ = std::move(opened.file);
}

TempFile::~TempFile() {
  if (!name_.empty()) {
    ::unlink(name_.c_str());
  }
}

void TempFile::commit(const std::filesystem::path& path, IfExists if_exists, Durability durability,
                      unsigned mode) {
  // fchmod, not the creation mode: what is written never depends on the umask.
  if (::fchmod(file_.fd(), static_cast<mode_t>(mode)) != 0) {
    throw_errno("set the mode of " + quoted(path.string()), errno);
  }
  if (durability == Durability::synced) {
    file_.sync();
  }
  if (if_exists == IfExists::keep) {
    if (name_.empty()) {
      link_unnamed(file_, path);
    } else if (rename_keeping(name_, path)) {
      name_.clear();
    }
  } else if (name_.empty() && link_unnamed(file_, path)) {
    // The name was free: no detour over a second name.
  } else {
    while (name_.empty()) {
      auto name = temp_name(directory_);
      if (link_unnamed(file_, name)) {
        name_ = std::move(name); // from here on the destructor removes it
      }
    }
    rename_over(name_, path);
    name_.clear();
  }
  if (durability == Durability::synced) {
    sync_directory(directory_of(path));
  }
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                           Durability durability, unsigned mode) {
  const auto directory = directory_of(path);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw_errno("create the directory " + quoted(directory.string()), error.value());
  }
  TempFile file(directory);
  file.write(bytes);
  file.commit(path, TempFile::IfExists::replace, durability, mode);
}

} // namespace aipack::io
