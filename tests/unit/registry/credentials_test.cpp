#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/registry/credentials.hpp"

#include "base64.hpp"
#include "support/catch.hpp"
#include "support/temp.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

using namespace aipack;
using namespace aipack::registry;

namespace fs = std::filesystem;

namespace {

/// A machine with a home, runtime files and variables of its own.
struct Machine {
  io::TempDirectory directory;
  fs::path root = directory.path();
  std::map<std::string, std::string> variables;
  std::vector<std::string> notices;
  fs::path auth_file;

  Machine() {
    fs::create_directories(root / "home");
    fs::create_directories(root / "bin");
    variables["PATH"] = (root / "bin").string() + ":/usr/bin:/bin";
  }
  [[nodiscard]] CredentialFiles open() {
    return CredentialFiles(
        {.auth_file = auth_file,
         .environment =
             [this](const char* name) {
               const auto found = variables.find(name);
               return found == variables.end() ? nullptr : found->second.c_str();
             },
         .home = root / "home",
         .run_dir = root / "run",
         .notice = [this](const std::string& sentence) { notices.push_back(sentence); }});
  }
  void put(const fs::path& file, const std::string& text) const {
    fs::create_directories((root / file).parent_path());
    testing::write_file(root / file, text);
  }
  /// An auth file with one entry.
  void login(const fs::path& file, const std::string& user, const std::string& key = "r.example") {
    put(file, R"({"auths": {")" + key + R"(": {"auth": ")" + base64_encode(user + ":p") + "\"}}}");
  }
  /// A helper that keeps one answer in a file, as real ones do in a key ring.
  void add_helper(const std::string& name) const {
    put("bin/docker-credential-" + name, "#!/bin/sh\nkept=\"$0.kept\"\ncase $1 in\n"
                                         "get) cat \"$kept\" 2>/dev/null || { echo credentials not "
                                         "found in native keychain; exit 1; };;\n"
                                         "store) cat > \"$kept\";;\n"
                                         "erase) rm \"$kept\" 2>/dev/null || { echo credentials "
                                         "not found in native keychain; exit 1; };;\n"
                                         "esac\n");
    fs::permissions(root / "bin" / ("docker-credential-" + name), fs::perms::owner_all);
  }
  [[nodiscard]] std::string read(const fs::path& file) const {
    return testing::read_file(root / file);
  }
};

std::string user_of(const std::optional<Credential>& credential) {
  return credential ? credential->username : "-";
}

template <class Fn>
Error error_of(Fn fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::internal, "no error"};
}

unsigned mode_of(const fs::path& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777U;
}

} // namespace

TEST_CASE("a secret has no way out but reveal()", "[registry][credentials]") {
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Secret, std::string>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<Secret, std::string_view>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<std::string, Secret>);
  Secret a("short");
  const Secret b = a;
  CHECK((a == b));
  const Secret c = std::move(a);
  CHECK((c == b));
  CHECK(a.empty()); // NOLINT: that a moved-from secret is empty is what is tested
  a = c;
  CHECK(a.reveal() == "short");
  a = Secret("another, which is long enough to live on the heap");
  CHECK(a.reveal().starts_with("another"));
}

TEST_CASE("a moved secret leaves no copy behind", "[registry][credentials]") {
  std::string text("short"); // shorter than what std::string keeps inside itself
  alignas(Secret) std::byte place[sizeof(Secret)];
  auto* secret = new (place) Secret(text);
  const Secret moved = std::move(*secret);
  secret->~Secret();
  const std::string_view bytes(reinterpret_cast<const char*>(place), sizeof(place));
  CHECK(bytes.find("short") == std::string_view::npos);
  CHECK(moved.reveal() == "short");
}

