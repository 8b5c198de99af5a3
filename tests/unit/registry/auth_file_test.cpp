#include "aipack/core/error.hpp"

#include "auth_file.hpp"
#include "base64.hpp"
#include "support/catch.hpp"

#include <string>

using namespace aipack;
using namespace aipack::registry;

namespace {

std::string auth(const std::string& pair) {
  return R"({"auth": ")" + base64_encode(pair) + R"("})";
}

/// "user:password" of what find() gives; "-" for nothing.
std::string found(const AuthFile& file, std::string_view host, std::string_view repository = "") {
  const auto credential = file.find(host, repository);
  return credential ? credential->username + ":" + credential->password.reveal() : "-";
}

std::string error_of(std::string_view text, std::string_view host = "r.example") {
  try {
    const auto file = AuthFile::parse(text, "config.json");
    static_cast<void>(file.own_helper(host));
    static_cast<void>(file.default_helper(host));
    static_cast<void>(file.find(host, "team/model"));
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    return error.message();
  }
  return {};
}

} // namespace

TEST_CASE("the longest path of an auth file wins, then its host", "[registry][auth_file]") {
  const auto file = AuthFile::parse(R"({"auths": {
    "r.example": )" + auth("host:1") + R"(,
    "r.example/team": )" + auth("team:2") +
                                        R"(,
    "r.example/team/model": )" + auth("model:3") +
                                        R"(,
    "r.example:5000": )" + auth("port:4") +
                                        "}}",
                                    "auth.json");
  CHECK(found(file, "r.example", "team/model") == "model:3");
  CHECK(found(file, "r.example", "team/model/part") == "model:3");
  CHECK(found(file, "r.example", "team/other") == "team:2");
  CHECK(found(file, "r.example", "teams/model") == "host:1");
  CHECK(found(file, "r.example", "") == "host:1");
  CHECK(found(file, "r.example:5000", "team/model") == "port:4");
  CHECK(found(file, "r.example:5001", "team/model") == "-");
  CHECK(found(file, "other.example") == "-");
  CHECK(found(file, "example") == "-");
}

TEST_CASE("keys that older dockers wrote are found", "[registry][auth_file]") {
  const std::string key =
      GENERATE("r.example", "https://r.example", "http://r.example", "https://r.example/",
               "https://r.example/v1/", "https://r.example/v2/", "r.example/v1/", "r.example/v2/",
               "R.Example", "https://R.EXAMPLE/v1/");
  INFO(key);
  const auto file =
      AuthFile::parse(R"({"auths": {")" + key + R"(": )" + auth("u:p") + "}}", "config.json");
  CHECK(found(file, "r.example", "team/model") == "u:p");
  CHECK(found(file, "sub.r.example", "team/model") == "-");
  CHECK(found(file, "r.example.net", "team/model") == "-");
}

TEST_CASE("a namespace's entry is not for its whole host", "[registry][auth_file]") {
  const auto file = AuthFile::parse(R"({"auths": {"r.example/team": )" + auth("u:p") + "}}", "a");
  CHECK(found(file, "r.example", "other/model") == "-");
  CHECK(found(file, "r.example", "") == "-");
}

TEST_CASE("every name of Docker Hub finds its credentials", "[registry][auth_file]") {
  const std::string key = GENERATE("https://index.docker.io/v1/", "docker.io", "index.docker.io",
                                   "registry-1.docker.io", "https://docker.io");
  INFO(key);
  const auto file =
      AuthFile::parse(R"({"auths": {")" + key + R"(": )" + auth("hub:p") + "}}", "config.json");
  CHECK(found(file, canonical_host("docker.io"), "library/busybox") == "hub:p");
  CHECK(found(file, canonical_host("registry-1.docker.io")) == "hub:p");
}

