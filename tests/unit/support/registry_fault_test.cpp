#include "support/catch.hpp"
#include "support/registry_server.hpp"
#include "unit/support/raw_client.hpp"
#include "unit/support/samples.hpp"

#include <chrono>
#include <thread>

using namespace aipack::test;
using namespace std::chrono_literals;
using Kind = RegistryFault::Kind;

namespace {

const std::string post = "/v2/m/blobs/uploads/?digest=" + hello_256;
const std::string get = "/v2/m/blobs/" + hello_256;

/// The first request suffers; all others work.
struct Fixture {
  explicit Fixture(RegistryFault fault) : registry({.faults = fault_at(1, std::move(fault))}) {}
  RegistryServer registry;
  RawClient client{registry};
};

/// Holds `hello` already.
struct Download : Fixture {
  explicit Download(RegistryFault fault) : Fixture(std::move(fault)) {
    registry.put_blob("m", hello);
    reply = client("GET", get);
  }
  RawReply reply;
};

} // namespace

TEST_CASE("A request can be cut in its body", "[support][registry][fault]") {
  const auto kind = GENERATE(Kind::reset_in_request, Kind::stall_in_request, Kind::lost_request);
  RegistryFault fault = RegistryFault::of(kind);
  fault.at = 5;
  fault.stall = 10ms;
  const Fixture f(fault);
  CHECK(f.client("POST", post, hello).status == 0);
  CHECK_FALSE(f.registry.has_blob("m", hello_256));
  CHECK(f.client("POST", post, hello).status == 201);
  CHECK(f.registry.faults() == 1);
  const auto log = f.registry.log();
  CHECK(log.front().fault == to_string(kind));
  CHECK(log.front().status == 0);
  CHECK(log.front().received == (kind == Kind::lost_request ? hello.size() : 5));
}

TEST_CASE("An answer is lost after the work was done", "[support][registry][fault]") {
  const Fixture f(RegistryFault::lost_answer());
  CHECK(f.client("POST", post, hello).status == 0);
  CHECK(f.registry.has_blob("m", hello_256));
}

TEST_CASE("An answer in place of the real one", "[support][registry][fault]") {
  SECTION("with a code of the specification") {
    const Fixture f(RegistryFault::respond(403, "DENIED"));
    const auto reply = f.client("POST", post, hello);
    CHECK(reply.status == 403);
    CHECK_THAT(reply.body, ContainsSubstring("\"code\":\"DENIED\""));
    CHECK_FALSE(f.registry.has_blob("m", hello_256));
  }
  SECTION("to wait, in seconds") {
    const Fixture f(RegistryFault::retry_after(7s));
    const auto reply = f.client("GET", "/v2/");
    CHECK(reply.status == 429);
    CHECK(reply["Retry-After"] == "7");
    CHECK_THAT(reply.body, ContainsSubstring("TOOMANYREQUESTS"));
  }
  SECTION("to wait, until a date") {
    const Fixture f(RegistryFault::retry_at_date(3600s, 503));
    const auto reply = f.client("GET", "/v2/");
    CHECK(reply.status == 503);
    CHECK_THAT(reply["Retry-After"], ContainsSubstring(" GMT"));
    CHECK(reply["Retry-After"].size() == std::string("Sun, 06 Nov 1994 08:49:37 GMT").size());
  }
  SECTION("from a proxy, for people") {
    const Fixture f(RegistryFault::html());
    const auto reply = f.client("GET", "/v2/m/tags/list");
    CHECK(reply.status == 200);
    CHECK_THAT(reply["Content-Type"], ContainsSubstring("text/html"));
  }
  SECTION("401 with a challenge, in the middle of the body") {
    Fixture f(RegistryFault::respond_at(5, 401, "UNAUTHORIZED"));
    RegistryDialect dialect;
    dialect.partial_chunk = RegistryDialect::PartialChunk::discard;
    f.registry.set_dialect(dialect);
    f.registry.set_faults(fault_at(1, RegistryFault::respond_at(5, 401, "UNAUTHORIZED"),
                                   [](const auto& request) { return request.method == "PATCH"; }));
    const std::string location = f.client.open_upload("m");
    auto reply = f.client.patch(location, 0, hello);
    CHECK(reply.status == 401);
    CHECK_FALSE(reply["WWW-Authenticate"].empty());
    reply = f.client.patch(location, 0, hello); // the same chunk again
    CHECK(reply.status == 202);
    CHECK(f.client.close_upload(location, hello_256).status == 201);
  }
}

