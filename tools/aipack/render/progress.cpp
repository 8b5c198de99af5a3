#include "progress.hpp"

#include "aipack/core/text.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace aipack::cli {

namespace {

using Clock = std::chrono::steady_clock;

/// A running piece of work.
struct Item {
  std::string label;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  Clock::time_point began = Clock::now();
};

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

struct NullRenderer final : ProgressRenderer {
  void on_event(const ProgressEvent&) noexcept override {}
  void finish() noexcept override {}
};

/// One line when a piece of work ends: logs of CI systems.
class PlainRenderer final : public ProgressRenderer {
public:
  explicit PlainRenderer(unsigned verbose) : verbose_(verbose) {}

  void on_event(const ProgressEvent& event) noexcept override {
    try {
      const std::lock_guard lock(mutex_);
      if (event.kind == ProgressEvent::Kind::begin) {
        began_[event.id] = Clock::now();
      } else if (event.kind == ProgressEvent::Kind::end) {
        const double seconds = seconds_since(began_[event.id]);
        began_.erase(event.id);
        // Short steps only clutter a log.
        if (verbose_ > 0 || seconds >= 0.5 || event.done >= 1'000'000) {
          const auto size =
              event.done > 0 ? fmt::format(" ({})", human_bytes(event.done)) : std::string();
          fmt::print(stderr, "{}{} in {:.1f} s\n", event.label, size, seconds);
        }
      }
    } catch (...) { // NOLINT(bugprone-empty-catch): progress must never break the work
    }
  }
  void finish() noexcept override {}

private:
  unsigned verbose_;
  std::mutex mutex_;
  std::map<std::uint64_t, Clock::time_point> began_;
};

/// A line for each running piece of work, redrawn at most ten times a second.
class TerminalRenderer final : public ProgressRenderer {
public:
  ~TerminalRenderer() override { finish(); }

  void on_event(const ProgressEvent& event) noexcept override {
    try {
      const std::lock_guard lock(mutex_);
      if (finished_) {
        return;
      }
      if (event.kind == ProgressEvent::Kind::end) {
        items_.erase(event.id);
      } else {
        auto& item = items_[event.id];
        item.label = event.label;
        item.done = event.done;
        item.total = event.total;
      }
      if (seconds_since(drawn_) >= 0.1) {
        draw();
      }
    } catch (...) { // NOLINT(bugprone-empty-catch)
    }
  }

  void finish() noexcept override {
    const std::lock_guard lock(mutex_);
    erase();
    finished_ = true;
  }

private:
  static constexpr std::size_t max_lines = 8;

  static std::size_t columns() noexcept {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
  }

  void erase() noexcept {
    for (std::size_t i = 0; i < lines_; ++i) {
      std::fputs("\033[A\033[2K", stderr);
    }
    lines_ = 0;
  }

  static std::string line(const Item& item) {
    const double seconds = std::max(seconds_since(item.began), 0.001);
    std::string right;
    if (item.done > 0) {
      const double rate = static_cast<double>(item.done) / seconds;
      right = item.total > 0
                  ? fmt::format("{} of {}", human_bytes(item.done), human_bytes(item.total))
                  : human_bytes(item.done);
      right += fmt::format("  {}/s", human_bytes(static_cast<std::uint64_t>(rate)));
      if (item.total > item.done && rate > 0) {
        right += fmt::format("  {:.0f} s left", static_cast<double>(item.total - item.done) / rate);
      }
    }
    const auto width = columns();
    const auto room = width > right.size() + 3 ? width - right.size() - 3 : 1;
    const auto label = item.label.substr(0, room);
    return fmt::format("{:<{}}  {}", label, room, right).substr(0, width);
  }

  void draw() {
    erase();
    for (const auto& [id, item] : items_) {
      if (lines_ == max_lines) {
        break;
      }
      fmt::print(stderr, "{}\n", line(item));
      ++lines_;
    }
    std::fflush(stderr);
    drawn_ = Clock::now();
  }

  std::mutex mutex_;
  std::map<std::uint64_t, Item> items_;
  std::size_t lines_ = 0;
  Clock::time_point drawn_{};
  bool finished_ = false;
};

} // namespace

std::unique_ptr<ProgressRenderer> make_renderer(std::string_view mode, unsigned verbose) {
  const char* terminal = std::getenv("TERM"); // NOLINT(concurrency-mt-unsafe)
  const bool live = mode == "tty" || (mode == "auto" && ::isatty(STDERR_FILENO) == 1 &&
                                      terminal != nullptr && std::string_view(terminal) != "dumb");
  if (mode == "none") {
    return std::make_unique<NullRenderer>();
  }
  if (live) {
    return std::make_unique<TerminalRenderer>();
  }
  return std::make_unique<PlainRenderer>(verbose);
}

} // namespace aipack::cli
