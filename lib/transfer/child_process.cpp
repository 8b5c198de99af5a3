#include "child_process.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace aipack::transfer {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a wish to stop may go unnoticed.
constexpr std::chrono::milliseconds poll_interval{50};
/// What a program gets to clean up after its input ended early, and then after SIGTERM.
constexpr std::chrono::seconds patience{5};
constexpr std::uint64_t max_output_bytes = std::uint64_t{64} << 10;

io::File in_memory() {
  io::File file(::memfd_create("aipack-output", MFD_CLOEXEC), "(memory)");
  if (file.fd() < 0) {
    throw_errno("keep the output of a program", errno);
  }
  return file;
}

/// The last of what was written; a file in memory, so that a program never waits for its reader.
std::string output_of(const io::File& file) {
  const auto size = file.size();
  const auto start = size > max_output_bytes ? size - max_output_bytes : 0;
  std::string text(static_cast<std::size_t>(size - start), '\0');
  text.resize(file.read_at(start, std::as_writable_bytes(std::span(text))));
  return text;
}

class Spawn {
public:
  Spawn() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
    // The caller may block or ignore signals; the program starts as from a shell.
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~Spawn() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  Spawn(const Spawn&) = delete;
  Spawn& operator=(const Spawn&) = delete;

  void connect(const io::File& file, int as) {
    ::posix_spawn_file_actions_adddup2(&actions_, file.fd(), as);
  }
  pid_t run(std::vector<std::string> command) {
    std::vector<char*> arguments;
    for (auto& argument : command) {
      arguments.push_back(argument.data());
    }
    arguments.push_back(nullptr);
    pid_t pid = -1;
    const int error =
        ::posix_spawn(&pid, arguments.front(), &actions_, &attributes_, arguments.data(), environ);
    if (error != 0) {
      throw_errno(fmt::format("run {}", quoted(command.front())), error);
    }
    return pid;
  }

private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// A running program that is always waited for.
class Child {
public:
  Child(pid_t pid, io::File input) : pid_(pid), input_(std::move(input)) {}
  ~Child() {
    input_.reset();
    for (const int signal : {0, SIGTERM, SIGKILL}) {
      if (pid_ > 0 && signal != 0) {
        ::kill(pid_, signal);
      }
      const auto deadline = Clock::now() + patience;
      while (pid_ > 0 && !ended() && (signal == SIGKILL || Clock::now() < deadline)) {
        std::this_thread::sleep_for(poll_interval);
      }
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// False when the program reads no more.
  bool feed(std::span<const std::byte> bytes, const Operation& op) {
    while (!bytes.empty()) {
      const auto sent =
          ::send(input_->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent >= 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
        continue;
      }
      if (errno == EAGAIN || errno == EINTR) {
        op.check();
        pollfd writable{input_->fd(), POLLOUT, 0};
        ::poll(&writable, 1, static_cast<int>(poll_interval.count()));
        continue;
      }
      return false;
    }
    return true;
  }

  /// Its exit status, 128 + number for a signal.
  int wait(const Operation& op) {
    input_.reset();
    for (;;) {
      if (const auto status = ended()) {
        return *status;
      }
      op.check();
      std::this_thread::sleep_for(poll_interval);
    }
  }

private:
  std::optional<int> ended() {
    int status = 0;
    const pid_t pid = ::waitpid(pid_, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR)) {
      return std::nullopt;
    }
    pid_ = -1;
    if (pid < 0) {
      return 127; // somebody else waited for it: its status is not known
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  pid_t pid_;
  std::optional<io::File> input_;
};

/// A socket pair and not a pipe: writing to a program that is gone is an error, not a signal.
std::pair<io::File, io::File> input_pair() {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw_errno("feed a program", errno);
  }
  return {io::File(ends[0], "(program)"), io::File(ends[1], "(program)")};
}

/// What a person wants to see of many lines: the last that says something.
std::string last_words(const std::string& text) {
  std::string_view result;
  for (const auto line : split(text, '\n')) {
    if (!trim(line).empty()) {
      result = trim(line);
    }
  }
  return std::string(result);
}

} // namespace

std::string run_program(const std::vector<std::string>& command, io::ByteSource& input,
                        const Operation& op) {
  auto [ours, theirs] = input_pair();
  const auto output = in_memory();
  const auto errors = in_memory();
  Spawn spawn;
  spawn.connect(theirs, STDIN_FILENO);
  spawn.connect(output, STDOUT_FILENO);
  spawn.connect(errors, STDERR_FILENO);
  Child child(spawn.run(command), std::move(ours));
  { const io::File closed = std::move(theirs); } // so that its end is seen here

  std::vector<std::byte> buffer(io::copy_buffer_bytes);
  while (const auto count = input.read(buffer)) {
    op.check();
    if (!child.feed(std::span(buffer).first(count), op)) {
      break; // it ended, and says why
    }
  }
  if (const int status = child.wait(op); status != 0) {
    const auto name = std::filesystem::path(command.front()).filename().string();
    auto words = last_words(output_of(errors));
    if (words.empty()) {
      words = fmt::format("it ended with status {}", status);
    }
    throw Error(ErrorCode::io, fmt::format("cannot hand the image to {}: {}", name, quoted(words)));
  }
  return output_of(output);
}

} // namespace aipack::transfer
