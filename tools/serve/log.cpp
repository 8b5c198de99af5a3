#include "log.hpp"

#include "text.hpp"

#include <charconv>
#include <cstdio>
#include <ctime>

#include <fcntl.h>
#include <unistd.h>

namespace aipack::serve {
namespace {

[[nodiscard]] std::string_view level_name(LogLevel level) noexcept {
  switch (level) {
  case LogLevel::debug:
    return "debug";
  case LogLevel::info:
    return "info";
  case LogLevel::warning:
    return "warning";
  case LogLevel::error:
  case LogLevel::off:
    return "error";
  }
  return "error";
}

/// RFC 3339 in UTC with milliseconds.
[[nodiscard]] std::string timestamp(std::chrono::system_clock::time_point now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::string out(text, length);
  std::string fraction = std::to_string(milliseconds);
  fraction.insert(0, 3 - fraction.size(), '0');
  return out + "." + fraction + "Z";
}

[[nodiscard]] std::string_view cut(std::string_view text) noexcept {
  return text.substr(0, max_log_value_bytes);
}

struct AppendValue {
  std::string& out;

  void operator()(std::string_view text) const { append_json_string(out, cut(text)); }
  void operator()(std::int64_t number) const { out += std::to_string(number); }
  void operator()(double number) const {
    char text[40];
    const auto [end, error] =
        std::to_chars(text, text + sizeof text, number, std::chars_format::fixed, 3);
    out.append(text, error == std::errc{} ? static_cast<std::size_t>(end - text) : 0);
  }
};

} // namespace

std::string format_log_line(LogFormat format, LogLevel level, std::string_view message,
                            std::initializer_list<LogField> fields,
                            std::chrono::system_clock::time_point now) {
  std::string out;
  if (format == LogFormat::json) {
    out = "{\"time\":\"" + timestamp(now) + "\",\"level\":\"";
    out += level_name(level);
    out += "\",\"message\":";
    append_json_string(out, cut(message));
    for (const LogField& field : fields) {
      out.push_back(',');
      append_json_string(out, field.key);
      out.push_back(':');
      std::visit(AppendValue{out}, field.value);
    }
    out.push_back('}');
    return out;
  }
  out = timestamp(now) + " ";
  out += level_name(level);
  out.push_back(' ');
  const std::string escaped =
      json_string(cut(message)); // a line stays a line whatever the message holds
  out.append(escaped, 1, escaped.size() - 2);
  for (const LogField& field : fields) {
    out.push_back(' ');
    out += field.key;
    out.push_back('=');
    std::visit(AppendValue{out}, field.value);
  }
  return out;
}

Logger::Logger(LogFormat format, LogLevel least)
    : format_(format), least_(least), fd_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {}

Logger::~Logger() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

void Logger::log(LogLevel level, std::string_view message,
                 std::initializer_list<LogField> fields) noexcept try {
  if (!wants(level)) {
    return;
  }
  std::string line =
      format_log_line(format_, level, message, fields, std::chrono::system_clock::now());
  line.push_back('\n');
  const std::lock_guard lock(mutex_);
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n <= 0) {
      return; // nobody reads the log: there is no better place to say so
    }
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
} catch (...) { // out of memory: losing a log line is the lesser evil
  return;
}

} // namespace aipack::serve
