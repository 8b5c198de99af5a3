#include "support/catch.hpp"
#include "support/registry_server.hpp"
#include "unit/support/raw_client.hpp"
#include "unit/support/samples.hpp"

using namespace aipack::test;

namespace {

const std::string good = "Basic dXNlcjpjb3JyZWN0IGhvcnNl"; // user:correct horse

struct Fixture {
  explicit Fixture(RegistryAuth auth) : registry({.auth = std::move(auth)}) {
    registry.put_blob("m", hello);
  }
  RawReply as(const std::string& authorization, const std::string& method,
              const std::string& target, const std::string& body = {}) const {
    return client(method, target, body, {{"Authorization", authorization}});
  }
  /// A string member of a JSON answer.
  static std::string field(const RawReply& reply, const std::string& name) {
    const std::string key = "\"" + name + "\":\"";
    const auto at = reply.body.find(key);
    return at == std::string::npos
               ? ""
               : reply.body.substr(at + key.size(),
                                   reply.body.find('"', at + key.size()) - at - key.size());
  }
  [[nodiscard]] std::string token(const std::string& scope) const {
    return "Bearer " + field(token_server("GET", "/token?service=test-registry&scope=" + scope, "",
                                          {{"Authorization", good}}),
                             "token");
  }
  RawReply post(const std::string& form) const {
    return token_server("POST", "/token", "service=test-registry&client_id=test&" + form);
  }
  RegistryServer registry;
  RawClient client{registry};
  RawClient token_server{registry, Origin::token};
};

RegistryAuth bearer() {
  return {.kind = RegistryAuth::Kind::bearer};
}

const std::string blob = "/v2/m/blobs/" + hello_256;
const std::string uploads = "/v2/m/blobs/uploads/";

} // namespace

TEST_CASE("Basic credentials are asked for and checked", "[support][registry][auth]") {
  RegistryAuth auth{.kind = RegistryAuth::Kind::basic, .other_challenges = {"Negotiate"}};
  SECTION("always") {
    const Fixture f(auth);
    const auto reply = f.client("GET", "/v2/");
    CHECK(reply.status == 401);
    CHECK(std::count_if(reply.headers.begin(), reply.headers.end(), [](const auto& header) {
            return header.first == "WWW-Authenticate";
          }) == 2);
    CHECK_THAT(reply.body, ContainsSubstring("UNAUTHORIZED"));
    CHECK(f.as(good, "GET", "/v2/").status == 200);
    CHECK(f.as("Basic dXNlcjp3cm9uZw==", "GET", "/v2/").status == 401);
    CHECK(f.as("Basic !", "GET", "/v2/").status == 401);
    CHECK(f.client("GET", blob).status == 401);
  }
  SECTION("not to pull") {
    auth.anonymous_pull = true;
    const Fixture f(auth);
    CHECK(f.client("GET", blob).status == 200);
    CHECK(f.client("POST", uploads).status == 401);
  }
  SECTION("with rights") {
    auth.grants = {{"m", {"pull"}}};
    const Fixture f(auth);
    CHECK(f.as(good, "GET", blob).status == 200);
    CHECK(f.as(good, "POST", uploads).status == 403);
    CHECK(f.as(good, "GET", "/v2/other/tags/list").status == 403);
  }
}

TEST_CASE("A challenge names realm, service and scope", "[support][registry][auth]") {
  RegistryAuth auth = bearer();
  const Fixture f(auth);
  const std::string realm =
      "Bearer realm=\"" + f.registry.url("/token", Origin::token) + "\",service=\"test-registry\"";
  CHECK(f.client("GET", "/v2/")["WWW-Authenticate"] == realm);
  CHECK(f.client("GET", blob)["WWW-Authenticate"] == realm + ",scope=\"repository:m:pull\"");
  CHECK(f.client("POST", uploads)["WWW-Authenticate"] ==
        realm + ",scope=\"repository:m:pull,push\"");
  CHECK(f.client("DELETE", blob)["WWW-Authenticate"] == realm + ",scope=\"repository:m:delete\"");
  CHECK(f.client("POST", uploads + "?mount=" + hello_256 + "&from=n")["WWW-Authenticate"] ==
        realm + ",scope=\"repository:m:pull,push repository:n:pull\"");
}

TEST_CASE("A token opens what it was issued for and nothing else", "[support][registry][auth]") {
  const Fixture f(bearer());
  CHECK(f.token_server("GET", "/token?scope=repository:m:pull").status == 401);
  const std::string pull = f.token("repository:m:pull");
  CHECK(f.as(pull, "GET", blob).status == 200);
  const auto refused = f.as(pull, "POST", uploads);
  CHECK(refused.status == 401);
  CHECK_THAT(refused["WWW-Authenticate"], ContainsSubstring("error=\"insufficient_scope\""));
  CHECK(f.as(f.token("repository:m:pull,push"), "POST", uploads).status == 202);
  CHECK(f.as(f.token("repository:n:pull,push"), "POST", uploads).status == 401);
  CHECK(f.as(f.token("repository:n:pull+repository:m:push,pull"), "POST", uploads).status == 202);
  CHECK(f.as("Bearer made-up", "GET", blob).status == 401);
  CHECK(f.as(good, "GET", blob).status == 401);
}

