#include "http_helpers.hpp"

using namespace aipack;
using namespace aipack::testing;
using namespace std::chrono_literals;
using test::Fault;
using test::Reply;
using test::ServedRequest;

TEST_CASE("download continues a broken transfer by range", "[http][download]") {
  const std::string content = random_text(400'000);
  test::FileSite site;
  site.put("/f", content);
  const auto kind = GENERATE(Fault::Kind::reset, Fault::Kind::truncate);
  site.intercept("/f", [&](Reply& reply) { reply.fault = {kind, 150'000}; });
  site.intercept("/f", [&](Reply& reply) { reply.fault = {kind, 100'000}; });
  test::HttpServer server(std::ref(site));
  TextSink sink;
  http::download(*http::make_transport(), server.url("/f"), sink, sink.reset, content.size(), {},
                 quick);
  CHECK((sink.text == content));
  CHECK(sink.resets == 0);
  const auto log = server.log();
  REQUIRE(log.size() == 3);
  CHECK_FALSE(log[0].header("Range").has_value());
  CHECK(log[1].header("Range").has_value());
  CHECK(log[1].header("If-Range").has_value());
}

TEST_CASE("download starts over when the file changed meanwhile", "[http][download]") {
  test::FileSite site;
  const std::string fresh = random_text(50'000);
  site.put("/f", std::string(60'000, 'o'));
  site.intercept("/f", [&](Reply& reply) { reply.fault = {Fault::Kind::truncate, 30'000}; });
  test::HttpServer server([&](const ServedRequest& request) {
    Reply reply = site(request);
    site.put("/f", fresh);
    return reply;
  });
  TextSink sink;
  http::download(*http::make_transport(), server.url("/f"), sink, sink.reset, 60'000, {}, quick);
  CHECK((sink.text == fresh));
  CHECK(sink.resets == 1);
}

TEST_CASE("download starts over without validators, and when the server lies about the range",
          "[http][download]") {
  const std::string content = random_text(80'000);
  test::FileSite site;
  site.put("/f", content);
  SECTION("no validator") {
    site.intercept("/f", [](Reply& reply) {
      reply.headers.clear();
      reply.fault = {Fault::Kind::truncate, 40'000};
    });
  }
  SECTION("Accept-Ranges: none") {
    site.intercept("/f", [](Reply& reply) {
      reply.headers.front().second = "none";
      reply.fault = {Fault::Kind::truncate, 40'000};
    });
  }
  SECTION("another range than asked for") {
    site.intercept("/f", [](Reply& reply) { reply.fault = {Fault::Kind::truncate, 40'000}; });
    site.intercept("/f", [&](Reply& reply) {
      reply.status = 206;
      reply.headers.emplace_back("Content-Range", "bytes 7-79999/80000");
      std::swap(reply.headers.front(), reply.headers.back());
      std::erase_if(reply.headers, [&](const auto& h) {
        return h.first == "Content-Range" && h.second != "bytes 7-79999/80000";
      });
      reply.body = content.substr(7);
    });
  }
  test::HttpServer server(std::ref(site));
  TextSink sink;
  http::download(*http::make_transport(), server.url("/f"), sink, sink.reset, content.size(), {},
                 quick);
  CHECK((sink.text == content));
  CHECK(sink.resets == 1);
}

TEST_CASE("download resumes what an earlier call left", "[http][download]") {
  const std::string content = random_text(10'000);
  test::FileSite site;
  site.put("/f", content);
  test::HttpServer server(std::ref(site));
  TextSink sink;
  SECTION("by range") {
    sink.text = content.substr(0, 4000);
    http::download(*http::make_transport(), server.url("/f"), sink, sink.reset, content.size(), {},
                   quick, sink.text.size());
    CHECK(server.log().at(0).header("Range") == "bytes=4000-");
    CHECK(sink.resets == 0);
  }
  SECTION("416 means that it holds too much") {
    sink.text = content + "more";
    http::download(*http::make_transport(), server.url("/f"), sink, sink.reset, content.size() + 10,
                   {}, quick, sink.text.size());
    CHECK(sink.resets == 1);
  }
  SECTION("more than the file may have is thrown away without asking") {
    sink.text = content + "more";
    http::download(*http::make_transport(), server.url("/f"), sink, sink.reset, content.size(), {},
                   quick, sink.text.size());
    CHECK(sink.resets == 1);
    CHECK(server.log().size() == 1);
  }
  CHECK((sink.text == content));
}

TEST_CASE("download tries again on retryable statuses and honours Retry-After",
          "[http][download]") {
  test::FileSite site;
  site.put("/f", "content");
  const int status = GENERATE(408, 429, 500, 502, 503, 504);
  const std::string when = GENERATE("0", "Thu, 01 Jan 1970 00:00:00 GMT", "100000", "nonsense");
  for (int i = 0; i < 3; ++i) {
    site.intercept("/f", [&](Reply& reply) {
      reply = Reply{.status = status, .headers = {{"Retry-After", when}}};
    });
  }
  test::HttpServer server(std::ref(site));
  TextSink sink;
  http::download(*http::make_transport(), server.url("/f"), sink, sink.reset, 100, {}, quick);
  CHECK(sink.text == "content");
  CHECK(server.log().size() == 4);
}

TEST_CASE("download maps final statuses and names the tries", "[http][download]") {
  int status = 0;
  ErrorCode code{};
  std::size_t requests = 0;
  std::tie(status, code, requests) =
      GENERATE(table<int, ErrorCode, std::size_t>({{404, ErrorCode::not_found, 1},
                                                   {410, ErrorCode::not_found, 1},
                                                   {401, ErrorCode::unauthenticated, 1},
                                                   {403, ErrorCode::denied, 1},
                                                   {418, ErrorCode::unavailable, 1},
                                                   {503, ErrorCode::unavailable, 4}}));
  CAPTURE(status);
  test::HttpServer server(
      [&](const ServedRequest&) { return Reply{.status = status, .body = "no"}; });
  TextSink sink;
  const Error error = error_of([&] {
    http::download(*http::make_transport(), server.url("/f?secret"), sink, sink.reset, 100, {},
                   quick);
  });
  CHECK(error.code() == code);
  CHECK(server.log().size() == requests);
  CHECK_THAT(error.message(),
             ContainsSubstring("cannot download '" + server.url("/f") + "': the server answered " +
                               std::to_string(status)));
  CHECK((error.message().find("(4 tries)") != std::string::npos) == (requests == 4));
  CHECK(sink.text.empty());
}

TEST_CASE("download names the tries of a mirror that breaks every time", "[http][download]") {
  test::HttpServer server([](const ServedRequest&) {
    return Reply{.body = "xxxx", .fault = {Fault::Kind::reset, 2}};
  });
  TextSink sink;
  const Error error = error_of([&] {
    http::download(*http::make_transport(), server.url("/f"), sink, sink.reset, 100, {}, quick);
  });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message(), ContainsSubstring("(4 tries)"));
}

TEST_CASE("download never delivers more than the limit", "[http][download]") {
  Reply reply{.body = std::string(5000, 'x')};
  reply.announce_length = GENERATE(true, false);
  test::HttpServer server([&](const ServedRequest&) { return reply; });
  TextSink sink;
  const Error error = error_of([&] {
    http::download(*http::make_transport(), server.url("/f"), sink, sink.reset, 4999, {}, quick);
  });
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK(sink.text.size() <= 4999);
  CHECK(server.log().size() == 1);
}

TEST_CASE("a wish to stop ends the wait before the next try", "[http][download]") {
  std::stop_source stop;
  test::HttpServer server([&](const ServedRequest&) {
    stop.request_stop();
    return Reply{.status = 503};
  });
  TextSink sink;
  const http::RetryPolicy patient{.attempts = 4, .first_delay = 3600s, .max_delay = 3600s};
  const Error error = error_of([&] {
    http::download(*http::make_transport(), server.url("/"), sink, sink.reset, 1,
                   {.stop = stop.get_token()}, patient);
  });
  CHECK(error.code() == ErrorCode::cancelled);
}
