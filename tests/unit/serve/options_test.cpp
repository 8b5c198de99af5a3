#include "error.hpp"
#include "options.hpp"
#include "support/catch.hpp"

#include <map>

using namespace aipack::serve;

namespace {

Options parse(std::vector<std::string> arguments,
              std::map<std::string, std::string> variables = {}) {
  return parse_options(arguments, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

} // namespace

TEST_CASE("options have defaults, then the environment, then flags", "[serve][options]") {
  CHECK(parse({}).port == 8080);
  CHECK(parse({}).models == "/models");
  CHECK(parse({}, {{"AIPACK_SERVE_PORT", "9000"}}).port == 9000);
  CHECK(parse({"--port", "9001"}, {{"AIPACK_SERVE_PORT", "9000"}}).port == 9001);
  CHECK(parse({"--port=9002"}).port == 9002);
  CHECK(parse({}, {{"AIPACK_SERVE_MAX_REQUEST_BYTES", "1KiB"}}).max_request_bytes == 1024);
  CHECK(parse({}, {{"AIPACK_SERVE_PORT", ""}}).port == 8080); // how a container unsets it
}

TEST_CASE("sizes take units of 1024", "[serve][options]") {
  const auto [text, bytes] =
      GENERATE(table<std::string, std::uint64_t>({{"1", 1},
                                                  {"2K", 2048},
                                                  {"64MiB", 67108864},
                                                  {"1G", std::uint64_t{1} << 30U},
                                                  {"1024GiB", std::uint64_t{1} << 40U}}));
  CHECK(parse({"--max-request-bytes", text}).max_request_bytes == bytes);
}

TEST_CASE("actions", "[serve][options]") {
  CHECK(parse({}).action == Options::Action::serve);
  CHECK(parse({"--check"}).action == Options::Action::check);
  CHECK(parse({"--version"}).action == Options::Action::version);
  CHECK(parse({"--help"}).action == Options::Action::help);
  CHECK(parse({"--predict", "-"}).action == Options::Action::predict);
  CHECK(parse({"--predict=r.json"}).predict_file == "r.json");
}

TEST_CASE("wrong options are refused with their name and exit code 2", "[serve][options]") {
  const auto [arguments, word] = GENERATE(table<std::vector<std::string>, std::string>({
      {{"--port"}, "--port"},
      {{"--port", "-1"}, "'-1'"},
      {{"--port", "65536"}, "0 to 65535"},
      {{"--threads", "0"}, "1 to 1024"},
      {{"--max-request-bytes", "5TB"}, "'5TB'"},
      {{"--max-request-bytes", "2048GiB"}, "'2048'"},
      {{"--max-request-bytes", "MiB"}, "''"},
      {{"--max-request-bytes", "99999999999999999999"}, "not a number"},
      {{"--log-level", "x"}, "debug, error, info, off, warning"},
      {{"--nothing"}, "'--nothing'"},
      {{"--help=me"}, "--help"},
      {{"file.onnx"}, "'file.onnx'"},
      {{"--models", ""}, "--models"},
  }));
  try {
    parse(arguments);
    FAIL("accepted");
  } catch (const StartupError& error) {
    CHECK(error.code() == ExitCode::invalid_input);
    CHECK_THAT(error.what(), ContainsSubstring(word));
    CHECK_FALSE(error.hint().empty());
  }
}
