#include "fixture.hpp"
#include "support/http_server.hpp"

#include <algorithm>
#include <thread>

using namespace aipack;
using namespace aipack::registry_test;
using test::RegistryAuth;

namespace {

RegistryServer make_server(RegistryAuth auth, RegistryDialect dialect = {}) {
  return RegistryServer({.dialect = std::move(dialect), .auth = std::move(auth)});
}

std::vector<test::RegistryRequest> token_requests(const RegistryServer& server) {
  auto all = server.log();
  std::erase_if(all, [](const auto& request) { return request.origin != test::Origin::token; });
  return all;
}

/// The scopes of a token request, as they stand in the query.
std::vector<std::string> scopes_of(const test::RegistryRequest& request) {
  std::vector<std::string> scopes;
  const std::string& target = request.target;
  for (std::size_t at = target.find("scope="); at != std::string::npos;
       at = target.find("scope=", at + 1)) {
    std::string scope = target.substr(at + 6, target.find('&', at) - at - 6);
    for (std::size_t mark = scope.find('%'); mark != std::string::npos; mark = scope.find('%')) {
      scope.replace(mark, 3, 1, static_cast<char>(std::stoi(scope.substr(mark + 1, 2), {}, 16)));
    }
    scopes.push_back(scope);
  }
  return scopes;
}

constexpr auto bearer = RegistryAuth::Kind::bearer;

} // namespace

TEST_CASE("a registry that asks for nothing is told nothing", "[registry][login]") {
  RegistryServer server = make_server({});
  const std::string digest = server.put_manifest("team/model", manifest_text(),
                                                 std::string(oci::media_type::manifest), "1");
  auto who = std::make_shared<KnownCredential>(server.host(), password());
  Registry client(options(who));
  const auto found = client.open(reference(server.host()), Access::pull).find("1", {});
  REQUIRE(found);
  CHECK(found->digest.to_string() == digest);
  CHECK(client.requests() == 1);
  CHECK_FALSE(server.log().at(0).header("Authorization"));
  CHECK(who->asked() == 0);
}

TEST_CASE("a password is sent once it is asked for, and from the start afterwards",
          "[registry][login]") {
  RegistryServer server = make_server({.kind = RegistryAuth::Kind::basic});
  server.put_blob("team/model", "x");
  auto who = std::make_shared<KnownCredential>(server.host(), password());
  Registry client(options(who));
  const auto repository = client.open(reference(server.host()), Access::pull);
  CHECK(repository.has_blob(blob_descriptor("x"), {}));
  CHECK(client.requests() == 2);
  CHECK(repository.has_blob(blob_descriptor("x"), {}));
  CHECK(client.open(reference(server.host()), Access::pull).has_blob(blob_descriptor("x"), {}));
  CHECK(client.requests() == 4);
  CHECK(server.count("", "/blobs/") == 4);
}

TEST_CASE("tokens are had from every kind of token server", "[registry][login]") {
  RegistryAuth auth{.kind = bearer};
  Credential who = password();
  std::string method = "GET";
  SECTION("as `token`") {
    auth.field = RegistryAuth::TokenField::token;
  }
  SECTION("as `access_token`") {
    auth.field = RegistryAuth::TokenField::access_token;
  }
  SECTION("without expires_in") {
    auth.expires_in.reset();
  }
  SECTION("among other challenges") {
    auth.other_challenges = {"Negotiate", "NTLM TlRMTVNT=="};
  }
  SECTION("without a scope in the challenge") {
    auth.scope_in_challenge = false;
  }
  SECTION("with an identity token, by POST") {
    who = {.username = "user", .identity_token = Secret(auth.refresh_token)};
    method = "POST";
  }
  RegistryServer server = make_server(auth);
  server.put_blob("team/model", "x");
  Registry client(options(store(server.host(), who)));
  CHECK(client.open(reference(server.host()), Access::pull).has_blob(blob_descriptor("x"), {}));
  CHECK(client.requests() == 3);
  REQUIRE(token_requests(server).size() == 1);
  CHECK(token_requests(server).at(0).method == method);
}