TEST_CASE("an exact key goes before a URL of the same host", "[registry][auth_file]") {
  const auto file = AuthFile::parse(R"({"auths": {"https://r.example/v1/": )" + auth("old:1") +
                                        R"(, "r.example": )" + auth("new:2") + "}}",
                                    "config.json");
  CHECK(found(file, "r.example") == "new:2");
}

TEST_CASE("an entry without a secret counts as none", "[registry][auth_file]") {
  const std::string entry =
      GENERATE("{}", R"({"auth": ""})", R"({"auth": null})", R"({"email": "a@b.example"})",
               R"({"auth": "dTo="})", R"({"username": "u"})");
  INFO(entry);
  const auto file = AuthFile::parse(R"({"auths": {"r.example": )" + entry + "}}", "config.json");
  CHECK(found(file, "r.example") == "-");
}

TEST_CASE("every form of a secret is read", "[registry][auth_file]") {
  const auto read = [](const std::string& entry) {
    return AuthFile::parse(R"({"auths": {"r.example": )" + entry + "}}", "config.json")
        .find("r.example", "")
        .value();
  };
  const auto pair = read(auth("user:pass:word"));
  CHECK(pair.username == "user");
  CHECK(pair.password.reveal() == "pass:word");

  const auto plain = read(R"({"username": "user", "password": "pass"})");
  CHECK(plain.username == "user");
  CHECK(plain.password.reveal() == "pass");

  CHECK(read(auth(std::string("user:pass\0\0", 11))).password.reveal() == "pass");

  const auto identity =
      read(R"({"auth": ")" + base64_encode("user:") + R"(", "identitytoken": "identity"})");
  CHECK(identity.username == "user");
  CHECK(identity.password.empty());
  CHECK(identity.identity_token.reveal() == "identity");

  const auto token_user_name = read(auth("<token>:identity"));
  CHECK(token_user_name.username.empty());
  CHECK(token_user_name.identity_token.reveal() == "identity");

  CHECK(read(R"({"registrytoken": "bearer"})").registry_token.reveal() == "bearer");
}

TEST_CASE("helpers are named for a host, or for all", "[registry][auth_file]") {
  const auto file = AuthFile::parse(R"({
    "credHelpers": {"gcr.example": "gcloud", "https://index.docker.io/v1/": "hub",
                    "r.example/team": "team"},
    "credsStore": "pass"})",
                                    "config.json");
  REQUIRE(file.own_helper("gcr.example"));
  CHECK(file.own_helper("gcr.example")->name == "gcloud");
  CHECK(file.own_helper("gcr.example")->server == "gcr.example");
  CHECK(file.own_helper("docker.io")->server == "https://index.docker.io/v1/");
  CHECK_FALSE(file.own_helper("r.example"));
  CHECK(file.default_helper("r.example")->name == "pass");
  CHECK(file.default_helper("r.example")->server == "r.example");
  CHECK(file.default_helper("docker.io")->server == "https://index.docker.io/v1/");
  CHECK_FALSE(AuthFile::parse(R"({"credsStore": ""})", "c").default_helper("r.example"));
}

TEST_CASE("the old .dockercfg is an auths object of its own", "[registry][auth_file]") {
  const auto file =
      AuthFile::parse(R"({"https://r.example/v1/": )" + auth("u:p") +
                          R"(, "credsStore": {}, "bare.example/path": )" + auth("b:p") + "}",
                      ".dockercfg", AuthFormat::legacy);
  CHECK(found(file, "r.example") == "u:p");
  CHECK(found(file, "bare.example") == "b:p");
  CHECK_FALSE(file.default_helper("r.example"));
}

TEST_CASE("an empty auth file is a file without credentials", "[registry][auth_file]") {
  const std::string text = GENERATE("", " \n", "{}", R"({"auths": null})", R"({"auths": {}})");
  INFO(text);
  CHECK(found(AuthFile::parse(text, "auth.json"), "r.example") == "-");
}

