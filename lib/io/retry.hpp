#pragma once

#include <cerrno>

namespace aipack::io {

/// Calls a system call again while a signal interrupts it.
template <class Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) {
    result = call();
  }
  return result;
}

} // namespace aipack::io