TEST_CASE("sources are asked in the documented order", "[registry][credentials]") {
  Machine machine;
  const auto uid = std::to_string(::getuid());
  machine.put("home/.dockercfg",
              R"({"r.example": {"auth": ")" + base64_encode("dockercfg:p") + "\"}}");
  const auto user = [&] { return user_of(machine.open().find("r.example", "team/model", {})); };
  CHECK(user() == "dockercfg");
  machine.login("home/.docker/config.json", "docker");
  CHECK(user() == "docker");
  machine.login("docker/config.json", "docker-config");
  machine.variables["DOCKER_CONFIG"] = (machine.root / "docker").string();
  CHECK(user() == "docker-config");
  machine.login("home/.config/containers/auth.json", "config");
  CHECK(user() == "config");
  machine.login("xdg/containers/auth.json", "xdg-config");
  machine.variables["XDG_CONFIG_HOME"] = (machine.root / "xdg").string();
  CHECK(user() == "xdg-config");
  machine.login("run/user/" + uid + "/containers/auth.json", "run-user");
  CHECK(user() == "run-user");
  machine.login("run/containers/" + uid + "/auth.json", "run");
  CHECK(user() == "run");
  machine.variables["XDG_RUNTIME_DIR"] = (machine.root / "runtime").string();
  CHECK(user() == "xdg-config"); // a runtime directory without the file
  machine.login("runtime/containers/auth.json", "runtime");
  CHECK(user() == "runtime");
  machine.login("explicit.json", "registry-auth-file");
  machine.variables["REGISTRY_AUTH_FILE"] = (machine.root / "explicit.json").string();
  CHECK(user() == "registry-auth-file");
  machine.variables["AIPACK_REGISTRY"] = "r.example";
  machine.variables["AIPACK_REGISTRY_USER"] = "environment";
  machine.variables["AIPACK_REGISTRY_PASSWORD"] = "p";
  CHECK(user() == "environment");
  machine.login("option.json", "authfile");
  machine.auth_file = machine.root / "option.json";
  CHECK(user() == "authfile");
  machine.login("option.json", "authfile", "other.example");
  CHECK(user() == "environment");
  CHECK(user_of(machine.open().find("nowhere.example", "", {})) == "-");
}

TEST_CASE("a credential says where it came from", "[registry][credentials]") {
  Machine machine;
  machine.login("home/.docker/config.json", "u");
  CHECK(machine.open().find("r.example", "", {})->origin == "'~/.docker/config.json'");
  machine.login("elsewhere.json", "u");
  machine.auth_file = machine.root / "elsewhere.json";
  CHECK(machine.open().find("r.example", "", {})->origin ==
        "'" + (machine.root / "elsewhere.json").string() + "'");
}

TEST_CASE("no home, no variables: anonymous", "[registry][credentials]") {
  const Machine machine;
  CredentialFiles files({.run_dir = machine.root});
  CHECK_FALSE(files.find("r.example", "team/model", {}));
  CHECK(error_of([&] { files.store("r.example", {.username = "u"}, {}); }).code() ==
        ErrorCode::invalid_input);
}

TEST_CASE("relative XDG directories are ignored", "[registry][credentials]") {
  Machine machine;
  machine.variables["XDG_CONFIG_HOME"] = "relative";
  machine.variables["XDG_RUNTIME_DIR"] = "relative";
  machine.login("home/.config/containers/auth.json", "config");
  CHECK(user_of(machine.open().find("r.example", "", {})) == "config");
}

TEST_CASE("credentials of the environment go to their one registry", "[registry][credentials]") {
  Machine machine;
  machine.variables["AIPACK_REGISTRY"] = "r.example:5000";
  machine.variables["AIPACK_REGISTRY_USER"] = "u";
  machine.variables["AIPACK_REGISTRY_PASSWORD"] = "hunter2";
  auto files = machine.open();
  const auto credential = files.find("R.example:5000", "team/model", {});
  REQUIRE(credential);
  CHECK(credential->password.reveal() == "hunter2");
  CHECK(credential->origin == "the environment");
  const std::string other = GENERATE("r.example", "r.example:5001", "sub.r.example:5000",
                                     "r.example.evil.example:5000", "docker.io");
  CHECK_FALSE(files.find(other, "team/model", {}));
}

TEST_CASE("the environment can hold tokens", "[registry][credentials]") {
  Machine machine;
  machine.variables["AIPACK_REGISTRY"] = "docker.io";
  machine.variables["AIPACK_REGISTRY_TOKEN"] = "bearer";
  CHECK(machine.open().find("docker.io", "a/b", {})->registry_token.reveal() == "bearer");
  machine.variables.erase("AIPACK_REGISTRY_TOKEN");
  machine.variables["AIPACK_REGISTRY_USER"] = "<token>";
  machine.variables["AIPACK_REGISTRY_PASSWORD"] = "identity";
  CHECK(machine.open().find("docker.io", "a/b", {})->identity_token.reveal() == "identity");
}