TEST_CASE("a token server without OAuth2 gets an identity token as a password",
          "[registry][login]") {
  const int status = GENERATE(404, 405);
  test::HttpServer tokens([&](const test::ServedRequest& request) -> test::Reply {
    if (request.method == "POST") {
      return {.status = status};
    }
    // base64 of "<token>:refresh-1"
    return request.header("Authorization") == "Basic PHRva2VuPjpyZWZyZXNoLTE="
               ? test::Reply{.body = R"({"token":"good"})"}
               : test::Reply{.status = 401};
  });
  test::HttpServer server([&](const test::ServedRequest& request) -> test::Reply {
    if (request.header("Authorization") == "Bearer good") {
      return {.body = "{}"};
    }
    return {.status = 401,
            .headers = {{"WWW-Authenticate", "Bearer realm=\"" + tokens.url("/token") + "\""}}};
  });
  Line line(server.host(), store(server.host(), {.identity_token = Secret("refresh-1")}));
  CHECK(line.get("/v2/").status == 200);
  CHECK(tokens.log().size() == 2);
}

TEST_CASE("an identity token that is replaced is used from then on", "[registry][login]") {
  RegistryServer server =
      make_server({.kind = bearer, .requests_per_token = 1, .rotates_refresh_token = true});
  server.put_blob("team/model", "x");
  Registry client(options(store(server.host(), {.identity_token = Secret("refresh-7d1f")})));
  const auto repository = client.open(reference(server.host()), Access::pull);
  for (int i = 0; i < 4; ++i) {
    CHECK(repository.has_blob(blob_descriptor("x"), {}));
  }
  CHECK(token_requests(server).size() == 4);
}

TEST_CASE("a registry token goes to the registry as it is", "[registry][login]") {
  test::HttpServer server([&](const test::ServedRequest& request) -> test::Reply {
    return request.header("Authorization") == "Bearer mine"
               ? test::Reply{.body = "{}"}
               : test::Reply{.status = 401,
                             .headers = {{"WWW-Authenticate",
                                          "Bearer realm=\"http://127.0.0.1:1/token\""}}};
  });
  Line good(server.host(), store(server.host(), {.registry_token = Secret("mine")}));
  CHECK(good.get("/v2/").status == 200);
  Line bad(server.host(), store(server.host(), {.registry_token = Secret("other")}));
  CHECK(failure_of([&] { bad.get("/v2/"); }).code() == ErrorCode::unauthenticated);
  CHECK(server.log().size() == 4);
}

TEST_CASE("one token is for everything: the target first, then what is mounted from",
          "[registry][login]") {
  RegistryServer server = make_server({.kind = bearer});
  server.put_blob("team/model", "x");
  Registry client(options(store(server.host())));
  const auto repository =
      client.open(reference(server.host()), Access::push, {"team/base", "library/debian"});
  CHECK(repository.has_blob(blob_descriptor("x"), {}));
  REQUIRE(token_requests(server).size() == 1);
  CHECK(scopes_of(token_requests(server)[0]) ==
        std::vector<std::string>{"repository:team/model:pull,push", "repository:team/base:pull",
                                 "repository:library/debian:pull"});
  CHECK_THAT(token_requests(server)[0].target, ContainsSubstring("service=test-registry"));
}

TEST_CASE("many threads that start together ask for one token", "[registry][login]") {
  RegistryServer server = make_server({.kind = bearer});
  server.put_blob("team/model", "x");
  Registry client(options(store(server.host())));
  const auto repository = client.open(reference(server.host()), Access::push);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] { CHECK(repository.has_blob(blob_descriptor("x"), {})); });
    }
  }
  CHECK(token_requests(server).size() == 1);
}

