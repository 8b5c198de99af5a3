#include "http_helpers.hpp"

using namespace aipack;
using namespace aipack::testing;
using test::Reply;
using test::ServedRequest;

TEST_CASE("redirects are followed by hand", "[http]") {
  const auto transport = http::make_transport();
  test::HttpServer other([](const ServedRequest&) { return Reply{.body = "elsewhere"}; });
  test::HttpServer server([&](const ServedRequest& request) {
    Reply reply;
    if (request.target == "/relative") {
      reply.status = 302;
      reply.headers = {{"Location", "sub/../final"}};
      reply.body = "not this";
    } else if (request.target == "/other") {
      reply.status = 307;
      reply.headers = {{"Location", other.url("/there")}};
    } else if (request.target == "/loop") {
      reply.status = 301;
      reply.headers = {{"Location", "/loop"}};
    } else if (request.target == "/file") {
      reply.status = 301;
      reply.headers = {{"Location", "file:///etc/passwd"}};
    } else if (request.target == "/see-other") {
      reply.status = 303;
      reply.headers = {{"Location", "/final"}};
    } else if (request.target == "/no-location") {
      reply.status = 302;
    } else {
      reply.body = "final " + request.method;
    }
    return reply;
  });

  SECTION("a relative location is resolved, and only the last body arrives") {
    TextSink sink;
    http::Request request;
    request.url = server.url("/relative");
    request.sink = &sink;
    const auto response = transport->perform(request, {});
    CHECK(response.url == server.url("/final"));
    CHECK(sink.text == "final GET");
  }
  SECTION("credentials stay with their origin") {
    http::Request request;
    request.url = server.url("/other");
    request.headers = {
        {"Authorization", "Bearer secret"}, {"Cookie", "a=b"}, {"Accept", "text/plain"}};
    CHECK(transport->perform(request, {}).body == "elsewhere");
    CHECK(server.log().at(0).header("Authorization") == "Bearer secret");
    const auto seen = other.log().at(0);
    CHECK_FALSE(seen.header("Authorization").has_value());
    CHECK_FALSE(seen.header("Cookie").has_value());
    CHECK(seen.header("Accept") == "text/plain");
  }
  SECTION("a loop ends") {
    CHECK_THAT(error_of([&] { (void)get(*transport, server.url("/loop")); }).message(),
               ContainsSubstring("more than 5 redirects"));
    CHECK(server.count("/loop") == 6);
  }
  SECTION("a server cannot make us read local files") {
    CHECK(error_of([&] { (void)get(*transport, server.url("/file")); }).code() ==
          ErrorCode::unavailable);
  }
  SECTION("303 turns a POST into a GET") {
    http::Request request;
    request.method = "POST";
    request.url = server.url("/see-other");
    CHECK(transport->perform(request, {}).body == "final GET");
  }
  SECTION("a redirect without a place is a response like others") {
    CHECK(get(*transport, server.url("/no-location")).status == 302);
  }
}

TEST_CASE("whoever does not follow redirects gets them", "[http][redirect]") {
  test::HttpServer server([](const ServedRequest&) {
    return Reply{.status = 307, .headers = {{"Location", "/there?x=1"}}, .body = "go"};
  });
  http::Request request = request_of("GET", server.url("/"));
  request.max_redirects = 0;
  const auto response = http::make_transport()->perform(request, {});
  CHECK(response.status == 307);
  CHECK(response.header("Location") == "/there?x=1");
  CHECK(response.body == "go");
  CHECK(response.redirects == 0);
}

TEST_CASE("on_redirect sees every step and can refuse one", "[http][redirect]") {
  test::HttpServer server([](const ServedRequest& request) {
    Reply reply;
    if (request.target != "/c") {
      reply.status = 302;
      reply.headers = {{"Location", request.target == "/a" ? "/b?secret" : "c"}};
    }
    return reply;
  });
  std::vector<std::string> steps;
  http::Request request = request_of("GET", server.url("/a"));
  request.on_redirect = [&](const std::string& from, const std::string& to) {
    steps.push_back(from + " " + to);
  };
  const auto transport = http::make_transport();
  const auto response = transport->perform(request, {});
  CHECK(response.redirects == 2);
  CHECK(response.url == server.url("/c"));
  CHECK(steps == std::vector{server.url("/a") + " " + server.url("/b?secret"),
                             server.url("/b?secret") + " " + server.url("/c")});
  request.on_redirect = [&](const std::string&, const std::string& to) {
    if (to == server.url("/c")) {
      throw Error(ErrorCode::denied, "not there");
    }
  };
  CHECK(error_of([&] { (void)transport->perform(request, {}); }).code() == ErrorCode::denied);
  CHECK(server.count("/c") == 1);
}

TEST_CASE("a body goes along with a redirect, or stays behind", "[http][redirect]") {
  const auto [status, method, arrives] = GENERATE(table<int, std::string, std::string>({
      {301, "POST", "GET"},
      {302, "POST", "GET"},
      {303, "POST", "GET"},
      {307, "POST", "POST"},
      {308, "POST", "POST"},
      {301, "PUT", "PUT"},
      {302, "PATCH", "PATCH"},
      {303, "PUT", "GET"},
      {307, "PATCH", "PATCH"},
      {308, "PUT", "PUT"},
  }));
  CAPTURE(status, method);
  test::HttpServer server([status = status](const ServedRequest& request) {
    Reply reply;
    if (request.target == "/from") {
      reply.status = status;
      reply.headers = {{"Location", "/to"}};
    }
    return reply;
  });
  const std::string content = "content";
  http::Request request = put_of(server.url("/from"), content);
  request.method = method;
  request.headers = {{"Content-Type", "text/plain"}, {"Accept", "*/*"}};
  CHECK(http::make_transport()->perform(request, {}).status == 200);
  const auto seen = server.log().at(1);
  CHECK(seen.method == arrives);
  CHECK(seen.body == (arrives == "GET" ? "" : content));
  CHECK(seen.header("Content-Type").has_value() == (arrives != "GET"));
  CHECK(seen.header("Accept") == "*/*");
}

TEST_CASE("credentials do not come back with a redirect that does", "[http][redirect]") {
  std::string back;
  test::HttpServer other([&](const ServedRequest&) {
    return Reply{.status = 302, .headers = {{"Location", back}}};
  });
  test::HttpServer server([&](const ServedRequest& request) {
    Reply reply;
    if (request.target == "/") {
      reply.status = 302;
      reply.headers = {{"Location", other.url("/")}};
    }
    return reply;
  });
  back = server.url("/back");
  http::Request request = request_of("GET", server.url("/"));
  request.headers = {{"authorization", "Bearer secret"}};
  CHECK(http::make_transport()->perform(request, {}).status == 200);
  CHECK(server.log().at(0).header("Authorization") == "Bearer secret");
  CHECK_FALSE(server.log().at(1).header("Authorization").has_value());
}

TEST_CASE("errors of redirects hold no secrets", "[http][redirect]") {
  const std::string location =
      GENERATE("ftp://user:secret@r.example/?secret", "//user:secret@[::1/", "https://user:secret@",
               "/loop?secret");
  CAPTURE(location);
  test::HttpServer server([&](const ServedRequest&) {
    return Reply{.status = 302, .headers = {{"Location", location}}};
  });
  const Error error = error_of([&] { (void)get(*http::make_transport(), server.url("/?secret")); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message() + error.hint(), !ContainsSubstring("secret"));
}
