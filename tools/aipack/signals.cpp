#include "signals.hpp"

#include <atomic>
#include <csignal>

#include <unistd.h>

namespace aipack::cli {

namespace {

std::atomic<int> last_signal{0};

/// Wakes the watching thread so that it can end.
constexpr int wake_signal = SIGUSR2;

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, wake_signal}) {
    sigaddset(&set, signal);
  }
  return set;
}

void watch(const std::stop_token& ending, std::stop_source stop) {
  const auto set = watched_signals();
  for (bool asked = false; !ending.stop_requested();) {
    int signal = 0;
    if (sigwait(&set, &signal) != 0 || signal == wake_signal) {
      continue;
    }
    if (asked) {
      _exit(130);
    }
    asked = true;
    last_signal = signal;
    stop.request_stop();
  }
}

} // namespace

SignalWatch::SignalWatch() {
  std::signal(SIGPIPE,
              SIG_IGN); // a closed pipe is an error of the write, not the end of the process
  const auto set = watched_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::jthread([stop = stop_](const std::stop_token& ending) { watch(ending, stop); });
}

SignalWatch::~SignalWatch() {
  thread_.request_stop();
  pthread_kill(thread_.native_handle(), wake_signal);
}

int SignalWatch::received() const noexcept {
  return last_signal;
}

} // namespace aipack::cli
