#include "fixture.hpp"
#include "support/http_server.hpp"

#include <atomic>
#include <thread>

using namespace aipack;
using namespace aipack::registry_test;
using test::fault_at;

namespace {

registry::Call upload(const std::string& target, std::string& body, registry::Repeat repeat) {
  registry::Call call;
  call.verb = "push it";
  call.method = "PUT";
  call.target = target;
  call.repeat = repeat;
  call.transfer.body_bytes = body.size();
  call.transfer.body = [&body] { return std::make_unique<io::MemorySource>(io::as_bytes(body)); };
  return call;
}

} // namespace

TEST_CASE("what may help another time is tried again, what may not is not", "[registry][session]") {
  struct Case {
    int status;
    bool again;
  };
  const auto c = GENERATE(values<Case>({{408, true},
                                        {429, true},
                                        {499, true},
                                        {500, true},
                                        {502, true},
                                        {503, true},
                                        {504, true},
                                        {522, true},
                                        {400, false},
                                        {403, false},
                                        {404, false},
                                        {405, false},
                                        {409, false},
                                        {413, false},
                                        {416, false},
                                        {418, false},
                                        {501, false},
                                        {505, false}}));
  CAPTURE(c.status);
  RegistryServer server({.faults = fault_at(1, RegistryFault::respond(c.status))});
  Line line(server.host());
  if (c.again) {
    CHECK(line.get("/v2/").status == 200);
    CHECK(server.log().size() == 2);
  } else {
    const auto error = failure_of<RegistryError>([&] { line.get("/v2/"); });
    CHECK(error.answer().status == c.status);
    CHECK(error.answer().tries == 1);
    CHECK(server.log().size() == 1);
  }
}

TEST_CASE("a server that stays broken is given up, with the number of tries and the last cause",
          "[registry][session]") {
  RegistryServer server;
  SECTION("it answers an error") {
    server.set_faults([](const auto&) { return RegistryFault::respond(503, "UNAVAILABLE"); });
    Line line(server.host());
    const auto error = failure_of<RegistryError>([&] { line.get("/v2/"); });
    CHECK(error.code() == ErrorCode::unavailable);
    CHECK_THAT(error.message(), ContainsSubstring("UNAVAILABLE"));
    CHECK_THAT(error.message(), ContainsSubstring("4 tries"));
  }
  SECTION("it hangs up") {
    server.set_faults([](const auto&) { return RegistryFault::lost_answer(); });
    Line line(server.host());
    const auto error = failure_of<RegistryError>([&] { line.get("/v2/"); });
    CHECK(error.code() == ErrorCode::unavailable);
    CHECK(error.answer().status == 0);
    CHECK_THAT(error.message(), ContainsSubstring("cannot read it: no answer to GET"));
    CHECK_THAT(error.message(), ContainsSubstring("4 tries"));
  }
  CHECK(server.log().size() >= 4); // libcurl may use a new connection in place of a closed one
}