TEST_CASE("An answer in the middle of a large body reaches a client that reads",
          "[support][registry][fault]") {
  Fixture f(RegistryFault::respond_at(1000, 401));
  RawConnection connection(f.registry.port());
  const std::string body(4 << 20, 'x');
  connection.send_head("POST", post, {}, body.size());
  std::thread sender([&] { connection.send(body); });
  const auto reply = connection.read();
  sender.join();
  CHECK(reply.status == 401);
  CHECK(reply["Connection"] == "close");
}

TEST_CASE("A reply is cut, spoiled or false", "[support][registry][fault]") {
  SECTION("truncated") {
    const Download d(RegistryFault::truncate_at(5));
    CHECK(d.reply["Content-Length"] == std::to_string(hello.size()));
    CHECK(d.reply.body == hello.substr(0, 5));
    CHECK(d.registry.log().front().sent == 5);
  }
  SECTION("reset") {
    RegistryFault fault = RegistryFault::of(Kind::reset_in_reply);
    fault.share = 0.5;
    const Download d(fault);
    CHECK_FALSE(d.reply.whole);
  }
  SECTION("stalled for a while") {
    RegistryFault fault = RegistryFault::of(Kind::stall_in_reply);
    fault.stall = 10ms;
    const Download d(fault);
    CHECK_FALSE(d.reply.whole);
  }
  SECTION("one bit flipped") {
    const Download d(RegistryFault::flip_at(1));
    CHECK(d.reply.body == "hdllo, registry\n");
    CHECK(d.client("GET", get).body == hello);
  }
  SECTION("too long a Content-Length") {
    const Download d(RegistryFault::of(Kind::wrong_length));
    CHECK(d.reply["Content-Length"] == std::to_string(hello.size() + 1));
    CHECK_FALSE(d.reply.whole);
  }
  SECTION("too short a Content-Length") {
    RegistryFault fault = RegistryFault::of(Kind::wrong_length);
    fault.by = -3;
    const Download d(fault);
    CHECK(d.reply.body == hello.substr(0, hello.size() - 3));
  }
  SECTION("another digest") {
    const Download d(RegistryFault::of(Kind::wrong_digest));
    CHECK(d.reply.body == hello);
    CHECK(d.reply["Docker-Content-Digest"] != hello_256);
  }
  SECTION("another range") {
    Download d({});
    d.registry.set_faults(fault_at(1, RegistryFault::of(Kind::wrong_range)));
    CHECK(d.client("GET", get, "", {{"Range", "bytes=2-4"}})["Content-Range"] == "bytes 2-5/16");
  }
  SECTION("redirects without end") {
    const Download d(RegistryFault::of(Kind::redirect_loop));
    CHECK(d.reply.status == 307);
    std::string location = d.reply["Location"];
    for (int i = 0; i < 20; ++i) {
      const auto next = d.client("GET", location);
      CHECK(next.status == 307);
      CHECK(next["Location"] != location);
      location = next["Location"];
    }
  }
}

TEST_CASE("A storm depends on its seed and keeps to its budget", "[support][registry][fault]") {
  const auto weather = [](std::uint64_t seed) {
    FaultStorm storm{.seed = seed, .rate = 0.5, .budget = 20, .in_a_row = 2};
    const FaultPlan plan = make_plan(storm);
    std::string out;
    int in_a_row = 0;
    for (int i = 0; i < 400; ++i) {
      RegistryRequest request;
      request.method = "GET";
      request.path = "/v2/m/blobs/" + std::string(i % 2 == 0 ? "a" : "b");
      request.digest = "sha256:x";
      const auto fault = plan(request);
      if (i % 2 == 0) {
        in_a_row = fault ? in_a_row + 1 : 0;
        CHECK(in_a_row <= 2);
      }
      out += fault ? std::string(to_string(fault.kind)) + std::to_string(fault.status) : ".";
      out += ' ';
    }
    return out;
  };
  CHECK(weather(1) == weather(1));
  CHECK(weather(1) != weather(2));
  const std::string one = weather(3);
  CHECK(std::count(one.begin(), one.end(), '.') == 380);
}