TEST_CASE("A token ends after a time, after some requests, or when it is revoked",
          "[support][registry][auth]") {
  RegistryAuth auth = bearer();
  SECTION("requests") {
    auth.requests_per_token = 2;
    const Fixture f(auth);
    const std::string token = f.token("repository:m:pull");
    CHECK(f.as(token, "GET", blob).status == 200);
    CHECK(f.as(token, "GET", blob).status == 200);
    const auto reply = f.as(token, "GET", blob);
    CHECK(reply.status == 401);
    CHECK_THAT(reply["WWW-Authenticate"], ContainsSubstring("error=\"invalid_token\""));
  }
  SECTION("time") {
    auth.lifetime = std::chrono::milliseconds(0);
    const Fixture f(auth);
    CHECK(f.as(f.token("repository:m:pull"), "GET", blob).status == 401);
  }
  SECTION("revoked") {
    Fixture f(auth);
    const std::string token = f.token("repository:m:pull");
    f.registry.revoke_tokens();
    CHECK(f.as(token, "GET", blob).status == 401);
  }
}

TEST_CASE("Token answers come in the forms of the field", "[support][registry][auth]") {
  RegistryAuth auth = bearer();
  SECTION("one field or the other, no lifetime") {
    auth.field = RegistryAuth::TokenField::access_token;
    auth.expires_in.reset();
    const Fixture f(auth);
    const auto reply = f.token_server("GET", "/token", "", {{"Authorization", good}});
    CHECK(Fixture::field(reply, "token").empty());
    CHECK_FALSE(Fixture::field(reply, "access_token").empty());
    CHECK(reply.body.find("expires_in") == std::string::npos);
  }
  SECTION("only the first scope counts") {
    auth.first_scope_only = true;
    const Fixture f(auth);
    const std::string token = f.token("repository:n:pull&scope=repository:m:pull");
    CHECK(f.as(token, "GET", blob).status == 401);
  }
  SECTION("narrower than asked") {
    auth.grants = {{"*", {"pull"}}};
    auth.denied_status = 403;
    const Fixture f(auth);
    const std::string token = f.token("repository:m:pull,push");
    CHECK(f.as(token, "GET", blob).status == 200);
    CHECK(f.as(token, "POST", uploads).status == 403);
  }
  SECTION("for nobody in particular") {
    auth.anonymous_pull = true;
    const Fixture f(auth);
    const std::string token =
        "Bearer " +
        Fixture::field(f.token_server("GET", "/token?scope=repository:m:pull,push"), "token");
    CHECK(f.as(token, "GET", blob).status == 200);
    CHECK(f.as(token, "POST", uploads).status == 401);
  }
}

TEST_CASE("OAuth2: passwords, refresh tokens and their rotation", "[support][registry][auth]") {
  RegistryAuth auth = bearer();
  auth.rotates_refresh_token = true;
  Fixture f(auth);
  const std::string scope = "&scope=repository%3Am%3Apull";
  const auto by_password = f.post(
      "grant_type=password&username=user&password=correct+horse&access_type=offline" + scope);
  CHECK(by_password.status == 200);
  const std::string refresh = Fixture::field(by_password, "refresh_token");
  CHECK_FALSE(refresh.empty());
  CHECK(f.post("grant_type=password&username=user&password=wrong" + scope).status == 401);

  const auto first = f.post("grant_type=refresh_token&refresh_token=" + refresh + scope);
  CHECK(f.as("Bearer " + Fixture::field(first, "access_token"), "GET", blob).status == 200);
  const std::string rotated = Fixture::field(first, "refresh_token");
  CHECK(f.post("grant_type=refresh_token&refresh_token=" + refresh + scope).status == 401);
  CHECK(f.post("grant_type=refresh_token&refresh_token=" + rotated + scope).status == 200);
  // An identity token from a credential store.
  CHECK(f.post("grant_type=refresh_token&refresh_token=" + auth.refresh_token + scope).status ==
        200);
  CHECK(f.post("grant_type=magic" + scope).status == 400);
  CHECK(f.token_server("POST", "/token", "grant_type=password").status == 400);

  auth.oauth2 = false;
  f.registry.set_auth(auth);
  CHECK(f.post("grant_type=refresh_token&refresh_token=x" + scope).status == 404);
}

TEST_CASE("The realm can be anywhere, and what went astray is found", "[support][registry][auth]") {
  RegistryAuth auth = bearer();
  auth.realm = "http://localhost:{foreign_port}/token";
  const Fixture f(auth);
  CHECK_THAT(f.client("GET", "/v2/")["WWW-Authenticate"],
             ContainsSubstring("realm=\"http://localhost:" +
                               std::to_string(f.registry.port(Origin::foreign)) + "/token\""));
  const RawClient foreign(f.registry, Origin::foreign);
  CHECK(foreign("GET", "/token").status == 200);
  CHECK(f.registry.leaks().empty());
  (void)foreign("GET", "/token", "", {{"Authorization", good}});
  (void)foreign("GET", "/x?password=correct+horse", "");
  (void)foreign("GET", "/x", "", {{"X-Token", auth.refresh_token}});
  CHECK(f.registry.leaks().size() == 3);
}
