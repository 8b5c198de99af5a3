#pragma once

#include "aipack/build/settings.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace aipack::cli {

/// The options that `build` and `plan` share, as they stand on the command line.
struct RequestOptions {
  std::vector<std::string> models;
  std::string settings_file;
  std::string platform, base, runtime, suite, mirror, user, compress, compress_models, model_name;
  std::vector<std::string> packages, files, env, labels, annotations, allow, waive_scripts,
      base_keys;
  std::string entrypoint;
  bool ignore_valid_until = false;
  bool skip_incomplete_suites = false;

  void add_to(CLI::App& command);
  /// Flags over environment over aipack.yaml over the user's configuration.
  [[nodiscard]] build::Settings settings() const;
  [[nodiscard]] build::BuildRequest request(const build::Settings& settings) const;
};

} // namespace aipack::cli