TEST_CASE("a broken entry of one registry does not hide another's", "[registry][auth_file]") {
  const auto file = AuthFile::parse(
      R"({"auths": {"broken.example": 7, "r.example": )" + auth("u:p") + "}}", "config.json");
  CHECK(found(file, "r.example") == "u:p");
  CHECK_THROWS_AS(file.find("broken.example", ""), FormatError);
}

TEST_CASE("malformed auth files are refused without a word of their content",
          "[registry][auth_file]") {
  const std::string s = "hunter2";
  const auto [text, cause] = GENERATE_COPY(table<std::string, std::string>({
      {R"({"auths": {"r.example": {"auth": ")" + s, "not valid JSON"},
      {s, "not valid JSON"},
      {"\xff\xfe{}", "not valid JSON"},
      {R"({"auths": {"r.example": {"auth": ")" + s + "\xff\"}}}", "not valid JSON"},
      {R"({"a": 1e999, "b": ")" + s + "\"}", "not valid JSON"},
      {R"([")" + s + R"("])", "no object"},
      {R"(")" + s + R"(")", "no object"},
      {R"({"auths": ")" + s + R"("})", "'auths' must be an object"},
      {R"({"auths": [")" + s + R"("]})", "'auths' must be an object"},
      {R"({"auths": {"r.example": ")" + s + R"("}})", "must be an object"},
      {R"({"auths": {"r.example": {"auth": {"k": ")" + s + R"("}}}})", "no string"},
      {R"({"auths": {"r.example": {"auth": ")" + s + R"("}}})", "'user:password' in base64"},
      {R"({"auths": {"r.example": {"auth": ")" + base64_encode(s) + R"("}}})",
       "'user:password' in base64"},
      {R"({"auths": {"r.example": {"username": [")" + s + R"("]}}})", "no string"},
      {R"({"auths": {"r.example": {"identitytoken": [")" + s + R"("]}}})", "no string"},
      {R"({"auths": {"r.example": {"registrytoken": "a\r\nX: )" + s + R"("}}})", "control"},
      {R"({"auths": {"r.example": {"auth": "a"}, "r.example": {"auth": ")" + s + R"("}}})",
       "stands twice"},
      {R"({")" + s + R"(": 1, ")" + s + R"(": 2})", "stands twice"},
      {R"({"credHelpers": ")" + s + R"("})", "'credHelpers' must be an object"},
      {R"({"credHelpers": {"r.example": {"k": ")" + s + R"("}}})", "names of helpers"},
      {R"({"credsStore": [")" + s + R"("]})", "'credsStore' must be the name"},
  }));
  INFO(text);
  const std::string message = error_of(text);
  CHECK_THAT(message, ContainsSubstring(cause));
  CHECK_THAT(message, ContainsSubstring("cannot read 'config.json'"));
  CHECK(message.find(s) == std::string::npos);
  CHECK(message.find(base64_encode(s)) == std::string::npos);
}

TEST_CASE("deep and huge auth files are refused", "[registry][auth_file]") {
  const std::size_t depth = 500'000;
  CHECK_THAT(error_of(R"({"auths": )" + std::string(depth, '[') + std::string(depth, ']') + "}"),
             ContainsSubstring("levels deep"));
  std::string objects;
  for (int i = 0; i < 1000; ++i) {
    objects += R"({"a":)";
  }
  CHECK_THAT(error_of(objects), ContainsSubstring("levels deep"));
  CHECK_THAT(error_of(R"({"a": ")" + std::string(max_auth_file_bytes, 'x') + "\"}"),
             ContainsSubstring("larger than"));
}

