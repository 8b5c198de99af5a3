#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"

#include "credential_helper.hpp"
#include "support/catch.hpp"
#include "support/temp.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stop_token>
#include <string>

using namespace aipack;
using namespace aipack::registry;

namespace fs = std::filesystem;

namespace {

/// A directory of helpers that is $PATH; scripts find themselves in it through $0.
struct Helpers {
  io::TempDirectory directory;
  std::string path = directory.path().string();

  void add(const std::string& name, const std::string& script) const {
    const auto file = directory.path() / ("docker-credential-" + name);
    testing::write_file(file, "#!/bin/sh\nhere=$(dirname \"$0\")\n" + script);
    fs::permissions(file, fs::perms::owner_all);
  }
  [[nodiscard]] Environment environment() const {
    return [this](const char* name) {
      return std::string_view(name) == "PATH" ? path.c_str() : nullptr;
    };
  }
  [[nodiscard]] CredentialHelper open(const std::string& name, int timeout_ms = 60'000) const {
    return {name, "'config.json'", environment(), std::chrono::milliseconds(timeout_ms)};
  }
};

template <class Fn>
Error error_of(Fn fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::internal, "no error"};
}

} // namespace

TEST_CASE("a helper is asked on standard input and answers in JSON", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("ok", "echo \"$#:$1\" > \"$here/argv\"\ncat > \"$here/stdin\"\n"
                    "echo '{\"ServerURL\":\"r.example\",\"Username\":\"u\",\"Secret\":\"p\"}'\n");
  const auto credential = helpers.open("ok").get("r.example:5000", {});
  REQUIRE(credential);
  CHECK(credential->username == "u");
  CHECK(credential->password.reveal() == "p");
  CHECK(credential->origin == "docker-credential-ok (named in 'config.json')");
  CHECK(testing::read_file(helpers.directory.path() / "argv") == "1:get\n");
  CHECK(testing::read_file(helpers.directory.path() / "stdin") == "r.example:5000\n");
}

TEST_CASE("the user <token> of a helper's answer marks an identity token", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("token", "echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}'\n");
  const auto credential = helpers.open("token").get("r.example", {});
  REQUIRE(credential);
  CHECK(credential->username.empty());
  CHECK(credential->password.empty());
  CHECK(credential->identity_token.reveal() == "t");
}

TEST_CASE("a helper that has nothing is no error", "[registry][helper]") {
  const std::string script =
      GENERATE("echo 'credentials not found in native keychain'; exit 1\n",
               "echo '{\"ServerURL\":\"r.example\",\"Username\":\"\",\"Secret\":\"\"}'\n");
  const Helpers helpers;
  helpers.add("none", script);
  CHECK_FALSE(helpers.open("none").get("r.example", {}));
}

TEST_CASE("erasing what is not there says so", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("none", "echo 'credentials not found in native keychain'; exit 1\n");
  helpers.add("some", "cat > \"$here/erased\"\n");
  CHECK_FALSE(helpers.open("none").erase("r.example", {}));
  CHECK(helpers.open("some").erase("r.example", {}));
  CHECK(testing::read_file(helpers.directory.path() / "erased") == "r.example\n");
}

TEST_CASE("a secret is stored through standard input only", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("pass",
              "cat > \"$here/stored\"\necho \"$@\" > \"$here/argv\"\n"
              "tr '\\0' '\\n' < /proc/$$/cmdline > \"$here/cmdline\"\nenv > \"$here/env\"\n");
  helpers.open("pass").store("r.example", {.username = "u", .password = Secret("hunter\"2")}, {});
  const auto read = [&](const char* name) {
    return testing::read_file(helpers.directory.path() / name);
  };
  CHECK(read("stored") == R"({"ServerURL":"r.example","Username":"u","Secret":"hunter\"2"})");
  CHECK(read("argv") == "store\n");
  CHECK(read("cmdline").find("hunter") == std::string::npos);
  CHECK(read("env").find("hunter") == std::string::npos);
  helpers.open("pass").store("r.example", {.username = "u", .identity_token = Secret("t")}, {});
  CHECK(read("stored") == R"({"ServerURL":"r.example","Username":"<token>","Secret":"t"})");
}

TEST_CASE("a helper does not see the variables that are for aipack alone", "[registry][helper]") {
  ::setenv("AIPACK_REGISTRY_PASSWORD", "hunter2", 1);
  const Helpers helpers;
  helpers.add("env", "env > \"$here/env\"\necho '{\"Username\":\"u\",\"Secret\":\"p\"}'\n");
  static_cast<void>(helpers.open("env").get("r.example", {}));
  ::unsetenv("AIPACK_REGISTRY_PASSWORD");
  const auto env = testing::read_file(helpers.directory.path() / "env");
  CHECK(env.find("PWD=") != std::string::npos);
  CHECK(env.find("hunter2") == std::string::npos);
}

TEST_CASE("a large secret reaches a helper that never reads it", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("deaf", "exit 0\n");
  CHECK_NOTHROW(helpers.open("deaf").store(
      "r.example", {.username = "u", .password = Secret(std::string(1 << 20, 'x'))}, {}));
}