TEST_CASE("a server that is not there is given up", "[registry][session]") {
  std::string host;
  {
    RegistryServer server;
    host = server.host();
  }
  Line line(host);
  const auto error = failure_of<RegistryError>([&] { line.get("/v2/"); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK(error.answer().tries == 4);
}

TEST_CASE("what must not be repeated is not", "[registry][session]") {
  std::string body = "bytes";
  const auto fault = GENERATE(values<RegistryFault>(
      {RegistryFault::respond(503), RegistryFault::respond(429), RegistryFault::lost_answer()}));
  RegistryServer server({.faults = [&](const auto&) { return fault; }});
  Line line(server.host());
  const auto error = failure_of<RegistryError>([&] {
    line.session.send(
        upload("/v2/team/model/blobs/uploads/1?digest=x", body, registry::Repeat::never), {});
  });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK(error.answer().status == fault.status * (fault.kind == RegistryFault::Kind::answer));
  CHECK(server.log().size() == 1);
}

TEST_CASE("an upload that is refused with 401 is sent once more, with its whole body",
          "[registry][session]") {
  RegistryServer server(
      {.auth = {.kind = test::RegistryAuth::Kind::bearer, .requests_per_token = 1}});
  Line line(server.host(), store(server.host()));
  line.session.expect({.repository = "team/model", .push = true});
  std::string body = manifest_text();
  std::string config = "{}";
  server.put_blob("team/model", config);
  auto call = upload("/v2/team/model/manifests/1", body, registry::Repeat::never);
  call.headers = {{"Content-Type", std::string(oci::media_type::manifest)}};
  CHECK(line.session.send(call, {}).status == 201);
  CHECK(line.session.send(call, {}).status == 201);
  CHECK(server.manifest("team/model", "1")->bytes == body);
  const auto log = server.log();
  CHECK(log.back().received == body.size());
}

TEST_CASE("a transfer that was begun is not repeated behind its reader's back",
          "[registry][session]") {
  const std::string bytes(100'000, 'x');
  RegistryServer server;
  const std::string digest = server.put_blob("team/model", bytes);
  server.set_faults(fault_at(1, RegistryFault::truncate_at(50'000)));
  Line line(server.host());
  io::MemorySink sink;
  registry::Call call;
  call.verb = "read it";
  call.target = "/v2/team/model/blobs/" + digest;
  call.transfer.sink = &sink;
  const auto error = failure_of<RegistryError>([&] { line.session.send(call, {}); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK(sink.bytes().size() == 50'000);
  CHECK(server.log().size() == 1);
}

TEST_CASE("Retry-After is obeyed, and too long a wait is an error that says until when",
          "[registry][session]") {
  const auto status = GENERATE(429, 503);
  const bool as_date = GENERATE(false, true);
  const auto fault = [&](std::chrono::seconds delay) {
    return as_date ? RegistryFault::retry_at_date(delay, status)
                   : RegistryFault::retry_after(delay, status);
  };
  RegistryServer server;
  Line line(server.host());
  server.set_faults(fault_at(1, fault(0s)));
  CHECK(line.get("/v2/").status == 200);
  server.clear_log();

  server.set_faults(fault_at(1, fault(3600s)));
  const auto error = failure_of<RegistryError>([&] { line.get("/v2/"); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK(error.answer().status == status);
  CHECK_THAT(error.message(), ContainsSubstring("asks to wait until 2"));
  CHECK(server.log().size() == 1);
}

TEST_CASE("a storm of 429 slows the workers down and loses none of them", "[registry][session]") {
  std::atomic<int> asked{0};
  RegistryServer server({.faults = [&](const auto&) {
    return ++asked % 3 == 0 ? RegistryFault{} : RegistryFault::respond(429);
  }});
  Line line(server.host(), nullptr, 6,
            {.attempts = 50, .first_delay = 1ms, .max_delay = 2ms, .stall_timeout = 3s});
  for_each_index(24, 6, {}, [&](std::size_t, const Operation& op) {
    registry::Call call;
    call.verb = "read it";
    call.target = "/v2/";
    line.session.send(call, op);
  });
  CHECK(line.state->gate.allowed() < 6);
}

TEST_CASE("a web page is no answer", "[registry][session]") {
  const auto page = RegistryFault::html(200);
  RegistryServer server({.faults = [&](const auto&) { return page; }});
  Line line(server.host());
  const auto error = failure_of<RegistryError>([&] { line.get("/v2/team/model/tags/list"); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message(), ContainsSubstring("answered with a web page, not as a registry"));
  CHECK(server.log().size() == 1);
}

TEST_CASE("warnings are told once each", "[registry][session]") {
  RegistryServer server(
      {.dialect = {.warnings = {"299 - \"this tag goes away\"", "299 - \"\x1b[2Jcleared\"",
                                "199 - \"other\"", "299 - not quoted", "299 - \"\""}}});
  Line line(server.host());
  line.get("/v2/");
  line.get("/v2/");
  CHECK(line.warnings ==
        std::vector<std::string>{"'" + server.host() + "' warns: this tag goes away",
                                 "'" + server.host() + "' warns: \\x1b[2Jcleared"});
}

TEST_CASE("redirects end", "[registry][session]") {
  RegistryServer server({.faults = [](const auto&) {
    return RegistryFault::of(RegistryFault::Kind::redirect_loop);
  }});
  Line line(server.host());
  const auto error = failure_of<RegistryError>([&] { line.get("/v2/"); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message(), ContainsSubstring("more than 5 redirects"));
  CHECK(server.log().size() == 6);
}

TEST_CASE("redirects into private networks are refused", "[registry][session]") {
  const auto target = GENERATE(
      values<std::string>({"http://169.254.169.254/", "http://10.0.0.1/", "http://localhost:1/"}));
  CAPTURE(target);
  test::HttpServer server([&](const test::ServedRequest&) -> test::Reply {
    return {.status = 307, .headers = {{"Location", target}}};
  });
  Line line(server.host());
  CHECK(failure_of([&] { line.get("/v2/"); }).code() == ErrorCode::denied);
  CHECK(failure_of([&] { line.get(target); }).code() == ErrorCode::denied);
  CHECK(server.log().size() == 1);
}

TEST_CASE("redirects to what is no web server are refused", "[registry][session]") {
  const auto target =
      GENERATE(values<std::string>({"ftp://127.0.0.1/", "file:///etc/passwd", "gopher://x/"}));
  CAPTURE(target);
  test::HttpServer server([&](const test::ServedRequest&) -> test::Reply {
    return {.status = 307, .headers = {{"Location", target}}};
  });
  Line line(server.host());
  CHECK_THROWS_AS(line.get("/v2/"), RegistryError);
  CHECK(failure_of([&] { line.get(target); }).code() == ErrorCode::denied);
}

TEST_CASE("an authorisation goes to the registry's own origin only", "[registry][session]") {
  test::HttpServer stranger(
      [](const test::ServedRequest&) -> test::Reply { return {.body = "{}"}; });
  test::HttpServer server([&](const test::ServedRequest& request) -> test::Reply {
    if (!request.header("Authorization")) {
      return {.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=x"}}};
    }
    return request.target == "/away"
               ? test::Reply{.status = 307, .headers = {{"Location", stranger.url("/there")}}}
               : test::Reply{.body = "{}"};
  });
  Line line(server.host(), store(server.host()));
  CHECK(line.get("/v2/").status == 200);
  CHECK(line.get("/away").status == 200);
  CHECK(line.get(stranger.url("/upload?x=1")).status == 200);
  CHECK(line.get(server.url("/absolute")).status == 200);
  REQUIRE(stranger.log().size() == 2);
  CHECK_FALSE(stranger.log()[0].header("Authorization"));
  CHECK_FALSE(stranger.log()[1].header("Authorization"));
  CHECK(server.log().back().header("Authorization"));
}

TEST_CASE("every request is counted and told to the observer, without secrets",
          "[registry][session]") {
  RegistryServer server({.dialect = RegistryDialect::redirecting(),
                         .auth = {.kind = test::RegistryAuth::Kind::bearer}});
  const std::string bytes(1000, 'x');
  server.put_blob("team/model", bytes);
  std::mutex mutex;
  std::vector<registry::Exchange> seen;
  auto chosen = options(store(server.host()));
  chosen.observer = [&](const registry::Exchange& exchange) {
    const std::lock_guard lock(mutex);
    seen.push_back(exchange);
  };
  Registry client(chosen);
  const Operation op;
  const auto blob =
      client.open(reference(server.host()), Access::pull).blob(blob_descriptor(bytes), op);
  CHECK(io::read_text(*blob->open(), 5000, "blob") == bytes);
  const std::lock_guard lock(mutex);
  CHECK(seen.size() == 4); // refused, token, redirect, storage
  CHECK(client.requests() == 4);
  CHECK(server.log().size() == 4);
  CHECK(seen.back().received_bytes == bytes.size());
  for (const auto& exchange : seen) {
    CHECK(exchange.url.find('?') == std::string::npos);
  }
  CHECK(server.leaks().empty());
}

TEST_CASE("a call can be cancelled while it waits for its next try", "[registry][session]") {
  std::stop_source stop;
  RegistryServer server({.faults = [&](const auto&) {
    stop.request_stop();
    return RegistryFault::respond(500);
  }});
  Line line(server.host(), nullptr, 6, {.first_delay = 1h, .max_delay = 1h});
  registry::Call call;
  call.verb = "read it";
  call.target = "/v2/";
  const Operation op{stop.get_token()};
  CHECK(failure_of([&] { line.session.send(call, op); }).code() == ErrorCode::cancelled);
}
