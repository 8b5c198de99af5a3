#include "explain_body.hpp"
#include "session.hpp"
#include "support/catch.hpp"

using namespace aipack;
using registry::Fault;

namespace {

registry::Call call(std::string method) {
  registry::Call made;
  made.verb = "push blob 'sha256:1'";
  made.method = std::move(method);
  return made;
}

http::Response answer(int status, std::string body, std::string type = "application/json") {
  return {.status = status,
          .url = "https://user:pass@r.example/v2/a/blobs/x?token=secret-1",
          .headers = {{"Content-Type", std::move(type)}, {"X-Request-Id", "req-7"}},
          .body = std::move(body)};
}

std::string fault(std::string_view code, std::string_view message = "") {
  return R"({"errors":[{"code":")" + std::string(code) + R"(","message":")" + std::string(message) +
         R"("}]})";
}

} // namespace

TEST_CASE("error bodies are read, whoever wrote them", "[registry][error]") {
  struct Case {
    const char* body;
    std::vector<Fault> expected;
  };
  const auto c = GENERATE(values<Case>({
      {R"({"errors":[{"code":"DENIED","message":"no","detail":null}]})", {{"DENIED", "no", ""}}},
      {R"({"errors":[{"code":"A"},{"code":"B","detail":{"x":[1]}},7]})",
       {{"A", "", ""}, {"B", "", R"({"x":[1]})"}}},
      {R"({"errors":[{"code":"A","detail":"text"}]})", {{"A", "", "text"}}},
      {R"({"details":"incorrect username or password"})",
       {{"", "incorrect username or password", ""}}},
      {R"({"error":"invalid_grant","error_description":"expired"})", {{"", "expired", ""}}},
      {R"({"errors":"none","message":"down"})", {{"", "down", ""}}},
      {R"({"errors":[]})", {}},
      {"You have reached your pull rate limit.\nMore at …",
       {{"", "You have reached your pull rate limit.", ""}}},
      {"<html><body>no</body></html>", {}},
      {"{\"errors\":[{\"code\":\"A\"", {}},
      {"", {}},
  }));
  CAPTURE(c.body);
  CHECK(registry::parse_faults(c.body) == c.expected);
}

TEST_CASE("nothing that a server writes reaches the terminal's controls", "[registry][error]") {
  CHECK(registry::printable("a\x1b[31mb\r\nc\td", 100) == "a\\x1b[31mb  c d");
  CHECK(registry::printable("it's \\ \"fine\"", 100) == "it's \\ \"fine\"");
  CHECK(registry::printable("\xe2\x80\xae"
                            "evil",
                            100) == "\\xe2\\x80\\xaeevil");
  CHECK(registry::printable("\xff\xfe", 100) == "\\xff\\xfe");
  CHECK(registry::printable("  x  ", 100) == "x");
  CHECK(registry::printable("grün", 4) == "gr\xc3\xbc");
  CHECK(registry::printable(std::string(5000, '\x1b'), 512).size() <= 512);

  const auto faults = registry::parse_faults(
      "{\"errors\":[{\"code\":\"A\\u001b]0;x\\u0007\",\"message\":\"\\u001b[2J\",\"detail\":"
      "\"\\u202e\"}]}");
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].code == "A\\x1b]0;x\\x07");
  CHECK(faults[0].message == "\\x1b[2J");
  CHECK(faults[0].detail == "\\xe2\\x80\\xae");
}

TEST_CASE("an explanation says what, by whom, in whose words, and what to do",
          "[registry][error]") {
  const auto error =
      registry::explain(call("PUT"), answer(403, fault("DENIED", "requested access is denied")), 3,
                        {.host = "r.example", .logged_in = true, .user = "ada"});
  CHECK(error.code() == ErrorCode::denied);
  CHECK(error.message() ==
        "cannot push blob 'sha256:1': the registry answered 403 (forbidden) to PUT "
        "'https://r.example/v2/a/blobs/x': DENIED \"requested access is denied\" "
        "[request id 'req-7', 3 tries]");
  CHECK(error.hint() == "ask for the right to push to this repository at r.example");
  CHECK(error.answer().status == 403);
  CHECK(error.answer().url == "https://r.example/v2/a/blobs/x");
  CHECK(error.answer().request_id == "req-7");
  CHECK(error.answer().tries == 3);
  CHECK(error.has("DENIED"));
}

