#include "log.hpp"
#include "support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace aipack::serve;

namespace {

const std::chrono::system_clock::time_point moment{std::chrono::milliseconds{1'700'000'000'042}};

} // namespace

TEST_CASE("a JSON log line is one object", "[serve][log]") {
  const std::string line = format_log_line(
      LogFormat::json, LogLevel::warning, "a \"b\"\n\xFF",
      {{"text", std::string_view("x\ny")}, {"whole", std::int64_t{-7}}, {"real", 1.25}}, moment);
  CHECK(line.find('\n') == std::string::npos);
  const auto record = nlohmann::json::parse(line);
  CHECK(record["time"] == "2023-11-14T22:13:20.042Z");
  CHECK(record["level"] == "warning");
  CHECK(record["message"] == "a \"b\"\n\xEF\xBF\xBD");
  CHECK(record["text"] == "x\ny");
  CHECK(record["whole"] == -7);
  CHECK(record["real"] == 1.25);
}

TEST_CASE("a text log line is one line", "[serve][log]") {
  CHECK(format_log_line(LogFormat::text, LogLevel::info, "a\nb",
                        {{"key", std::string_view("c\nd")}},
                        moment) == "2023-11-14T22:13:20.042Z info a\\nb key=\"c\\nd\"");
}

TEST_CASE("a huge value is cut and the line stays well-formed", "[serve][log]") {
  const std::string huge(1'000'000, '"');
  const std::string line = format_log_line(LogFormat::json, LogLevel::error, huge,
                                           {{"huge", std::string_view(huge)}}, moment);
  CHECK(line.size() < 5 * max_log_value_bytes);
  CHECK(nlohmann::json::accept(line));
}

TEST_CASE("a logger wants its level and above", "[serve][log]") {
  const Logger log(LogFormat::json, LogLevel::warning);
  CHECK_FALSE(log.wants(LogLevel::info));
  CHECK(log.wants(LogLevel::error));
  CHECK_FALSE(Logger(LogFormat::json, LogLevel::off).wants(LogLevel::error));
}
