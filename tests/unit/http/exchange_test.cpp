#include "http_helpers.hpp"

#include <atomic>
#include <thread>
#include <vector>

using namespace aipack;
using namespace aipack::testing;
using namespace std::chrono_literals;
using test::Fault;
using test::Reply;
using test::ServedRequest;

TEST_CASE("perform returns status, headers and body, and reuses the connection", "[http]") {
  test::HttpServer server([](const ServedRequest& request) {
    Reply reply;
    reply.status = request.target == "/missing" ? 404 : 200;
    reply.headers = {{"X-Test", " spaced "}};
    reply.body = "body of " + request.target;
    return reply;
  });
  const auto transport = http::make_transport({.user_agent = "aipack-test"});
  const auto first = get(*transport, server.url("/a?b=c"));
  CHECK(first.status == 200);
  CHECK(first.body == "body of /a?b=c");
  CHECK(first.url == server.url("/a?b=c"));
  CHECK(first.header("x-TEST") == "spaced");
  CHECK_FALSE(first.header("X-Other").has_value());
  const auto second = get(*transport, server.url("/missing"));
  CHECK(second.status == 404);
  CHECK(second.body == "body of /missing");
  CHECK(server.connections() == 1);
  const auto log = server.log();
  CHECK(log.at(0).header("User-Agent") == "aipack-test");
  CHECK_FALSE(log.at(0).header("Accept-Encoding").has_value());
}

TEST_CASE("perform sends bodies, methods and headers", "[http]") {
  test::HttpServer server([](const ServedRequest&) { return Reply{.status = 201}; });
  const auto transport = http::make_transport();
  const std::string payload = random_text(3'000'000);
  http::Request put;
  put.method = "PUT";
  put.url = server.url("/upload");
  put.headers = {{"Content-Type", "application/x-test"}, {"X-Empty", ""}};
  put.body = [&] { return std::make_unique<io::MemorySource>(io::as_bytes(payload)); };
  put.body_bytes = payload.size();
  CHECK(transport->perform(put, {}).status == 201);
  http::Request post;
  post.method = "POST";
  post.url = server.url("/start");
  CHECK(transport->perform(post, {}).status == 201);
  http::Request head;
  head.method = "HEAD";
  head.url = server.url("/head");
  CHECK(transport->perform(head, {}).status == 201);
  http::Request del;
  del.method = "DELETE";
  del.url = server.url("/gone");
  CHECK(transport->perform(del, {}).status == 201);

  const auto log = server.log();
  REQUIRE(log.size() == 4);
  CHECK(log[0].method == "PUT");
  CHECK(log[0].body == payload);
  CHECK(log[0].header("Content-Type") == "application/x-test");
  CHECK(log[0].header("X-Empty") == "");
  CHECK_FALSE(log[0].header("Expect").has_value());
  CHECK(log[1].method == "POST");
  CHECK(log[1].header("Content-Length") == "0");
  CHECK(log[2].method == "HEAD");
  CHECK(log[3].method == "DELETE");
}

TEST_CASE("a header with a line break is refused", "[http]") {
  const auto transport = http::make_transport();
  http::Request request;
  request.url = "http://127.0.0.1:1/";
  request.headers = {{"X-Test", "a\r\nX-Injected: b"}};
  CHECK(error_of([&] { (void)transport->perform(request, {}); }).code() ==
        ErrorCode::invalid_input);
}

TEST_CASE("a method or header that would be more than one line is refused", "[http]") {
  http::Request request = request_of("GET", "http://127.0.0.1:1/");
  SECTION("method") {
    request.method = GENERATE("", "GET /x", "GET\r\nX: y", "G\tT");
  }
  SECTION("header name") {
    request.headers = {{GENERATE("", "X Y", "X:", "X\n"), "y"}};
  }
  SECTION("header value") {
    request.headers = {{"X", GENERATE(as<std::string>{}, "a\rb", std::string("a\0b", 3))}};
  }
  const Error error = error_of([&] { (void)http::make_transport()->perform(request, {}); });
  CHECK(error.code() == ErrorCode::invalid_input);
}

TEST_CASE("bodies have limits", "[http]") {
  test::HttpServer server([](const ServedRequest& request) {
    Reply reply;
    reply.status = request.target == "/error" ? 500 : 200;
    reply.body = std::string(1'000'000, 'x');
    return reply;
  });
  const auto transport = http::make_transport();
  http::Request request;
  request.url = server.url("/big");
  request.max_body_bytes = 1000;
  CHECK(error_of([&] { (void)transport->perform(request, {}); }).code() == ErrorCode::corrupt);
  // The body of an error is cut, because it is only read by people.
  const auto error = get(*transport, server.url("/error"));
  CHECK(error.status == 500);
  CHECK(error.body.size() == http::max_error_body_bytes);
}

