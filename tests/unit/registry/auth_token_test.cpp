#include "aipack/core/error.hpp"

#include "auth_token.hpp"
#include "support/catch.hpp"

using namespace aipack;
using registry::parse_token_answer;
using registry::ScopeSet;
using Texts = std::vector<std::string>;

TEST_CASE("a token answer gives the token and how long it lives", "[registry][auth]") {
  struct Case {
    const char* body;
    const char* token;
    int seconds;
    const char* refresh_token;
  };
  const auto c = GENERATE(values<Case>({
      {R"({"token":"a.b.c"})", "a.b.c", 60, ""},
      {R"({"access_token":"new","token":"old","expires_in":300})", "new", 300, ""},
      {R"({"access_token":"","token":"old"})", "old", 60, ""},
      {R"({"access_token":null,"token":"old","expires_in":null})", "old", 60, ""},
      {R"({"token":"t","expires_in":0})", "t", 60, ""},
      {R"({"token":"t","expires_in":-5})", "t", 60, ""},
      {R"({"token":"t","expires_in":"300"})", "t", 60, ""},
      {R"({"token":"t","expires_in":1e300})", "t", 60, ""},
      {R"({"token":"t","expires_in":18446744073709551615})", "t", 86400, ""},
      {R"({"access_token":"t","refresh_token":"r","issued_at":"2026-01-01T00:00:00Z"})", "t", 60,
       "r"},
  }));
  CAPTURE(c.body);
  const auto answer = parse_token_answer(c.body);
  CHECK(answer.token.reveal() == c.token);
  CHECK(answer.lifetime == std::chrono::seconds(c.seconds));
  CHECK(answer.refresh_token.reveal() == c.refresh_token);
}

TEST_CASE("a token answer that is none is refused without quoting it", "[registry][auth]") {
  const auto body = GENERATE(values<std::string>({
      "",
      "secret-1",
      "{}",
      "[]",
      R"({"token":12})",
      R"({"token":"secret-1 with space"})",
      "{\"token\":\"secret-1\\r\\nHost: evil\"}",
      R"({"token":"secret-1","token":"secret-2"})",
      R"({"token":"secret-1")",
      "<html>secret-1</html>",
      std::string(100'000, '['),
  }));
  CAPTURE(body.substr(0, 80));
  try {
    static_cast<void>(parse_token_answer(body));
    FAIL("it was accepted");
  } catch (const FormatError& error) {
    CHECK_THAT(error.message(), !ContainsSubstring("secret-"));
  }
}

TEST_CASE("scopes are kept in order, each resource once, actions sorted", "[registry][auth]") {
  ScopeSet scopes;
  CHECK(scopes.add("repository:team/model:push,pull"));
  CHECK(scopes.add("repository:team/base:pull"));
  CHECK_FALSE(scopes.add("repository:team/model:pull"));
  CHECK(scopes.add("repository:team/model:delete"));
  CHECK(scopes.texts() ==
        Texts{"repository:team/model:delete,pull,push", "repository:team/base:pull"});

  // What a challenge asks for besides.
  CHECK(scopes.add_all("repository:team/model:pull registry:catalog:*"));
  CHECK_FALSE(scopes.add_all("repository:team/model:pull registry:catalog:*"));
  CHECK(scopes.texts().back() == "registry:catalog:*");
}

TEST_CASE("what is no scope is not asked for", "[registry][auth]") {
  ScopeSet scopes;
  const auto text = GENERATE(values<std::string>(
      {"", ":", ":pull", "repository", "repository:a:", "repository:a:,", "repository:a b:pull",
       "repository:a\r\nX: y:pull", std::string(registry::max_scope_text, 'a') + ":pull"}));
  CAPTURE(text);
  CHECK_FALSE(scopes.add(text));
  CHECK(scopes.texts().empty());
}

TEST_CASE("a challenge cannot make the list of scopes grow without end", "[registry][auth]") {
  ScopeSet scopes;
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    all += "repository:a" + std::to_string(i) + ":pull ";
  }
  CHECK(scopes.add_all(all));
  CHECK(scopes.texts().size() == registry::max_scopes);
}
