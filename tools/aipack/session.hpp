#pragma once

#include "aipack/build/engine.hpp"
#include "aipack/core/operation.hpp"

#include "render/progress.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include <CLI/CLI.hpp>

namespace aipack::cli {

/// What every verb shares: the global options, and the world outside (environment, clock,
/// terminal), which only this folder reads.
class Session {
public:
  // Filled in by the option parser.
  bool json = false;
  bool quiet = false;
  unsigned verbose = 0;
  bool offline = false;
  std::string progress = "auto";
  std::string cache_dir{};
  unsigned jobs = 0;

  /// What the chosen verb does; set by its option callback, run after parsing.
  std::function<int()> run{};

  [[nodiscard]] build::EngineOptions engine_options() const;
  [[nodiscard]] build::Engine engine() const { return build::Engine(engine_options()); }
  /// The same for verbs that may talk to registries.
  [[nodiscard]] build::Engine engine(registry::RegistryOptions registry) const;
  /// Progress goes to stderr as the options say; stops when the user asks.
  [[nodiscard]] Operation operation();
  /// Takes progress lines off the terminal before a result is printed.
  void end_progress();

  [[nodiscard]] std::filesystem::path resolved_cache_dir() const;
  [[nodiscard]] std::int64_t now() const;
  /// True when stdout is a terminal and NO_COLOR is not set.
  [[nodiscard]] bool colour() const;
  void set_stop(std::stop_token token) { stop_ = std::move(token); }

private:
  std::stop_token stop_;
  std::unique_ptr<ProgressRenderer> renderer_;
};

/// An environment variable; null when it is not set or empty.
[[nodiscard]] const char* environment(const char* name);

} // namespace aipack::cli
