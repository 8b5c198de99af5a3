#include "quiet_stdio.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace aipack::serve {
namespace {

inline constexpr std::size_t most_text = 2048;

void flush_all() noexcept {
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
}

void close_if_open(int& fd) noexcept {
  if (fd >= 0) {
    ::close(fd);
    fd = -1;
  }
}

} // namespace

QuietStdio::QuietStdio() noexcept {
  sink_ = ::memfd_create("aipack-serve", MFD_CLOEXEC);
  source_ = sink_;
  if (sink_ < 0) {
    // Where memory files are forbidden, a pipe that drops what does not fit. /dev/null may not
    // exist in a minimal image.
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
      return;
    }
    source_ = ends[0];
    sink_ = ends[1];
  }
  flush_all();
  for (int i = 0; i < 2; ++i) {
    saved_[i] = ::fcntl(STDOUT_FILENO + i, F_DUPFD_CLOEXEC, 3);
    ::dup2(sink_, STDOUT_FILENO + i);
  }
  active_ = true;
}

QuietStdio::~QuietStdio() {
  restore();
  if (source_ != sink_) {
    close_if_open(source_);
  }
  close_if_open(sink_);
}

void QuietStdio::restore() noexcept {
  if (!active_) {
    return;
  }
  active_ = false;
  flush_all();
  for (int i = 0; i < 2; ++i) {
    if (saved_[i] >= 0) {
      ::dup2(saved_[i], STDOUT_FILENO + i);
      close_if_open(saved_[i]);
    } else {
      ::close(STDOUT_FILENO + i); // it was closed before
    }
  }
}

std::string QuietStdio::release() {
  restore();
  std::string text;
  if (source_ < 0) {
    return text;
  }
  if (source_ == sink_) {
    const off_t size = ::lseek(source_, 0, SEEK_END);
    ::lseek(source_, std::max<off_t>(0, size - static_cast<off_t>(most_text)), SEEK_SET);
  }
  char part[512];
  for (;;) {
    const ssize_t n = ::read(source_, part, sizeof part);
    if (n <= 0) {
      break;
    }
    text.append(part, static_cast<std::size_t>(n));
  }
  return text.size() > most_text ? text.substr(text.size() - most_text) : text;
}

} // namespace aipack::serve
