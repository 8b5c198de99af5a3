#pragma once

namespace aipack::deb {

/// While one lives, what the *calling thread* prints through C's `stderr` is dropped; other threads
/// print as ever.
///
/// librnp, as Debian builds it, logs every bad signature and every malformed byte to `stderr` with
/// no way to turn it off (the log file of rnp_ffi_set_log_fd covers only a part), and a library
/// must not print. glibc's `stderr` is a variable: it is exchanged for a stream that asks a
/// thread-local flag. File descriptor 2 is not touched.
class QuietStderr {
public:
  QuietStderr();
  ~QuietStderr();
  QuietStderr(const QuietStderr&) = delete;
  QuietStderr& operator=(const QuietStderr&) = delete;
};

} // namespace aipack::deb
