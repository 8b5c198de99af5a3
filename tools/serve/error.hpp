#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace aipack::serve {

/// HTTP status codes that the server answers with on purpose.
enum class Status {
  ok = 200,
  bad_request = 400,
  not_found = 404,
  method_not_allowed = 405,
  request_timeout = 408,
  too_large = 413,
  unsupported_media_type = 415,
  internal = 500,
  not_implemented = 501,
  unavailable = 503,
};

/// A request that cannot be answered: becomes `{"error": message}` with `status`. The message names
/// the input and the cause.
class RequestError : public std::runtime_error {
public:
  RequestError(Status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  /// A plain 400, by far the most frequent one.
  explicit RequestError(const std::string& message) : RequestError(Status::bad_request, message) {}

  [[nodiscard]] Status status() const noexcept { return status_; }

private:
  Status status_;
};

/// Exit codes of the process; the same table as the `aipack` command.
enum class ExitCode {
  done = 0,
  invalid_input = 2,
  not_found = 3,
  network = 4,
  io = 6,
  bug = 70,
};

/// Why the process cannot start: one line in the log and its exit code.
class StartupError : public std::runtime_error {
public:
  StartupError(ExitCode code, const std::string& message, std::string hint = {})
      : std::runtime_error(message), code_(code), hint_(std::move(hint)) {}

  [[nodiscard]] ExitCode code() const noexcept { return code_; }
  [[nodiscard]] const std::string& hint() const noexcept { return hint_; }

private:
  ExitCode code_;
  std::string hint_;
};

} // namespace aipack::serve
