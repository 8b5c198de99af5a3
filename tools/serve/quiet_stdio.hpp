#pragma once

#include <string>

namespace aipack::serve {

/// Holds back what the process writes to standard output and standard error, from construction to
/// release() or the destructor. Debian's ONNX Runtime writes hundreds of schema warnings ("Trying
/// to register schema ..."): on arm64 and riscv64 from static initialisers while it is loaded, on
/// all architectures when its first session is made. They are not for the container's log. Needs no
/// file system: the text goes to an anonymous memory file. *Threads*: redirects for the whole
/// process; a Logger made before is not held back.
class QuietStdio {
public:
  QuietStdio() noexcept;
  ~QuietStdio();
  QuietStdio(const QuietStdio&) = delete;
  QuietStdio& operator=(const QuietStdio&) = delete;

  /// Ends the redirection and returns the end of what was written, at most 2 KiB.
  std::string release();

private:
  void restore() noexcept;

  int sink_ = -1;   ///< where the text goes
  int source_ = -1; ///< where it can be read again; the same as sink_ for a memory file
  int saved_[2] = {-1, -1};
  bool active_ = false;
};

} // namespace aipack::serve