TEST_CASE("each refusal has its code and its advice", "[registry][error]") {
  struct Case {
    const char* method;
    int status;
    std::string body;
    bool logged_in;
    ErrorCode code;
    const char* message; ///< a part of it
    const char* hint;    ///< a part of it; empty: there is none
  };
  const auto c = GENERATE(values<Case>({
      {"GET", 401, fault("UNAUTHORIZED"), false, ErrorCode::unauthenticated,
       "the registry answered 401", "log in with `aipack login r.example`"},
      {"GET", 401, fault("UNAUTHORIZED"), true, ErrorCode::unauthenticated,
       "refused the credentials, it answered 401", "what 'ada' may do at r.example"},
      {"GET", 403, fault("DENIED"), false, ErrorCode::denied, "403", "aipack login r.example"},
      {"PUT", 403, fault("DENIED", "adding 3 GiB will exceed the configured upper limit"), true,
       ErrorCode::denied, "upper limit", "free space at r.example"},
      {"PUT", 507, "", true, ErrorCode::denied, "insufficient storage", "free space"},
      {"PUT", 404, fault("NAME_UNKNOWN"), true, ErrorCode::not_found, "NAME_UNKNOWN",
       "create the repository first"},
      {"GET", 404, fault("NAME_UNKNOWN"), false, ErrorCode::not_found, "NAME_UNKNOWN",
       "log in with `aipack login r.example`"},
      {"GET", 404, fault("MANIFEST_UNKNOWN"), true, ErrorCode::not_found, "MANIFEST_UNKNOWN", ""},
      {"PUT", 400, R"({"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","detail":"sha256:77"}]})", true,
       ErrorCode::not_found, "MANIFEST_BLOB_UNKNOWN sha256:77", ""},
      {"PUT", 400, fault("DIGEST_INVALID"), true, ErrorCode::corrupt, "DIGEST_INVALID", ""},
      {"PUT", 400, fault("MANIFEST_INVALID", "no"), true, ErrorCode::invalid_input, "\"no\"", ""},
      {"PUT", 400, fault("TAG_INVALID", "The tag is immutable"), true, ErrorCode::already_exists,
       "immutable", "take another tag"},
      {"PUT", 413, "", true, ErrorCode::unsupported, "413 (content too large)", "chunked"},
      {"DELETE", 405, fault("UNSUPPORTED"), true, ErrorCode::unsupported, "UNSUPPORTED", ""},
      {"GET", 429, "too many", false, ErrorCode::unavailable, "\"too many\"", "limits are higher"},
      {"GET", 503, "", true, ErrorCode::unavailable, "503 (service unavailable)",
       "try again later"},
      {"GET", 418, "", true, ErrorCode::unavailable, "answered 418 to GET", ""},
  }));
  CAPTURE(c.method, c.status, c.body);
  const auto error = registry::explain(
      call(c.method), answer(c.status, c.body), 1,
      {.host = "r.example", .logged_in = c.logged_in, .user = c.logged_in ? "ada" : ""});
  CHECK(error.code() == c.code);
  CHECK_THAT(error.message(), ContainsSubstring(c.message));
  CHECK_THAT(error.message(), !ContainsSubstring("secret-1"));
  if (*c.hint == '\0') {
    CHECK(error.hint().empty());
  } else {
    CHECK_THAT(error.hint(), ContainsSubstring(c.hint));
  }
}

TEST_CASE("a web page in place of a registry's answer is called that", "[registry][error]") {
  const auto page = answer(404, "<!DOCTYPE html><html>", "text/html; charset=utf-8");
  const auto refused = registry::explain(call("GET"), page, 1, {.host = "r.example"});
  CHECK_THAT(refused.message(), ContainsSubstring("with a web page"));
  CHECK_THAT(refused.hint(), ContainsSubstring("a proxy may stand in between"));

  const auto accepted =
      registry::explain_web_page(call("GET"), answer(200, " \n<html>", "text/html"));
  CHECK(accepted.code() == ErrorCode::unavailable);
  CHECK_THAT(accepted.message(), ContainsSubstring("the server at 'https://r.example' answered "
                                                   "with a web page, not as a registry"));
  CHECK(registry::is_web_page(page));
  CHECK_FALSE(registry::is_web_page(answer(202, "", "text/html")));
  CHECK_FALSE(registry::is_web_page(answer(200, "{}", "text/html")));
}

TEST_CASE("a 404 that speaks no JSON is not a registry's", "[registry][error]") {
  const auto error = registry::explain(call("GET"), answer(404, "404 page not found", "text/plain"),
                                       1, {.host = "r.example"});
  CHECK(error.code() == ErrorCode::not_found);
  CHECK(error.hint() == "check the name: r.example may not be a registry");
}

TEST_CASE("a registry that asks for time says until when", "[registry][error]") {
  auto response = answer(429, fault("TOOMANYREQUESTS"));
  response.headers.push_back({"Retry-After", "3600"});
  const auto error = registry::explain(call("GET"), response, 1);
  CHECK_THAT(error.message(), ContainsSubstring(", and asks to wait until 2"));
}

TEST_CASE("silence is explained by the transport's cause", "[registry][error]") {
  const std::string url = "https://r.example/v2/?x=secret-1";
  const auto cause =
      Error(ErrorCode::unavailable, "cannot fetch 'https://r.example/v2/': Connection refused")
          .with_hint("check the network");
  const auto error = registry::explain_silence(call("GET"), url, cause, 5);
  CHECK(error.message() == "cannot push blob 'sha256:1': no answer to GET "
                           "'https://r.example/v2/': Connection refused [5 tries]");
  CHECK(error.hint() == "check the network");
  CHECK(error.answer().status == 0);
  CHECK(error.code() == ErrorCode::unavailable);
}
