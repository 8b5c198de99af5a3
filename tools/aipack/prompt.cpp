#include "prompt.hpp"

#include "aipack/core/error.hpp"
#include "aipack/io/file.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

namespace aipack::cli {

namespace {

/// One line without its end; stops at the end of input.
std::string read_line(int fd, const std::string& what) {
  std::string line;
  for (char c = '\0';;) {
    const auto count = ::read(fd, &c, 1);
    if (count < 0 && errno == EINTR) {
      throw Error(ErrorCode::cancelled, fmt::format("cannot read {}: interrupted", what));
    }
    if (count < 0) {
      throw_errno(fmt::format("read {}", what), errno);
    }
    if (count == 0 || c == '\n') {
      break;
    }
    if (line.size() >= max_secret_bytes) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read {}: longer than {} bytes", what, max_secret_bytes));
    }
    line += c;
  }
  if (!line.empty() && line.back() == '\r') {
    line.pop_back();
  }
  return line;
}

/// Switches off echo while it lives.
class Silence {
public:
  explicit Silence(int fd) : fd_(fd), known_(::tcgetattr(fd, &before_) == 0) {
    if (known_) {
      auto silent = before_;
      silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
      (void)::tcsetattr(fd_, TCSAFLUSH, &silent);
    }
  }
  ~Silence() {
    if (known_) {
      (void)::tcsetattr(fd_, TCSAFLUSH, &before_);
    }
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

private:
  int fd_;
  termios before_{};
  bool known_;
};

io::File terminal(const std::string& otherwise) {
  const int fd = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    throw Error(ErrorCode::invalid_input, "cannot ask: there is no terminal").with_hint(otherwise);
  }
  return {fd, "the terminal"};
}

std::string ask(const std::string& question, const std::string& otherwise, bool silent) {
  auto tty = terminal(otherwise);
  const auto text = std::as_bytes(std::span(question));
  tty.write(text);
  std::string answer;
  if (silent) {
    const Silence silence(tty.fd());
    answer = read_line(tty.fd(), "the terminal");
    tty.write(std::as_bytes(std::span(std::string_view("\n"))));
  } else {
    answer = read_line(tty.fd(), "the terminal");
  }
  return answer;
}

} // namespace

std::string prompt(const std::string& question, const std::string& otherwise) {
  return ask(question, otherwise, false);
}

std::string prompt_secret(const std::string& question, const std::string& otherwise) {
  return ask(question, otherwise, true);
}

std::string read_secret_line() {
  auto line = read_line(STDIN_FILENO, "standard input");
  if (line.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot read a password: standard input is empty");
  }
  return line;
}

} // namespace aipack::cli