TEST_CASE("a token that ended is renewed, in the middle of the work too", "[registry][login]") {
  RegistryServer server = make_server({.kind = bearer, .requests_per_token = 3});
  server.put_blob("team/model", "x");
  Registry client(options(store(server.host())));
  const auto repository = client.open(reference(server.host()), Access::pull);
  for (int i = 0; i < 9; ++i) {
    CHECK(repository.has_blob(blob_descriptor("x"), {}));
  }
  CHECK(token_requests(server).size() == 3);
  server.revoke_tokens();
  CHECK(repository.has_blob(blob_descriptor("x"), {}));
  CHECK(token_requests(server).size() == 4);
}

TEST_CASE("a fresh token that is refused is final", "[registry][login]") {
  const int status = GENERATE(401, 403);
  RegistryServer server =
      make_server({.kind = bearer, .grants = {{"team/model", {"pull"}}}, .denied_status = status});
  server.put_blob("team/model", "{}");
  Registry client(options(store(server.host())));
  const auto repository = client.open(reference(server.host()), Access::push);
  const auto error = failure_of<RegistryError>(
      [&] { repository.put_manifest(document(manifest_text()), "1", {}); });
  CHECK(error.code() == (status == 401 ? ErrorCode::unauthenticated : ErrorCode::denied));
  CHECK(error.answer().status == status);
  CHECK_THAT(error.message(),
             ContainsSubstring("cannot push manifest '" + server.host() + "/team/model:1'"));
  if (status == 401) {
    CHECK_THAT(error.message(), ContainsSubstring("refused the credentials"));
    CHECK_THAT(error.hint(), ContainsSubstring("what 'user' may do at " + server.host()));
    CHECK_THAT(error.hint(), ContainsSubstring("aipack login " + server.host()));
  } else {
    CHECK_THAT(error.hint(), ContainsSubstring("ask for the right to push"));
  }
  CHECK(token_requests(server).size() == 1);
  CHECK(server.count("PUT") == 2);
}

TEST_CASE("who is not logged in is told so, who is with a wrong password too",
          "[registry][login]") {
  const auto kind = GENERATE(RegistryAuth::Kind::basic, bearer);
  const bool logged_in = GENERATE(false, true);
  CAPTURE(kind == bearer, logged_in);
  RegistryServer server = make_server({.kind = kind});
  Registry client(options(logged_in ? store(server.host(), password("wrong")) : nullptr));
  const auto error = failure_of([&] {
    static_cast<void>(client.open(reference(server.host()), Access::pull).find("1", {}));
  });
  CHECK(error.code() == ErrorCode::unauthenticated);
  CHECK_THAT(error.hint(), ContainsSubstring("aipack login " + server.host()));
  CHECK((error.message().find("refused the credentials") != std::string::npos) == logged_in);
  CHECK_THAT(error.message(), !ContainsSubstring("wrong"));
  CHECK(token_requests(server).size() == (kind == bearer ? 1 : 0));
}

TEST_CASE("a wrong password is sent once, however many threads wait for the token",
          "[registry][login]") {
  RegistryServer server = make_server({.kind = bearer});
  Registry client(options(store(server.host(), password("wrong"))));
  const auto repository = client.open(reference(server.host()), Access::pull);
  // The first request of each thread must be refused before any token is asked for.
  server.set_faults([](const test::RegistryRequest& request) -> RegistryFault {
    return request.origin == test::Origin::token
               ? RegistryFault{.kind = RegistryFault::Kind::answer, .status = 401}
               : RegistryFault{};
  });
  Operation op;
  CHECK_THROWS_AS(for_each_index(8, 8, op,
                                 [&](std::size_t, const Operation& inner) {
                                   static_cast<void>(
                                       repository.has_blob(blob_descriptor("x"), inner));
                                 }),
                  Error);
  // Threads that came late, after the first answer, may have asked once more each.
  CHECK(token_requests(server).size() < 8);
}

