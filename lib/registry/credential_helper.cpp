#include "credential_helper.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include "auth_file.hpp"
#include "environment.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace aipack::registry {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a wish to stop may go unnoticed.
constexpr std::chrono::milliseconds poll_interval{50};

/// What every helper says when it has nothing, and what older ones say. Source:
/// docker-credential-helpers, credentials/error.go.
constexpr std::array<std::string_view, 2> nothing_there{"credentials not found in native keychain",
                                                        "credentials not found"};

bool is_helper_name(std::string_view name) noexcept {
  const auto is_word = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= max_helper_name_bytes &&
         std::all_of(name.begin(), name.end(), is_word);
}

std::filesystem::path find_program(const std::string& program, const Environment& environment) {
  std::string path = value_of(environment, "PATH");
  if (path.empty()) {
    path = "/usr/local/bin:/usr/bin:/bin";
  }
  for (const std::string_view part : split(path, ':')) {
    const auto file = std::filesystem::path(part) / program;
    // Relative directories would run what lies in the folder that somebody happens to be in.
    std::error_code ignored;
    if (file.is_absolute() && std::filesystem::is_regular_file(file, ignored) &&
        ::access(file.c_str(), X_OK) == 0) {
      return file;
    }
  }
  return {};
}

/// Standard input of the child: a file in memory, so that nobody waits for anybody and a child that
/// does not read is no SIGPIPE.
io::File in_memory(std::string_view text) {
  io::File file(::memfd_create("aipack-credential", MFD_CLOEXEC), "(memory)");
  if (file.fd() < 0) {
    throw_errno("hand a request to a credential helper", errno);
  }
  file.write_at(0, io::as_bytes(text));
  return file;
}

/// The environment of this process without what is meant for aipack alone.
std::vector<char*> child_environment() {
  std::vector<char*> variables;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    if (!std::string_view(*at).starts_with("AIPACK_REGISTRY")) {
      variables.push_back(*at);
    }
  }
  variables.push_back(nullptr);
  return variables;
}

struct SpawnSettings {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  SpawnSettings() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    // The caller may block or ignore signals; the helper starts as from a shell.
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

/// A running child, which is killed and reaped when nobody waits for it any more.
class Child {
public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      int status = 0;
      while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
    }
  }
  /// Its exit status when it has ended; 128 + number for a signal.
  std::optional<int> ended() {
    int status = 0;
    const pid_t pid = ::waitpid(pid_, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR)) {
      return std::nullopt;
    }
    pid_ = -1;
    if (pid < 0) {
      return 127; // somebody else reaped it (SIGCHLD ignored): its answer cannot be trusted
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

private:
  pid_t pid_;
};

pid_t spawn(const std::filesystem::path& path, const char* verb, const io::File& input,
            int output) {
  SpawnSettings settings;
  ::posix_spawn_file_actions_adddup2(&settings.actions, input.fd(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&settings.actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_addopen(&settings.actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::string name = path.string();
  std::string argument = verb;
  const std::array<char*, 3> arguments{name.data(), argument.data(), nullptr};
  const auto environment = child_environment();
  pid_t pid = -1;
  const int failure = ::posix_spawn(&pid, name.c_str(), &settings.actions, &settings.attributes,
                                    arguments.data(), environment.data());
  if (failure != 0) {
    throw_errno("run " + quoted(name), failure);
  }
  return pid;
}

} // namespace

CredentialHelper::CredentialHelper(const std::string& name, std::string named_in,
                                   const Environment& environment,
                                   std::chrono::milliseconds timeout)
    : program_("docker-credential-" + name), named_in_(std::move(named_in)), timeout_(timeout) {
  if (!is_helper_name(name)) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use the credential helper {} that {} names: a name is letters, "
                            "digits, '.', '_' and '-'",
                            quoted(name), named_in_));
  }
  path_ = find_program(program_, environment);
  if (path_.empty()) {
    throw Error(
        ErrorCode::unauthenticated,
        fmt::format("cannot run the credential helper {} that {} names: it is not installed",
                    quoted(program_), named_in_))
        .with_hint("install it, or take it out of that file");
  }
}

