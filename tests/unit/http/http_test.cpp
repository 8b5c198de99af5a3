#include "aipack/http/http.hpp"

#include "support/catch.hpp"
#include "support/http_server.hpp"

#include <filesystem>
#include <fstream>
#include <thread>

#include <unistd.h>

using namespace aipack;
using namespace std::chrono_literals;
using test::Fault;
using test::Reply;
using test::ServedRequest;

namespace {

const http::RetryPolicy quick{
    .attempts = 4, .first_delay = 1ms, .max_delay = 2ms, .max_retry_after = 5ms};

std::string random_text(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 12345;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

/// A sink that can forget, as download() asks of it.
struct TextSink : io::ByteSink {
  std::string text;
  unsigned resets = 0;
  void write(std::span<const std::byte> bytes) override {
    text += std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::function<void()> reset = [this] {
    text.clear();
    ++resets;
  };
};

http::Response get(http::HttpTransport& transport, const std::string& url) {
  http::Request request;
  request.url = url;
  return transport.perform(request, {});
}

template <class Fn>
Error error_of(Fn&& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "no error was thrown");
}

} // namespace

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

TEST_CASE("file URLs answer like a web server", "[http]") {
  const auto directory =
      std::filesystem::temp_directory_path() / ("aipack http test " + std::to_string(::getpid()));
  std::filesystem::create_directories(directory);
  struct Cleanup {
    std::filesystem::path path;
    ~Cleanup() { std::filesystem::remove_all(path); }
  } const cleanup{directory};
  std::ofstream(directory / "a file%") << "content";
  const auto transport = http::make_transport();
  const std::string url = http::file_url((directory / "a file%").string());
  CHECK_THAT(url, ContainsSubstring("/a%20file%25"));
  const auto response = get(*transport, url);
  CHECK(response.status == 200);
  CHECK(response.body == "content");
  http::Request again;
  again.url = url;
  again.headers = {{"If-None-Match", response.header("ETag").value()}};
  CHECK(transport->perform(again, {}).status == 304);
  CHECK(get(*transport, http::file_url(directory.string())).status == 404);
  CHECK(get(*transport, http::file_url((directory / "missing").string())).status == 404);
  CHECK(error_of([&] { (void)get(*transport, "file://otherhost/x"); }).code() ==
        ErrorCode::invalid_input);
  CHECK(error_of([&] { (void)get(*transport, "file:///x%zz"); }).code() ==
        ErrorCode::invalid_input);
  CHECK(error_of([&] { (void)get(*transport, "file:///x%00"); }).code() ==
        ErrorCode::invalid_input);
}

// --- download
// ---------------------------------------------------------------------------------------------------------------------

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

TEST_CASE("perform_with_retries returns the last answer", "[http]") {
  std::vector<int> statuses{503, 429, 200};
  test::HttpServer server([&](const ServedRequest&) {
    const int status = statuses.front();
    statuses.erase(statuses.begin());
    return Reply{.status = status};
  });
  http::Request request;
  request.url = server.url("/");
  CHECK(http::perform_with_retries(*http::make_transport(), request, {}, quick).status == 200);
  statuses = {500, 500, 500, 502};
  CHECK(http::perform_with_retries(*http::make_transport(), request, {}, quick).status == 502);
}

TEST_CASE("delays double, jitter and respect the server", "[http]") {
  const http::RetryPolicy policy{
      .attempts = 9, .first_delay = 100ms, .max_delay = 1000ms, .max_retry_after = 5000ms};
  for (int round = 0; round < 100; ++round) {
    const auto second = http::retry_delay(policy, 2);
    CHECK((second >= 50ms && second <= 100ms));
    const auto third = http::retry_delay(policy, 3);
    CHECK((third >= 100ms && third <= 200ms));
    const auto late = http::retry_delay(policy, 4'000'000'000U);
    CHECK((late >= 500ms && late <= 1000ms));
  }
  http::Response response;
  response.headers = {{"Retry-After", "3"}};
  CHECK(http::retry_after(response) == 3000ms);
  CHECK(http::retry_delay(policy, 2, &response) == 3000ms);
  response.headers = {{"Retry-After", "99999999999999999999999"}};
  CHECK_FALSE(http::retry_after(response).has_value());
  response.headers = {{"Retry-After", "18446744073709551615"}};
  CHECK(http::retry_delay(policy, 2, &response) == 5000ms);
  response.headers = {{"Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"},
                      {"Date", "Fri, 31 Dec 1999 23:59:49 GMT"}};
  CHECK(http::retry_after(response) == 10'000ms);
  response.headers = {{"Retry-After", "soon"}};
  CHECK_FALSE(http::retry_after(response).has_value());
}

TEST_CASE("HTTP dates", "[http]") {
  CHECK(http::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784111777);
  CHECK(http::parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777);
  CHECK(http::parse_http_date("Sun Nov  6 08:49:37 1994") == 784111777);
  CHECK(http::parse_http_date("Sat, 12 Sep 2026 07:55:41 UTC") == 1789199741);
  CHECK_FALSE(http::parse_http_date("yesterday").has_value());
  CHECK_FALSE(http::parse_http_date("").has_value());
}
