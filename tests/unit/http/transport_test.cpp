#include "environment.hpp"
#include "http_helpers.hpp"
#include "scripted_server.hpp"

#include <atomic>
#include <filesystem>
#include <vector>

#include <unistd.h>

using namespace aipack;
using namespace aipack::testing;
using test::Reply;
using test::ServedRequest;

namespace {

/// Without what the machine that runs the tests says about proxies.
struct NoProxies {
  Environment https{"https_proxy", ""};
  Environment http{"http_proxy", ""};
  Environment all{"all_proxy", ""};
  Environment none{"no_proxy", ""};
};

} // namespace

TEST_CASE("a proxy is asked for everything but what NO_PROXY names", "[http][proxy]") {
  const NoProxies nothing;
  test::HttpServer proxy([](const ServedRequest&) { return Reply{.body = "from the proxy"}; });
  test::HttpServer server([](const ServedRequest&) { return Reply{.body = "direct"}; });
  const std::string url = "http://user:secret@" + proxy.host();
  const Environment except("no_proxy", "127.0.0.1");
  const auto by_option = GENERATE(true, false);
  const Environment variable("http_proxy", by_option ? "" : url);
  const auto transport = http::make_transport({.proxy = by_option ? url : ""});
  CHECK(get(*transport, "http://r.example/x?y").body == "from the proxy");
  CHECK(proxy.log().at(0).target == "http://r.example/x?y");
  CHECK(proxy.log().at(0).header("Proxy-Authorization").has_value());
  CHECK(get(*transport, server.url("/")).body == "direct");
  CHECK_FALSE(server.log().at(0).header("Proxy-Authorization").has_value());
}

TEST_CASE("credentials of a proxy are in no message", "[http][proxy]") {
  const NoProxies nothing;
  const std::string proxy =
      GENERATE("http://user:secret@127.0.0.1:1", "socks9://user:secret@127.0.0.1:1",
               "http://user:se cret@127.0.0.1:1", "http://user:secret@[::g]:1", "user:secret@:1",
               "http://user:secret@proxy.invalid:1", "http://user:secret@127.0.0.1:99999");
  const bool by_option = GENERATE(true, false);
  CAPTURE(proxy, by_option);
  const Environment variable("http_proxy", by_option ? "" : proxy);
  const Error error = error_of([&] {
    const auto transport = http::make_transport({.proxy = by_option ? proxy : ""});
    (void)get(*transport, "http://r.example/");
  });
  CHECK((error.code() == ErrorCode::unavailable || error.code() == ErrorCode::invalid_input));
  CHECK_THAT(error.message() + error.hint(), !ContainsSubstring("cret"));
}

TEST_CASE("a proxy that wants a login says so", "[http][proxy]") {
  const NoProxies nothing;
  ScriptedServer proxy([](Scripted& client) {
    client.read_head();
    client.answer("407 Proxy Authentication Required");
  });
  const auto transport = http::make_transport({.proxy = "http://" + proxy.host()});
  const Error error = error_of([&] { (void)get(*transport, "https://r.example/"); });
  CHECK(error.code() == ErrorCode::unauthenticated);
  CHECK_FALSE(error.hint().empty());
  CHECK(get(*transport, "http://r.example/").status == 407);
}

TEST_CASE("a container engine is asked over its socket", "[http]") {
  const Environment proxy("http_proxy", "http://127.0.0.1:1");
  const auto path = std::filesystem::temp_directory_path() /
                    ("aipack-engine-" + std::to_string(::getpid()) + ".sock");
  std::filesystem::remove(path);
  std::string head;
  std::string body;
  const std::string content = random_text(2'000'000);
  {
    ScriptedServer engine(path, [&](Scripted& client) {
      client.read_head();
      client.answer("200 OK", "1.41");
      head = client.read_head();
      body = client.read_chunks();
      client.answer("200 OK");
      client.read_head();
      client.send("HTTP/1.1 307 Elsewhere\r\nContent-Length: 0\r\nLocation: http://r.example/\r\n"
                  "\r\n");
    });
    const auto transport = http::make_transport({.unix_socket = path.string()});
    CHECK(get(*transport, "http://localhost/version").body == "1.41");
    http::Request load = put_of("http://localhost/images/load", content);
    load.method = "POST";
    load.body_bytes = std::nullopt;
    CHECK(transport->perform(load, {}).status == 200);
    const Error error = error_of([&] { (void)get(*transport, "http://localhost/"); });
    CHECK(error.code() == ErrorCode::unavailable);
    CHECK(engine.connections() == 1);
  }
  std::filesystem::remove(path);
  CHECK_THAT(head, ContainsSubstring("POST /images/load HTTP/1.1\r\nHost: localhost\r\n"));
  CHECK((body == content));
  const auto transport = http::make_transport({.unix_socket = path.string()});
  CHECK(error_of([&] { (void)get(*transport, "http://localhost/"); }).code() ==
        ErrorCode::unavailable);
}

TEST_CASE("an observer sees each exchange without its secrets", "[http]") {
  test::HttpServer server([](const ServedRequest& request) {
    Reply reply;
    if (request.target == "/from?token=secret") {
      reply.status = 307;
      reply.headers = {{"Location", "/to?signature=secret"}};
      reply.body = "elsewhere";
    } else {
      reply.body = "here it is";
    }
    if (request.target == "/lost?secret") {
      reply.reset_before_reply = true;
    }
    return reply;
  });
  std::vector<http::Exchange> seen;
  const auto transport = http::make_transport(
      {.observer = [&](const http::Exchange& exchange) { seen.push_back(exchange); }});
  const std::string content = "twelve bytes";
  const auto response = transport->perform(put_of(server.url("/from?token=secret"), content), {});
  CHECK(response.url == server.url("/to?signature=secret"));
  CHECK(response.redirects == 1);
  CHECK(get(*transport, server.url("/plain")).redirects == 0);
  CHECK_THROWS_AS(get(*transport, server.url("/lost?secret")), Error);

  REQUIRE(seen.size() == 4);
  CHECK(seen[0].method == "PUT");
  CHECK(seen[0].url == server.url("/from"));
  CHECK(seen[0].status == 307);
  CHECK(seen[0].sent_bytes == 12);
  CHECK(seen[1].url == server.url("/to"));
  CHECK(seen[1].status == 200);
  CHECK(seen[1].sent_bytes == 12);
  CHECK(seen[1].received_bytes == 10);
  CHECK(seen[1].duration.count() > 0);
  CHECK(seen[2].method == "GET");
  CHECK(seen[2].sent_bytes == 0);
  CHECK(seen[3].url == server.url("/lost"));
  CHECK(seen[3].status == 0);
  CHECK(seen[3].received_bytes == 0);
}

TEST_CASE("a line belongs to one origin", "[http]") {
  const auto reply = [](const ServedRequest&) { return Reply{}; };
  test::HttpServer first(reply);
  test::HttpServer second(reply);
  const auto transport = http::make_transport();
  for (int round = 0; round < 3; ++round) {
    CHECK(get(*transport, first.url("/")).status == 200);
    CHECK(get(*transport, second.url("/")).status == 200);
  }
  CHECK(first.connections() == 1);
  CHECK(second.connections() == 1);
}