TEST_CASE("a contradictory environment is refused without quoting it", "[registry][credentials]") {
  using Variables = std::map<std::string, std::string>;
  const auto [variables, cause] = GENERATE(table<Variables, std::string>({
      {{{"AIPACK_REGISTRY_USER", "u"}, {"AIPACK_REGISTRY_PASSWORD", "hunter2"}},
       "AIPACK_REGISTRY does not say which registry"},
      {{{"AIPACK_REGISTRY_TOKEN", "hunter2"}}, "AIPACK_REGISTRY does not say which registry"},
      {{{"AIPACK_REGISTRY", ""}, {"AIPACK_REGISTRY_TOKEN", "hunter2"}},
       "AIPACK_REGISTRY does not say which registry"},
      {{{"AIPACK_REGISTRY", "r.example"}, {"AIPACK_REGISTRY_PASSWORD", "hunter2"}},
       "AIPACK_REGISTRY_USER is not set"},
      {{{"AIPACK_REGISTRY", "r.example"}, {"AIPACK_REGISTRY_USER", "hunter2"}},
       "AIPACK_REGISTRY_PASSWORD is not set"},
      {{{"AIPACK_REGISTRY", "r.example"},
        {"AIPACK_REGISTRY_USER", "u"},
        {"AIPACK_REGISTRY_TOKEN", "hunter2"}},
       "stands beside"},
      {{{"AIPACK_REGISTRY", "r.example"}, {"AIPACK_REGISTRY_TOKEN", "hunter2\r\nHost: evil"}},
       "control characters"},
      {{{"AIPACK_REGISTRY", "https://u:hunter2@r.example"},
        {"AIPACK_REGISTRY_USER", "u"},
        {"AIPACK_REGISTRY_PASSWORD", "hunter2"}},
       "no host name"},
  }));
  Machine machine;
  machine.variables.insert(variables.begin(), variables.end());
  const std::string host = GENERATE("r.example", "other.example");
  const auto error = error_of([&] { static_cast<void>(machine.open().find(host, "", {})); });
  CHECK(error.code() == ErrorCode::invalid_input);
  CHECK_THAT(error.message(), ContainsSubstring(cause));
  CHECK(error.message().find("hunter2") == std::string::npos);
  CHECK(error.hint().find("hunter2") == std::string::npos);
}

TEST_CASE("an auth file that was named must be there", "[registry][credentials]") {
  Machine machine;
  machine.login("home/.docker/config.json", "u");
  SECTION("by option") {
    machine.auth_file = machine.root / "gone.json";
  }
  SECTION("by variable") {
    machine.variables["REGISTRY_AUTH_FILE"] = (machine.root / "gone.json").string();
  }
  const auto error = error_of([&] { static_cast<void>(machine.open().find("r.example", "", {})); });
  CHECK(error.code() == ErrorCode::invalid_input);
  CHECK_THAT(error.message(), ContainsSubstring("gone.json"));
}

