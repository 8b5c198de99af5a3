#include "auth_challenge.hpp"
#include "support/catch.hpp"

using namespace aipack;
using registry::Challenge;
using registry::parse_challenges;

namespace {

/// "bearer realm=https://a service=b | negotiate", parameters sorted by name.
std::string shown(const std::vector<Challenge>& challenges) {
  std::string text;
  for (const Challenge& challenge : challenges) {
    text += (text.empty() ? "" : " | ") + challenge.scheme;
    for (const auto& [name, value] : challenge.parameters) {
      text += " " + name + "=" + value;
    }
  }
  return text;
}

} // namespace

TEST_CASE("challenges are read as RFC 9110 writes them", "[registry][auth]") {
  struct Case {
    const char* header;
    const char* expected;
  };
  const auto c = GENERATE(values<Case>({
      {R"(Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push")",
       "bearer realm=https://auth.example/token scope=repository:a/b:pull,push service=r.example"},
      {"Basic realm=\"Registry\"", "basic realm=Registry"},
      {"BASIC Realm=x", "basic realm=x"},
      {"Basic", "basic"},
      {"Negotiate, Basic realm=\"a, b\"", "negotiate | basic realm=a, b"},
      {"Negotiate YII==, Bearer realm=\"x\"", "negotiate | bearer realm=x"},
      {"Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"",
       "newauth realm=apps title=Login to \"apps\" type=1 | basic realm=simple"},
      {"Bearer realm = \"x\" , service\t=\ty", "bearer realm=x service=y"},
      {", ,Basic realm=x,,", "basic realm=x"},
      {"Bearer realm=\"first\",realm=\"second\"", "bearer realm=first"},
      {"Bearer realm=,service=x", "bearer realm= service=x"},
      {"Bearer realm=\"not closed", "bearer realm=not closed"},
      {"Bearer realm=\"ends in \\", "bearer realm=ends in "},
      {"\"odd\", Basic realm=x", "basic realm=x"},
      {"=, Basic realm=x", "basic realm=x"},
      {"", ""},
      {"   ", ""},
  }));
  CAPTURE(c.header);
  CHECK(shown(parse_challenges(c.header)) == c.expected);
}

TEST_CASE("a challenge header cannot make its reader keep much", "[registry][auth]") {
  std::string many;
  for (int i = 0; i < 1000; ++i) {
    many += "Scheme" + std::to_string(i) + ", ";
  }
  CHECK(parse_challenges(many).size() == registry::max_challenges);

  std::string wide = "Bearer a=1";
  for (int i = 0; i < 1000; ++i) {
    wide += ", p" + std::to_string(i) + "=1";
  }
  const auto challenges = parse_challenges(wide);
  REQUIRE(challenges.size() == 1);
  CHECK(challenges[0].parameters.size() == registry::max_challenge_parameters);
}

TEST_CASE("all WWW-Authenticate headers of an answer count", "[registry][auth]") {
  const http::Response response{.status = 401,
                                .url = {},
                                .headers = {{"WWW-Authenticate", "Negotiate"},
                                            {"Content-Length", "0"},
                                            {"www-authenticate", "Basic realm=x"}}};
  CHECK(shown(registry::challenges_of(response)) == "negotiate | basic realm=x");
}