TEST_CASE("an edited auth file keeps everything else in its order", "[registry][auth_file]") {
  auto file = AuthFile::parse(
      R"({"zeta": [1, 2.5, {"b": null, "a": "ü"}], "auths": {"z.example": {"auth": "eDp5", "x": 1},
          "r.example": {"auth": "b2xkOm9sZA=="}, "a.example": {}}, "HttpHeaders": {"X": "y"}})",
      "config.json");
  const Credential credential{.username = "new", .password = Secret("pass")};
  file.set("r.example", "r.example", &credential);
  CHECK(nlohmann::ordered_json::parse(file.to_text()).dump() ==
        R"({"zeta":[1,2.5,{"b":null,"a":"ü"}],"auths":{"z.example":{"auth":"eDp5","x":1},)"
        R"("r.example":{"auth":"bmV3OnBhc3M="},"a.example":{}},"HttpHeaders":{"X":"y"}})");
  CHECK(file.erase("r.example"));
  CHECK_FALSE(file.erase("r.example"));
  CHECK(nlohmann::ordered_json::parse(file.to_text()).dump() ==
        R"({"zeta":[1,2.5,{"b":null,"a":"ü"}],"auths":{"z.example":{"auth":"eDp5","x":1},)"
        R"("a.example":{}},"HttpHeaders":{"X":"y"}})");
}

TEST_CASE("set writes over the entry that lookups read", "[registry][auth_file]") {
  const Credential credential{.username = "new", .password = Secret("pass")};
  auto file = AuthFile::parse(
      R"({"auths": {"r.example/team": {"auth": "dDp0"}, "https://r.example/v1/": {"auth": "bzpv"}}})",
      "config.json");
  file.set("r.example", "r.example", &credential);
  CHECK(found(file, "r.example") == "new:pass");
  CHECK(found(file, "r.example", "team/x") == "t:t");
  CHECK(nlohmann::json::parse(file.to_text())["auths"].size() == 2);
  CHECK(file.erase("r.example"));
  CHECK(found(file, "r.example") == "-");
  CHECK(found(file, "r.example", "team/x") == "t:t");
}

TEST_CASE("what set writes, find reads", "[registry][auth_file]") {
  const auto credential = GENERATE(
      Credential{.username = "u", .password = Secret("p:w\xC3\xBC\"\\\n")},
      Credential{.username = "", .password = Secret("p")},
      Credential{.username = "u", .identity_token = Secret("identity")},
      Credential{.identity_token = Secret("identity")}, Credential{.registry_token = Secret("t")});
  auto file = AuthFile::parse("", "config.json");
  file.set("r.example", "r.example", &credential);
  const auto read = AuthFile::parse(file.to_text(), "config.json").find("r.example", "");
  REQUIRE(read);
  CHECK(read->username == credential.username);
  CHECK((read->password == credential.password));
  CHECK((read->identity_token == credential.identity_token));
  CHECK((read->registry_token == credential.registry_token));
}

TEST_CASE("a token that JSON cannot hold is refused without quoting it", "[registry][auth_file]") {
  const Credential credential{.identity_token = Secret("hunter2\xff")};
  auto file = AuthFile::parse("", "config.json");
  file.set("r.example", "r.example", &credential);
  CHECK_THROWS_WITH(file.to_text(), "cannot write 'config.json': a token in it is not UTF-8");
}

TEST_CASE("a registry's name is a host with an optional port", "[registry][auth_file]") {
  CHECK(canonical_host("R.Example:5000") == "r.example:5000");
  CHECK(canonical_host("[::1]:5000") == "[::1]:5000");
  CHECK(canonical_host("localhost") == "localhost");
  CHECK(canonical_host("index.docker.io") == "docker.io");
  const std::string text = GENERATE("", "r.example/team", "https://r.example", "r.example\nx",
                                    "r.example:0", "r example", "registry", "r.example/");
  INFO(text);
  CHECK_THROWS_AS(canonical_host(text), Error);
}

TEST_CASE("a registry with a password in its name is refused without it", "[registry][auth_file]") {
  try {
    static_cast<void>(canonical_host("https://user:hunter2@r.example"));
    FAIL("was accepted");
  } catch (const Error& error) {
    CHECK(error.message().find("hunter2") == std::string::npos);
  }
}