TEST_CASE("In a storm an obstinate client gets through, and nothing it has is wrong",
          "[support][registry][fault]") {
  const std::uint64_t seed = static_cast<std::uint64_t>(GENERATE(range(1, 9)));
  RegistryServer registry({.storm = FaultStorm{.seed = seed, .rate = 0.5, .stall = 5ms}});
  const RawClient client(registry);
  bool stored = false;
  for (int attempt = 0; attempt < 50 && !stored; ++attempt) {
    stored = client("POST", post, hello).status == 201;
  }
  REQUIRE(stored);
  CHECK(registry.blob(hello_256) == hello);
  std::string got;
  for (int attempt = 0; attempt < 50 && got != hello; ++attempt) {
    got = client("GET", get).body;
  }
  CHECK(got == hello);
}

TEST_CASE("Rubbish gets 400 and harms nobody", "[support][registry]") {
  const RegistryServer registry;
  for (const std::string& rubbish : {
           std::string("\x16\x03\x01\x02\x00\x01", 6), // a TLS hello
           std::string("GET\r\n\r\n"),
           std::string("GET /v2/ SPDY/3\r\n\r\n"),
           std::string("GET /v2/ HTTP/1.1\r\nno colon\r\n\r\n"),
           std::string("GET /v2/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
           std::string("PUT /v2/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n"),
           "GET /v2/ HTTP/1.1\r\nX: " + std::string(100'000, 'x'),
           "GET /" + std::string(100'000, '/'),
       }) {
    RawConnection connection(registry.port());
    connection.send(rubbish);
    CHECK(connection.read().status == 400);
  }
  for (const std::string& odd : {
           "POST /v2/m/blobs/uploads/?digest=" + hello_256 +
               " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           std::string("GET /v2/%zz%00/../../blobs/x?%&&==&a HTTP/1.1\r\n\r\n"),
           std::string("GET * HTTP/1.1\r\n\r\n"),
           std::string("GET http://x HTTP/1.1\r\n\r\n"),
           std::string("GET /v2//blobs/uploads/ HTTP/1.0\r\n\r\n"),
       }) {
    RawConnection connection(registry.port());
    connection.send(odd);
    CHECK(connection.read().status != 200);
  }
  const RawClient client(registry);
  CHECK(client("GET", "/v2/").status == 200);
}

TEST_CASE("Connections are reused, and dropped when the network goes away", "[support][registry]") {
  RegistryServer registry;
  RawConnection connection(registry.port());
  for (int i = 0; i < 3; ++i) {
    connection.send_head("GET", "/v2/", {}, std::nullopt);
    CHECK(connection.read().status == 200);
  }
  CHECK(registry.connections() == 1);
  registry.drop_connections();
  CHECK(connection.read().status == 0);
}

TEST_CASE("A server stops at once, whatever its clients do", "[support][registry]") {
  const auto begin = std::chrono::steady_clock::now();
  std::optional<RegistryServer> registry;
  registry.emplace(RegistryOptions{.faults = [](const RegistryRequest& request) {
    return request.method == "GET" ? RegistryFault::stall_at(0, 60s) : RegistryFault{};
  }});
  RawConnection idle(registry->port());
  RawConnection half(registry->port());
  half.send("POST /v2/m/blobs/uploads/ HTTP/1.1\r\nContent-");
  RawConnection body(registry->port());
  body.send_head("POST", post, {}, 1000);
  RawConnection stalled(registry->port());
  stalled.send_head("GET", "/v2/", {}, 10);
  stalled.send("x");
  while (registry->log().size() < 2) {
    std::this_thread::yield();
  }
  registry.reset();
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}
