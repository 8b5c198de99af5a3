#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>

namespace aipack::serve {

enum class LogLevel { debug, info, warning, error, off };
enum class LogFormat { json, text };

/// One key and its value in a log line.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double> value;
};

/// One line as it is written, without its end: an object with "time", "level", "message" and the
/// fields, or the same as text. Each value is cut to max_log_value_bytes before it is quoted, so
/// that the line stays well-formed.
[[nodiscard]] std::string format_log_line(LogFormat format, LogLevel level,
                                          std::string_view message,
                                          std::initializer_list<LogField> fields,
                                          std::chrono::system_clock::time_point now);

inline constexpr std::size_t max_log_value_bytes = 4096;

/// Writes log lines to what standard error is when the logger is made, one write a line: through a
/// descriptor of its own, so that lines come out while QuietStdio holds back those of others.
/// *Threads*: any; lines never mix.
class Logger {
public:
  Logger(LogFormat format, LogLevel least);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  [[nodiscard]] bool wants(LogLevel level) const noexcept { return level >= least_; }
  void log(LogLevel level, std::string_view message,
           std::initializer_list<LogField> fields = {}) noexcept;

  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) noexcept {
    log(LogLevel::debug, message, fields);
  }
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) noexcept {
    log(LogLevel::info, message, fields);
  }
  void warning(std::string_view message, std::initializer_list<LogField> fields = {}) noexcept {
    log(LogLevel::warning, message, fields);
  }
  void error(std::string_view message, std::initializer_list<LogField> fields = {}) noexcept {
    log(LogLevel::error, message, fields);
  }

private:
  LogFormat format_;
  LogLevel least_;
  int fd_; ///< -1 when there is no standard error
  std::mutex mutex_;
};

} // namespace aipack::serve