TEST_CASE("a token server must be where credentials may go", "[registry][login]") {
  const auto realm = GENERATE(values<std::string>({
      "http://169.254.169.254/latest/meta-data",
      "http://10.0.0.1/token",
      "http://[::1]:9/token",
      "http://localhost:9/token",
      "http://0x7f.1.1.1:9/token",
      "ftp://127.0.0.1/token",
      "/token",
      "nonsense",
      "file:///etc/passwd",
  }));
  CAPTURE(realm);
  RegistryServer server = make_server({.kind = bearer, .realm = realm});
  Registry client(options(store(server.host())));
  const auto error = failure_of<RegistryError>([&] {
    static_cast<void>(
        client.open(reference(server.host()), Access::pull).has_blob(blob_descriptor("x"), {}));
  });
  CHECK(error.code() == ErrorCode::denied);
  CHECK_THAT(error.message(), ContainsSubstring("as its token server"));
  CHECK(client.requests() == 1);
}

TEST_CASE("credentials do not follow a token server's redirect", "[registry][login]") {
  test::HttpServer stranger([](const test::ServedRequest&) -> test::Reply {
    return {.body = R"({"token":"anonymous"})"};
  });
  test::HttpServer tokens([&](const test::ServedRequest&) -> test::Reply {
    return {.status = 307, .headers = {{"Location", stranger.url("/token")}}};
  });
  test::HttpServer server([&](const test::ServedRequest& request) -> test::Reply {
    return request.header("Authorization") == "Bearer anonymous"
               ? test::Reply{.body = "{}"}
               : test::Reply{.status = 401,
                             .headers = {{"WWW-Authenticate",
                                          "Bearer realm=\"" + tokens.url("/token") + "\""}}};
  });
  SECTION("a password stays") {
    Line line(server.host(), store(server.host()));
    CHECK(line.get("/v2/").status == 200);
    REQUIRE(stranger.log().size() == 1);
    CHECK_FALSE(stranger.log()[0].header("Authorization"));
    CHECK(tokens.log()[0].header("Authorization"));
  }
  SECTION("a form with a token in it is not sent on") {
    Line line(server.host(), store(server.host(), {.identity_token = Secret("refresh-1")}));
    CHECK_THROWS_AS(line.get("/v2/"), RegistryError);
    CHECK(stranger.log().empty());
  }
}

TEST_CASE("only the registry itself can ask for credentials", "[registry][login]") {
  test::HttpServer tokens(
      [](const test::ServedRequest&) -> test::Reply { return {.body = R"({"token":"t"})"}; });
  test::HttpServer stranger([&](const test::ServedRequest&) -> test::Reply {
    return {.status = 401,
            .headers = {{"WWW-Authenticate", "Bearer realm=\"" + tokens.url("/token") + "\""},
                        {"WWW-Authenticate", "Basic realm=\"x\""}}};
  });
  test::HttpServer server([&](const test::ServedRequest&) -> test::Reply {
    return {.status = 307, .headers = {{"Location", stranger.url("/blob")}}};
  });
  Line line(server.host(), store(server.host()));
  CHECK(failure_of([&] { line.get("/v2/team/model/blobs/x"); }).code() ==
        ErrorCode::unauthenticated);
  CHECK(tokens.log().empty());
  CHECK(stranger.log().size() == 1);
  CHECK(failure_of([&] { line.get(stranger.url("/upload")); }).code() ==
        ErrorCode::unauthenticated);
  CHECK(tokens.log().empty());
}

