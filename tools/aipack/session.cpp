#include "session.hpp"

#include "aipack/core/error.hpp"

#include <cstdlib>
#include <ctime>

#include <unistd.h>

namespace aipack::cli {

const char* environment(const char* name) {
  const char* value =
      std::getenv(name); // NOLINT(concurrency-mt-unsafe): nothing here writes the environment
  return value != nullptr && *value != '\0' ? value : nullptr;
}

namespace {

/// Base directory specification: an absolute XDG variable, else a folder below $HOME.
std::filesystem::path base_directory(const char* variable, const char* below_home) {
  if (const char* value = environment(variable); value != nullptr && *value == '/') {
    return value;
  }
  if (const char* home = environment("HOME")) {
    return std::filesystem::path(home) / below_home;
  }
  throw Error(ErrorCode::invalid_input, "cannot find a home directory: HOME is not set")
      .with_hint("set AIPACK_CACHE_DIR");
}

std::filesystem::path own_directory() {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? std::filesystem::path() : self.parent_path();
}

} // namespace

std::filesystem::path Session::resolved_cache_dir() const {
  if (!cache_dir.empty()) {
    return cache_dir;
  }
  if (const char* value = environment("AIPACK_CACHE_DIR")) {
    return value;
  }
  return base_directory("XDG_CACHE_HOME", ".cache") / "aipack";
}

std::int64_t Session::now() const {
  return static_cast<std::int64_t>(std::time(nullptr));
}

bool Session::colour() const {
  return environment("NO_COLOR") == nullptr && ::isatty(STDOUT_FILENO) == 1;
}

build::EngineOptions Session::engine_options() const {
  build::EngineOptions options{.cache_dir = resolved_cache_dir(),
                               .data_dirs = {},
                               .now = now(),
                               .offline = offline,
                               .concurrency = jobs};
  if (const char* value = environment("AIPACK_DATA_DIR")) {
    options.data_dirs.emplace_back(value);
  }
  // An installed aipack finds its data beside itself; one that was just built, in its build tree.
  const auto own = own_directory();
  options.data_dirs.push_back(own / AIPACK_RELATIVE_DATA_DIR);
  options.data_dirs.push_back(own / "../share/aipack");
  const auto users_own = [](const char* variable, const char* below_home) {
    const char* const value = environment(variable);
    return environment("HOME") != nullptr || (value != nullptr && *value == '/')
               ? base_directory(variable, below_home) / "aipack"
               : std::filesystem::path();
  };
  if (const auto state = users_own("XDG_STATE_HOME", ".local/state"); !state.empty()) {
    options.verdict_key = state / "verdict.key";
  }
  auto user_catalog = users_own("XDG_CONFIG_HOME", ".config");
  if (!user_catalog.empty()) {
    user_catalog /= "runtimes";
  }
  std::error_code ignored;
  if (!user_catalog.empty() && std::filesystem::is_directory(user_catalog, ignored)) {
    options.catalog_dirs.push_back(user_catalog);
  }
  if (const char* value = environment("AIPACK_KEYRING")) {
    options.keyrings.emplace_back(value);
  }
  return options;
}

build::Engine Session::engine(registry::RegistryOptions registry) const {
  auto options = engine_options();
  options.registry = std::move(registry);
  return build::Engine(std::move(options));
}

Operation Session::operation() {
  if (!renderer_) {
    renderer_ = make_renderer(quiet ? "none" : progress, verbose);
  }
  return {stop_, *renderer_};
}

void Session::end_progress() {
  if (renderer_) {
    renderer_->finish();
  }
}

} // namespace aipack::cli
