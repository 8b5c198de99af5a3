#include "quiet_stderr.hpp"

#include <cstdio>
#include <mutex>

#include <unistd.h>

namespace aipack::deb {
namespace {

thread_local unsigned quiet_depth = 0;

#if defined(__GLIBC__)

ssize_t write_unless_quiet(void*, const char* bytes, std::size_t size) {
  if (quiet_depth > 0) {
    return static_cast<ssize_t>(size);
  }
  return ::write(STDERR_FILENO, bytes, size);
}

/// Made once and never closed: another thread may have loaded the pointer just before it was
/// changed back.
std::FILE* filtered_stream() {
  static std::FILE* const stream = [] {
    cookie_io_functions_t functions{};
    functions.write = &write_unless_quiet;
    std::FILE* const file = ::fopencookie(nullptr, "w", functions);
    if (file != nullptr) {
      std::setvbuf(file, nullptr, _IONBF, 0);
    }
    return file;
  }();
  return stream;
}

struct Exchanged {
  std::mutex mutex;
  unsigned users = 0;
  std::FILE* original = nullptr;
};

Exchanged& exchanged() {
  static Exchanged state;
  return state;
}

void begin() {
  auto& state = exchanged();
  const std::lock_guard lock(state.mutex);
  std::FILE* const filtered = filtered_stream();
  if (state.users++ == 0 && filtered != nullptr) {
    state.original = stderr;
    stderr = filtered;
  }
}

void end() {
  auto& state = exchanged();
  const std::lock_guard lock(state.mutex);
  if (--state.users == 0 && state.original != nullptr) {
    stderr = state.original;
    state.original = nullptr;
  }
}

#else

void begin() {}
void end() {}

#endif

} // namespace

QuietStderr::QuietStderr() {
  ++quiet_depth;
  begin();
}

QuietStderr::~QuietStderr() {
  end();
  --quiet_depth;
}

} // namespace aipack::deb