TEST_CASE("an odd token server is an error, not a loop", "[registry][login]") {
  const auto reply = GENERATE(values<test::Reply>({
      {.body = "{}"},
      {.body = "<html>sign in</html>"},
      {.body = "{\"token\":\"a b\"}"},
      {.body = std::string(200'000, ' ')},
      {.status = 400, .body = R"({"error":"invalid_scope"})"},
      {.status = 500},
      {.status = 302, .headers = {{"Location", "http://10.0.0.1/token"}}},
      {.reset_before_reply = true},
  }));
  test::HttpServer tokens([&](const test::ServedRequest&) { return reply; });
  test::HttpServer server([&](const test::ServedRequest&) -> test::Reply {
    return {.status = 401,
            .headers = {{"WWW-Authenticate", "Bearer realm=\"" + tokens.url("/token") + "\""}}};
  });
  Line line(server.host(), store(server.host()));
  CHECK_THROWS_AS(line.get("/v2/"), Error);
  CHECK(tokens.log().size() <= hasty().attempts);
  CHECK(server.log().size() == 1);
}

TEST_CASE("a challenge that nobody can answer is a refusal", "[registry][login]") {
  const auto challenge = GENERATE(values<std::string>(
      {"Negotiate", "Bearer service=\"x\"", "Digest realm=\"x\", nonce=\"1\"", ""}));
  CAPTURE(challenge);
  test::HttpServer server([&](const test::ServedRequest&) -> test::Reply {
    return {.status = 401, .headers = {{"WWW-Authenticate", challenge}}};
  });
  Line line(server.host(), store(server.host()));
  CHECK(failure_of([&] { line.get("/v2/"); }).code() == ErrorCode::unauthenticated);
  CHECK(server.log().size() == 1);
}

TEST_CASE("a scope that only the challenge knows is asked for besides", "[registry][login]") {
  std::vector<std::string> asked;
  test::HttpServer tokens([&](const test::ServedRequest& request) -> test::Reply {
    const bool wide = request.target.find("registry%3Acatalog%3A%2A") != std::string::npos;
    return {.body = wide ? R"({"token":"wide"})" : R"({"token":"narrow"})"};
  });
  test::HttpServer server([&](const test::ServedRequest& request) -> test::Reply {
    if (request.header("Authorization") == "Bearer wide") {
      return {.body = "{}"};
    }
    const std::string scope = request.header("Authorization")
                                  ? ",error=\"insufficient_scope\",scope=\"registry:catalog:*\""
                                  : "";
    return {
        .status = 401,
        .headers = {{"WWW-Authenticate", "Bearer realm=\"" + tokens.url("/token") + "\"" + scope}}};
  });
  Line line(server.host(), store(server.host()));
  CHECK(line.get("/v2/_catalog").status == 200);
  CHECK(tokens.log().size() == 2);
}

TEST_CASE("login is checked against the registry", "[registry][login]") {
  struct Case {
    RegistryAuth::Kind kind;
    const char* word;
    std::optional<registry::LoginCheck> expected; ///< empty: refused
  };
  const auto c = GENERATE(values<Case>({
      {RegistryAuth::Kind::basic, "correct horse", registry::LoginCheck::verified},
      {RegistryAuth::Kind::basic, "wrong", std::nullopt},
      {RegistryAuth::Kind::bearer, "correct horse", registry::LoginCheck::verified},
      {RegistryAuth::Kind::bearer, "wrong", std::nullopt},
      {RegistryAuth::Kind::none, "wrong", registry::LoginCheck::not_asked},
  }));
  RegistryServer server = make_server({.kind = c.kind});
  Registry client(options());
  if (c.expected) {
    CHECK(client.check_login(server.host(), password(c.word), {}) == *c.expected);
  } else {
    CHECK(failure_of([&] {
            static_cast<void>(client.check_login(server.host(), password(c.word), {}));
          }).code() == ErrorCode::unauthenticated);
  }
}

TEST_CASE("a registry that lets everybody in and still looks at passwords refuses a wrong one",
          "[registry][login]") {
  test::HttpServer server([](const test::ServedRequest& request) -> test::Reply {
    const auto sent = request.header("Authorization");
    const bool good = !sent || *sent == "Basic dXNlcjpjb3JyZWN0IGhvcnNl";
    return good ? test::Reply{.body = "{}"}
                : test::Reply{.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=x"}}};
  });
  Registry client(options());
  CHECK(client.check_login(server.host(), password(), {}) == registry::LoginCheck::not_asked);
  CHECK_THROWS_AS(client.check_login(server.host(), password("wrong"), {}), RegistryError);
}