TEST_CASE("an endless header section is refused", "[http]") {
  test::HttpServer server([](const ServedRequest&) {
    Reply reply;
    for (int i = 0; i < 400; ++i) {
      reply.headers.emplace_back("X-" + std::to_string(i), "y");
    }
    return reply;
  });
  CHECK(error_of([&] { (void)get(*http::make_transport(), server.url("/")); }).code() ==
        ErrorCode::unavailable);
}

TEST_CASE("transfers that break or stall are Error{unavailable}, without secrets in the message",
          "[http]") {
  Reply reply;
  reply.body = random_text(100'000);
  test::HttpServer server([&](const ServedRequest& request) {
    return request.target == "/again" ? Reply{.body = "fine"} : reply;
  });
  const auto transport = http::make_transport();
  http::Request request;
  request.url = server.url("/data?token=secret");
  request.stall_timeout = 150ms;
  SECTION("stall") {
    reply.fault = {Fault::Kind::stall, 50'000};
  }
  SECTION("stall before the first byte") {
    reply.fault = {Fault::Kind::stall, 0};
  }
  SECTION("reset") {
    reply.fault = {Fault::Kind::reset, 50'000};
  }
  SECTION("reset before the response") {
    reply.reset_before_reply = true;
  }
  SECTION("truncated") {
    reply.fault = {Fault::Kind::truncate, 50'000};
  }
  const Error error = error_of([&] { (void)transport->perform(request, {}); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message(), ContainsSubstring("cannot fetch '" + server.url("/data") + "': "));
  // The transport is as good as new afterwards.
  CHECK(get(*transport, server.url("/again")).body == "fine");
}

TEST_CASE("a host where nobody listens is Error{unavailable}", "[http]") {
  std::string url;
  {
    test::HttpServer gone([](const ServedRequest&) { return Reply{}; });
    url = gone.url("/");
  }
  CHECK(error_of([&] { (void)get(*http::make_transport(), url); }).code() ==
        ErrorCode::unavailable);
}

TEST_CASE("only http, https and file URLs are requested", "[http]") {
  const auto transport = http::make_transport();
  const std::string url =
      GENERATE("ftp://127.0.0.1/x", "gopher://127.0.0.1/", "not a url", "", "dict://127.0.0.1/");
  CAPTURE(url);
  CHECK(error_of([&] { (void)get(*transport, url); }).code() == ErrorCode::invalid_input);
}

TEST_CASE("a wish to stop ends a stalled transfer at once", "[http]") {
  Reply reply;
  reply.body = std::string(1000, 'x');
  reply.fault = {Fault::Kind::stall, 500};
  std::stop_source stop;
  test::HttpServer server([&](const ServedRequest&) { return reply; });
  struct StopAtFirstByte : io::ByteSink {
    std::stop_source& stop;
    std::jthread helper{};
    explicit StopAtFirstByte(std::stop_source& source) : stop(source) {}
    void write(std::span<const std::byte>) override {
      helper = std::jthread([this] {
        stop.request_stop();
      }); // from another thread, as a signal handler's watcher does
    }
  } sink(stop);
  http::Request request;
  request.url = server.url("/");
  request.sink = &sink;
  CHECK(error_of([&] {
          (void)http::make_transport()->perform(request, {.stop = stop.get_token()});
        }).code() == ErrorCode::cancelled);
}

TEST_CASE("what a sink or on_head throws comes out unchanged", "[http]") {
  test::HttpServer server([](const ServedRequest&) { return Reply{.body = "x"}; });
  const auto transport = http::make_transport();
  struct Full : io::ByteSink {
    void write(std::span<const std::byte>) override {
      throw Error(ErrorCode::io, "cannot write 'x': no space left on device");
    }
  } full;
  http::Request request;
  request.url = server.url("/");
  request.sink = &full;
  CHECK(error_of([&] { (void)transport->perform(request, {}); }).code() == ErrorCode::io);
  request.on_head = [](const http::Response& head) {
    throw Error(ErrorCode::denied, "status " + std::to_string(head.status));
  };
  CHECK(error_of([&] { (void)transport->perform(request, {}); }).message() == "status 200");
}

TEST_CASE("many threads share one transport", "[http]") {
  test::HttpServer server(
      [](const ServedRequest& request) { return Reply{.body = request.target}; });
  const auto transport = http::make_transport();
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          const std::string target = "/" + std::to_string(t) + "/" + std::to_string(i);
          good += get(*transport, server.url(target)).body == target ? 1 : 0;
        }
      });
    }
  }
  CHECK(good == 80);
  CHECK(server.connections() <= 4);
}