TEST_CASE("a helper of the host goes before everything else in its file",
          "[registry][credentials]") {
  Machine machine;
  machine.add_helper("ring");
  machine.put("bin/docker-credential-ring.kept", R"({"Username":"helper","Secret":"p"})");
  machine.put("home/.docker/config.json",
              R"({"credHelpers": {"r.example": "ring"}, "credsStore": "missing",
                  "auths": {"r.example": {"auth": ")" +
                  base64_encode("file:p") + "\"}}}");
  const auto credential = machine.open().find("r.example", "", {});
  CHECK(user_of(credential) == "helper");
  CHECK(credential->origin == "docker-credential-ring (named in '~/.docker/config.json')");
  machine.put("home/.docker/config.json", R"({"credHelpers": {"r.example": "missing"}})");
  CHECK(error_of([&] { static_cast<void>(machine.open().find("r.example", "", {})); }).code() ==
        ErrorCode::unauthenticated);
  CHECK_FALSE(machine.open().find("other.example", "", {}));
  CHECK(machine.notices.empty());
}

TEST_CASE("a store for all registries that does not work is passed over with a notice",
          "[registry][credentials]") {
  Machine machine;
  const std::string name = GENERATE("missing", "broken", "../x");
  machine.put("bin/docker-credential-broken", "#!/bin/sh\necho hunter2\nexit 1\n");
  fs::permissions(machine.root / "bin/docker-credential-broken", fs::perms::owner_all);
  machine.put("home/.docker/config.json", R"({"credsStore": ")" + name +
                                              R"(", "auths": {"r.example": {"auth": ")" +
                                              base64_encode("file:p") + "\"}}}");
  CHECK(user_of(machine.open().find("r.example", "", {})) == "file");
  REQUIRE(machine.notices.size() == 1);
  CHECK_THAT(machine.notices[0], ContainsSubstring(name));
  CHECK(machine.notices[0].find("hunter2") == std::string::npos);
}

TEST_CASE("a store for all registries goes before the entries of its file",
          "[registry][credentials]") {
  Machine machine;
  machine.add_helper("ring");
  machine.put("home/.docker/config.json",
              R"({"credsStore": "ring", "auths": {"r.example": {"auth": ")" +
                  base64_encode("file:p") + "\"}}}");
  CHECK(user_of(machine.open().find("r.example", "", {})) == "file"); // the ring is empty
  machine.put("bin/docker-credential-ring.kept", R"({"Username":"helper","Secret":"p"})");
  CHECK(user_of(machine.open().find("r.example", "", {})) == "helper");
}

TEST_CASE("a login is stored where docker finds it, for the user's eyes only",
          "[registry][credentials]") {
  Machine machine;
  auto files = machine.open();
  CHECK(files.store("R.example:5000", {.username = "u", .password = Secret("p")}, {}) ==
        "'~/.docker/config.json'");
  CHECK(files.store("docker.io", {.username = "h", .password = Secret("p")}, {}) ==
        "'~/.docker/config.json'");
  CHECK(machine.read("home/.docker/config.json") ==
        "{\n\t\"auths\": {\n\t\t\"r.example:5000\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t},\n"
        "\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"aDpw\"\n\t\t}\n\t}\n}\n");
  CHECK(mode_of(machine.root / "home/.docker/config.json") == 0600);
  CHECK(mode_of(machine.root / "home/.docker") == 0700);
  CHECK(user_of(files.find("r.example:5000", "team/model", {})) == "u");
  CHECK(user_of(files.find("docker.io", "library/x", {})) == "h");
}

TEST_CASE("a login over an open file closes it and keeps the rest", "[registry][credentials]") {
  Machine machine;
  machine.put("home/.docker/config.json",
              R"({"psFormat": "x", "auths": {"a.example": {"auth": "dTpw"}}, "zz": [1]})");
  fs::permissions(machine.root / "home/.docker/config.json", fs::perms(0644));
  auto files = machine.open();
  files.store("r.example", {.username = "u", .password = Secret("p")}, {});
  CHECK(mode_of(machine.root / "home/.docker/config.json") == 0600);
  CHECK(machine.read("home/.docker/config.json") ==
        "{\n\t\"psFormat\": \"x\",\n\t\"auths\": {\n\t\t\"a.example\": {\n\t\t\t\"auth\": "
        "\"dTpw\"\n\t\t},\n\t\t\"r.example\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t},\n\t\"zz\": "
        "[\n\t\t1\n\t]\n}\n");
}

TEST_CASE("a linked config file stays a link", "[registry][credentials]") {
  Machine machine;
  machine.put("dotfiles/docker.json", "{}");
  fs::create_directories(machine.root / "home/.docker");
  fs::create_symlink(machine.root / "dotfiles/docker.json",
                     machine.root / "home/.docker/config.json");
  machine.open().store("r.example", {.username = "u", .password = Secret("p")}, {});
  CHECK(fs::is_symlink(machine.root / "home/.docker/config.json"));
  CHECK_THAT(machine.read("dotfiles/docker.json"), ContainsSubstring("r.example"));
}

TEST_CASE("a login goes to the file that was named", "[registry][credentials]") {
  Machine machine;
  const auto file = machine.root / "new" / "auth.json";
  SECTION("by option") {
    machine.auth_file = file;
  }
  SECTION("by variable") {
    machine.variables["REGISTRY_AUTH_FILE"] = file.string();
  }
  auto files = machine.open();
  CHECK(files.store("docker.io", {.username = "u", .password = Secret("p")}, {}) ==
        "'" + file.string() + "'");
  CHECK(machine.read("new/auth.json") ==
        "{\n\t\"auths\": {\n\t\t\"docker.io\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t}\n}\n");
  CHECK_FALSE(fs::exists(machine.root / "home/.docker"));
  CHECK(user_of(files.find("docker.io", "", {})) == "u");
}

TEST_CASE("a login goes through the helper that the file names", "[registry][credentials]") {
  Machine machine;
  machine.add_helper("ring");
  SECTION("for the host") {
    machine.put(
        "home/.docker/config.json",
        R"({"credHelpers": {"r.example": "ring"}, "auths": {"r.example": {"auth": "bzpv"}}})");
  }
  SECTION("for all") {
    machine.put("home/.docker/config.json",
                R"({"credsStore": "ring", "auths": {"r.example": {"auth": "bzpv"}}})");
  }
  auto files = machine.open();
  CHECK(files.store("r.example", {.username = "u", .password = Secret("hunter2")}, {}) ==
        "docker-credential-ring (named in '~/.docker/config.json')");
  CHECK(machine.read("bin/docker-credential-ring.kept") ==
        R"({"ServerURL":"r.example","Username":"u","Secret":"hunter2"})");
  CHECK(machine.read("home/.docker/config.json").find("bzpv") == std::string::npos);
  CHECK(machine.read("home/.docker/config.json").find("hunter2") == std::string::npos);
  CHECK(user_of(files.find("r.example", "", {})) == "u");
  CHECK(files.erase("r.example", {}) ==
        "docker-credential-ring (named in '~/.docker/config.json')");
  CHECK_FALSE(files.find("r.example", "", {}));
  CHECK_FALSE(files.erase("r.example", {}));
}

TEST_CASE("a helper that cannot store leaves the file alone", "[registry][credentials]") {
  Machine machine;
  const std::string text = R"({"credsStore": "missing", "auths": {"r.example": {"auth": "dTpw"}}})";
  machine.put("home/.docker/config.json", text);
  const auto error = error_of([&] {
    machine.open().store("r.example", {.username = "u", .password = Secret("hunter2")}, {});
  });
  CHECK(error.code() == ErrorCode::unauthenticated);
  CHECK(error.message().find("hunter2") == std::string::npos);
  CHECK(machine.read("home/.docker/config.json") == text);
}

TEST_CASE("a logout removes the registry from the file and nothing else",
          "[registry][credentials]") {
  Machine machine;
  CHECK_FALSE(machine.open().erase("r.example", {}));
  CHECK_FALSE(fs::exists(machine.root / "home/.docker"));
  machine.put(
      "home/.docker/config.json",
      R"({"auths": {"r.example": {"auth": "dTpw"}, "https://r.example/v1/": {"auth": "dTpw"},
                  "r.example/team": {"auth": "dDp0"}, "a.example": {"auth": "dTpw"}}, "k": 1})");
  auto files = machine.open();
  CHECK(files.erase("r.example", {}) == "'~/.docker/config.json'");
  CHECK_FALSE(files.find("r.example", "", {}));
  CHECK(user_of(files.find("r.example", "team/x", {})) == "t");
  CHECK(user_of(files.find("a.example", "", {})) == "u");
  const auto before = machine.read("home/.docker/config.json");
  const auto inode = fs::last_write_time(machine.root / "home/.docker/config.json");
  CHECK_FALSE(files.erase("r.example", {}));
  CHECK(machine.read("home/.docker/config.json") == before);
  CHECK(fs::last_write_time(machine.root / "home/.docker/config.json") == inode);
}

TEST_CASE("a file that cannot be understood is never overwritten", "[registry][credentials]") {
  Machine machine;
  machine.put("home/.docker/config.json", "{ hunter2");
  const auto error = error_of(
      [&] { machine.open().store("r.example", {.username = "u", .password = Secret("p")}, {}); });
  CHECK(error.code() == ErrorCode::invalid_input);
  CHECK(error.message().find("hunter2") == std::string::npos);
  CHECK(machine.read("home/.docker/config.json") == "{ hunter2");
}

TEST_CASE("logins at the same time lose nothing", "[registry][credentials]") {
  Machine machine;
  auto files = machine.open();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&files, i] {
      files.store("r" + std::to_string(i) + ".example", {.username = "u", .password = Secret("p")},
                  {});
    });
  }
  threads.clear();
  for (int i = 0; i < 8; ++i) {
    CHECK(user_of(files.find("r" + std::to_string(i) + ".example", "", {})) == "u");
  }
  CHECK(testing::names_in(machine.root / "home/.docker") == std::set<std::string>{"config.json"});
}
