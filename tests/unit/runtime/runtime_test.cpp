#include "aipack/core/error.hpp"
#include "aipack/runtime/runtime.hpp"

#include "support/catch.hpp"

#include <string>

using namespace aipack;
using namespace aipack::runtime;

namespace {

const std::string sound = R"({
  "name": "r", "version": "1", "title": "A runtime", "formats": ["onnx"], "platforms": ["linux/amd64", "linux/arm64"],
  "suite": "trixie", "packages": ["libr1"], "dlopened": ["/usr/lib/{triplet}/libr.so.1*"], "server": "serve/{arch}/r",
  "server_path": "/usr/bin/r", "entrypoint": ["/usr/bin/r"], "env": ["A=b"], "exposed_ports": ["8080/tcp"],
  "models_directory": "/models", "max_ir_version": 10, "max_opsets": {"": 22}
})";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

Error error_of(const std::string& json) {
  try {
    static_cast<void>(parse_runtime(json, "entry.json"));
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "no error");
}

} // namespace

TEST_CASE("parse_runtime reads a complete entry", "[runtime]") {
  const auto runtime = parse_runtime(sound, "entry.json");
  CHECK(runtime.name == "r");
  CHECK(runtime.platforms.size() == 2);
  CHECK(runtime.max_opsets.at("") == 22);
  CHECK(runtime.assume_installed.empty());
}

TEST_CASE("parse_runtime names an unknown key and what was meant", "[runtime]") {
  const auto near = error_of(with(sound, "\"packages\"", "\"package\""));
  CHECK(near.code() == ErrorCode::invalid_input);
  CHECK_THAT(near.message(), ContainsSubstring("unknown key 'package'"));
  CHECK_THAT(near.hint(), ContainsSubstring("'packages'"));
  CHECK_THAT(error_of(with(sound, "\"suite\"", "\"colour\"")).hint(),
             ContainsSubstring("the keys are"));
}

TEST_CASE("parse_runtime refuses entries that break the schema", "[runtime]") {
  const auto [from, to, message] = GENERATE(table<std::string, std::string, std::string>({
      {"\"suite\": \"trixie\",", "", "key 'suite' is missing"},
      {"\"suite\": \"trixie\"", "\"suite\": 13", "must be a string"},
      {"[\"libr1\"]", "\"libr1\"", "list of strings"},
      {"[\"libr1\"]", "[]", "at least one element"},
      {"[\"libr1\"]", "[1]", "list of strings"},
      {"\"suite\"", "\"name\": \"s\", \"suite\"", "occurs twice"},
      {"10,", "-1,", "not negative"},
      {"{\"\": 22}", "[22]", "an object"},
      {"\"/usr/bin/r\",", "\"usr/bin/r\",", "absolute"},
      {"\"serve/{arch}/r\"", "\"../r\"", "without '..'"},
      {"\"A=b\"", "\"A\"", "NAME=value"},
      {"8080/tcp", "80800/tcp", "ports"},
      {"linux/arm64", "linux/", "platform"},
  }));
  const auto error = error_of(with(sound, from, to));
  INFO(error.message());
  CHECK(error.code() == ErrorCode::invalid_input);
  CHECK_THAT(error.message(), ContainsSubstring(message));
}

TEST_CASE("parse_runtime tells where text is not JSON", "[runtime]") {
  CHECK(error_of("{\"name\": ").code() == ErrorCode::corrupt);
  CHECK(error_of("[]").code() == ErrorCode::corrupt);
  CHECK(error_of(std::string(100'000, '[')).code() == ErrorCode::corrupt);
  CHECK(error_of("{\"name\": \"\xff\"}").code() == ErrorCode::corrupt);
}

TEST_CASE("for_platform fills in the names of the architecture", "[runtime]") {
  const auto runtime = parse_runtime(sound, "entry.json");
  const auto arm = runtime.for_platform(oci::Platform::parse("linux/arm64"));
  CHECK(arm.dlopened.front() == "/usr/lib/aarch64-linux-gnu/libr.so.1*");
  CHECK(arm.server == "serve/arm64/r");
  try {
    static_cast<void>(runtime.for_platform(oci::Platform::parse("linux/riscv64")));
    FAIL("it does not run there");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
  }
}