void CredentialHelper::fail(const char* verb, std::string_view cause) const {
  throw Error(ErrorCode::unauthenticated,
              fmt::format("cannot {} credentials with {}: {}",
                          std::string_view(verb) == "get" ? "read" : verb, origin(), cause))
      .with_hint(fmt::format("see what 'echo REGISTRY | {} get' says", program_));
}

CredentialHelper::Answer CredentialHelper::run(const char* verb, std::string_view input,
                                               const Operation& op) const {
  op.check();
  const auto deadline = Clock::now() + timeout_;
  const io::File request = in_memory(input);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw_errno("run " + quoted(program_), errno);
  }
  const io::File reading(ends[0], program_);
  io::File writing(ends[1], program_);
  Child child(spawn(path_, verb, request, writing.fd()));
  writing = io::File(-1, {}); // the child's copy is the last one: its end is the end of the answer

  Answer answer;
  const auto wait = [&] {
    op.check();
    if (Clock::now() >= deadline) {
      fail(verb, fmt::format("it did not answer within {} seconds",
                             std::chrono::ceil<std::chrono::seconds>(timeout_).count()));
    }
  };
  std::array<char, 4096> buffer{};
  std::optional<int> status;
  for (bool at_end = false; !at_end || !status;) {
    wait();
    pollfd ready{reading.fd(), POLLIN, 0};
    const int events = at_end ? 0 : ::poll(&ready, 1, static_cast<int>(poll_interval.count()));
    if (events <= 0) {
      // What a helper leaves running may hold the pipe open: its own end is the end as well.
      status = status ? status : child.ended();
      at_end = at_end || (status && events == 0);
      if (at_end && !status) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      continue;
    }
    const ssize_t count = ::read(reading.fd(), buffer.data(), buffer.size());
    if (count < 0 && errno != EINTR) {
      throw_errno("read the answer of " + quoted(program_), errno);
    }
    at_end = count == 0;
    answer.output.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (answer.output.size() > max_helper_answer_bytes) {
      fail(verb, fmt::format("its answer is larger than {} bytes", max_helper_answer_bytes));
    }
  }
  answer.status = *status;
  return answer;
}

bool CredentialHelper::says_nothing_there(const Answer& answer) const {
  return answer.status != 0 &&
         std::ranges::find(nothing_there, trim(answer.output)) != nothing_there.end();
}

std::optional<Credential> CredentialHelper::get(const std::string& server,
                                                const Operation& op) const {
  const Answer answer = run("get", server + "\n", op);
  if (says_nothing_there(answer)) {
    return std::nullopt;
  }
  if (answer.status != 0) {
    fail("get", fmt::format("it ended with status {}", answer.status));
  }
  const auto json = parse_secret_json(answer.output, "the answer of " + program_);
  const auto text = [&](const char* name) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) {
      fail("get", fmt::format("its answer has no text '{}'", name));
    }
    return found->get<std::string>();
  };
  const std::string secret = text("Secret");
  if (secret.empty()) { // some say so with empty strings
    return std::nullopt;
  }
  return make_credential(text("Username"), secret, origin());
}

void CredentialHelper::store(const std::string& server, const Credential& credential,
                             const Operation& op) const {
  if (!credential.registry_token.empty()) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot store a registry token with {}: helpers keep passwords and "
                            "identity tokens only",
                            origin()));
  }
  const bool is_token = !credential.identity_token.empty();
  const nlohmann::ordered_json request{
      {"ServerURL", server},
      {"Username", is_token ? std::string(token_user) : credential.username},
      {"Secret", (is_token ? credential.identity_token : credential.password).reveal()}};
  std::string text;
  try {
    text = request.dump();
  } catch (const nlohmann::ordered_json::exception&) { // its message quotes the text
    throw Error(ErrorCode::invalid_input, fmt::format("cannot store credentials with {}: user name "
                                                      "and password must be UTF-8",
                                                      origin()));
  }
  if (const Answer answer = run("store", text, op); answer.status != 0) {
    fail("store", fmt::format("it ended with status {}", answer.status));
  }
}

bool CredentialHelper::erase(const std::string& server, const Operation& op) const {
  const Answer answer = run("erase", server + "\n", op);
  if (says_nothing_there(answer)) {
    return false;
  }
  if (answer.status != 0) {
    fail("erase", fmt::format("it ended with status {}", answer.status));
  }
  return true;
}

} // namespace aipack::registry
