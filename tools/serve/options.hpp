#pragma once

#include "log.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace aipack::serve {

/// What the command line and the environment ask for.
struct Options {
  enum class Action { serve, check, predict, version, help };

  Action action = Action::serve;
  std::string models = "/models"; ///< a folder, or one .onnx file
  std::string model_name;         ///< "" means the file's stem
  std::string predict_file;       ///< with Action::predict; "-" means standard input
  std::string runtime_library;    ///< a file or a folder; "" means the default library folders
  std::string host = "0.0.0.0";
  unsigned port = 8080; ///< 0 lets the kernel choose; the log says which
  unsigned threads = 0; ///< of one inference, 1..1024; 0 means the CPUs that the process may use
  unsigned max_concurrency = 0;   ///< inference requests at once; 0 means four a CPU, at least 16
  unsigned max_connections = 256; ///< HTTP connections at once
  std::uint64_t max_request_bytes = std::uint64_t{64} << 20U;
  unsigned keep_alive_seconds = 30;    ///< an idle connection is closed after this
  unsigned read_timeout_seconds = 60;  ///< for the whole of one request
  unsigned write_timeout_seconds = 60; ///< for each step of writing a response
  unsigned grace_seconds = 30;         ///< that requests in flight get after SIGTERM
  LogFormat log_format = LogFormat::json;
  LogLevel log_level = LogLevel::info;
};

/// Looks up one environment variable; empty when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// Reads the arguments (without the program's name) and, for flags that are not there,
/// AIPACK_SERVE_<FLAG> from the environment. Throws StartupError (exit code 2) that names the flag
/// or the variable.
[[nodiscard]] Options parse_options(std::span<const std::string> arguments,
                                    const Environment& environment);

/// The text of --help.
[[nodiscard]] std::string help_text();

} // namespace aipack::serve