TEST_CASE("a helper that fails is named, and what it said is not repeated", "[registry][helper]") {
  const auto [script, cause] = GENERATE(table<std::string, std::string>({
      {"echo 'hunter2'; echo 'hunter2' >&2; exit 3\n", "it ended with status 3"},
      {"kill -SEGV $$\n", "it ended with status 139"},
      {"echo hunter2\n", "not valid JSON"},
      {"echo '[\"hunter2\"]'\n", "no object"},
      {"echo '{\"Secret\":\"hunter2\"}'\n", "no text 'Username'"},
      {"echo '{\"Username\":\"u\",\"Secret\":[\"hunter2\"]}'\n", "no text 'Secret'"},
      {"head -c 200000 /dev/zero | tr '\\0' 'x'\n", "larger than"},
      {"exit 0\n", "not valid JSON"},
  }));
  INFO(script);
  const Helpers helpers;
  helpers.add("bad", script);
  const auto error = error_of([&] { static_cast<void>(helpers.open("bad").get("r.example", {})); });
  CHECK_THAT(error.message(), ContainsSubstring(cause));
  CHECK_THAT(error.message(), ContainsSubstring("docker-credential-bad"));
  CHECK(error.message().find("hunter2") == std::string::npos);
  CHECK(error.hint().find("hunter2") == std::string::npos);
}

TEST_CASE("a helper that echoes what it was to store leaks nothing", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("echo", "cat; cat >&2; exit 1\n");
  const auto error = error_of([&] {
    helpers.open("echo").store("r.example", {.username = "u", .password = Secret("hunter2")}, {});
  });
  CHECK(error.code() == ErrorCode::unauthenticated);
  CHECK(error.message().find("hunter2") == std::string::npos);
}

TEST_CASE("a helper that does not answer is given up", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("hung", "exec sleep 600\n");
  helpers.add("closed", "exec sleep 600 >&-\n"); // its answer has ended, it has not
  const std::string name = GENERATE("hung", "closed");
  const auto error =
      error_of([&] { static_cast<void>(helpers.open(name, 200).get("r.example", {})); });
  CHECK(error.code() == ErrorCode::unauthenticated);
  CHECK_THAT(error.message(), ContainsSubstring("did not answer within 1 seconds"));
}

TEST_CASE("what a helper leaves running does not hold its answer back", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("daemon", "sleep 600 & echo $! > \"$here/pid\"\n"
                        "echo '{\"Username\":\"u\",\"Secret\":\"p\"}'\n");
  CHECK(helpers.open("daemon").get("r.example", {}));
  const auto pid = std::stoi(testing::read_file(helpers.directory.path() / "pid"));
  CHECK(::kill(pid, SIGKILL) == 0); // it was still there
}

TEST_CASE("waiting for a helper ends when the caller stops", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("hung", "exec sleep 600\n");
  std::stop_source stop;
  stop.request_stop();
  const auto error = error_of([&] {
    static_cast<void>(helpers.open("hung").get("r.example", {.stop = stop.get_token()}));
  });
  CHECK(error.code() == ErrorCode::cancelled);
}

TEST_CASE("a helper's name cannot lead elsewhere", "[registry][helper]") {
  const Helpers helpers;
  const std::string name = GENERATE("", "../sh", "a b", "a;b", "a/b", "a\nb", "$(x)", "-/x");
  INFO(name);
  const auto error = error_of([&] { static_cast<void>(helpers.open(name)); });
  CHECK(error.code() == ErrorCode::invalid_input);
  CHECK(error_of([&] {
          static_cast<void>(helpers.open(std::string(max_helper_name_bytes + 1, 'a')));
        }).code() == ErrorCode::invalid_input);
}

TEST_CASE("a helper that is not installed is an error with its name", "[registry][helper]") {
  const Helpers helpers;
  testing::write_file(helpers.directory.path() / "docker-credential-plain", "not executable");
  fs::create_directory(helpers.directory.path() / "docker-credential-folder");
  const std::string name = GENERATE("gone", "plain", "folder");
  const auto error = error_of([&] { static_cast<void>(helpers.open(name)); });
  CHECK(error.code() == ErrorCode::unauthenticated);
  CHECK_THAT(error.message(), ContainsSubstring("'docker-credential-" + name + "'"));
  CHECK_THAT(error.message(), ContainsSubstring("'config.json'"));
}

TEST_CASE("helpers are not looked for in relative directories", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("ok", "echo '{\"Username\":\"u\",\"Secret\":\"p\"}'\n");
  const std::string relative =
      "." + std::string(":") + fs::relative(helpers.directory.path()).string();
  const Environment environment = [&](const char* name) {
    return std::string_view(name) == "PATH" ? relative.c_str() : nullptr;
  };
  CHECK_THROWS_AS(CredentialHelper("ok", "'c'", environment, std::chrono::seconds(1)), Error);
}

TEST_CASE("a registry token does not go into a helper", "[registry][helper]") {
  const Helpers helpers;
  helpers.add("pass", "cat > \"$here/stored\"\n");
  const auto error = error_of(
      [&] { helpers.open("pass").store("r.example", {.registry_token = Secret("hunter2")}, {}); });
  CHECK(error.code() == ErrorCode::unsupported);
  CHECK_FALSE(fs::exists(helpers.directory.path() / "stored"));
}
