#include "certificates.hpp"
#include "http_helpers.hpp"
#include "scripted_server.hpp"

#include <atomic>
#include <future>
#include <optional>
#include <thread>

using namespace aipack;
using namespace aipack::testing;
using namespace std::chrono_literals;
using test::Reply;
using test::ServedRequest;

namespace {

/// A body from a function that fills a buffer.
struct FunctionSource : io::ByteSource {
  using Fill = std::function<std::size_t(std::span<std::byte>)>;
  explicit FunctionSource(Fill fill_) : fill(std::move(fill_)) {}
  std::size_t read(std::span<std::byte> into) override { return fill(into); }
  Fill fill;
};

http::Request upload_of(std::string url, std::optional<std::uint64_t> bytes,
                        FunctionSource::Fill fill) {
  http::Request request = request_of("PATCH", std::move(url));
  request.body = [fill = std::move(fill)] { return std::make_unique<FunctionSource>(fill); };
  request.body_bytes = bytes;
  return request;
}

/// A server that refuses a body after its first piece, and closes the connection on bytes that it
/// has not read, so that a reset follows the answer and to send more would fail; and a body that
/// waits for all that in its second piece.
class Refusal {
public:
  Refusal(std::string answer, const std::optional<ScriptedTls>& tls = {})
      : answer_(std::move(answer)), server_([this](Scripted& client) { refuse(client); }, tls) {}

  [[nodiscard]] http::Request request(std::optional<std::uint64_t> bytes) {
    return upload_of(server_.url(), bytes, [this](std::span<std::byte> into) {
      if (++reads_ == 2) {
        second_read_.set_value();
        server_.wait_until_closed(1);
      }
      return into.size();
    });
  }
  [[nodiscard]] int reads() const noexcept { return reads_; }

private:
  void refuse(Scripted& client) {
    client.read_head();
    client.read(client.is_secure() ? 1000 : 460'000); // the rest of 64 or 512 KiB is on its way
    second_read_.get_future().wait();
    client.send(answer_);
  }

  std::string answer_;
  int reads_ = 0;
  std::promise<void> second_read_;
  ScriptedServer server_;
};

} // namespace

TEST_CASE("a body is read in large pieces and sent with its exact length", "[http][upload]") {
  test::HttpServer server([](const ServedRequest&) { return Reply{.status = 201}; });
  const std::string content = random_text(1'500'000);
  std::size_t at = 0;
  std::size_t largest = 0;
  const auto request =
      upload_of(server.url("/"), content.size(), [&](std::span<std::byte> into) -> std::size_t {
        largest = std::max(largest, into.size());
        const auto piece = std::string_view(content).substr(at, into.size());
        std::copy(piece.begin(), piece.end(), reinterpret_cast<char*>(into.data()));
        at += piece.size();
        return piece.size();
      });
  const auto response = http::make_transport()->perform(request, {});
  CHECK(response.status == 201);
  CHECK(response.sent_body_bytes == content.size());
  CHECK(largest == std::size_t{512} << 10);
  const auto seen = server.log().at(0);
  CHECK(seen.method == "PATCH");
  CHECK((seen.body == content));
  CHECK(seen.header("Content-Length") == std::to_string(content.size()));
  CHECK_FALSE(seen.header("Expect").has_value());
  CHECK_FALSE(seen.header("Transfer-Encoding").has_value());
}

TEST_CASE("a request without a body says so", "[http][upload]") {
  test::HttpServer server([](const ServedRequest&) { return Reply{.status = 202}; });
  const std::string method = GENERATE("POST", "PUT", "PATCH");
  const auto response = http::make_transport()->perform(request_of(method, server.url("/")), {});
  CHECK(response.status == 202);
  const auto seen = server.log().at(0);
  CHECK(seen.method == method);
  CHECK(seen.header("Content-Length") == "0");
  CHECK_FALSE(seen.header("Content-Type").has_value());
}

TEST_CASE("a body of unknown length goes in chunks", "[http][upload]") {
  const std::size_t size = GENERATE(0U, 1U, 3'000'000U);
  const std::string content = random_text(size);
  std::string head;
  std::string body;
  http::Response response;
  {
    ScriptedServer server([&](Scripted& client) {
      head = client.read_head();
      body = client.read_chunks();
      client.answer("200 OK");
    });
    http::Request request = put_of(server.url(), content);
    request.body_bytes = std::nullopt;
    response = http::make_transport()->perform(request, {});
  }
  CHECK(response.status == 200);
  CHECK(response.sent_body_bytes == size);
  CHECK_THAT(head, ContainsSubstring("Transfer-Encoding: chunked\r\n"));
  CHECK_THAT(head, !ContainsSubstring("Content-Length"));
  CHECK((body == content));
}

TEST_CASE("a body that is not as long as announced never arrives whole", "[http][upload]") {
  const auto [announced, size, code] = GENERATE(table<std::uint64_t, std::uint64_t, ErrorCode>({
      {1'000'000, 999'999, ErrorCode::io},
      {1'000'000, 0, ErrorCode::io},
      {1'000'000, 1'000'001, ErrorCode::internal},
      {1, 2, ErrorCode::internal},
      {0, 1, ErrorCode::internal},
      {524'288, 600'000, ErrorCode::internal},
  }));
  CAPTURE(announced, size);
  const std::string content(size, 'x');
  std::size_t arrived = 0;
  {
    ScriptedServer server([&](Scripted& client) {
      client.read_head();
      arrived = client.read(announced).size();
    });
    http::Request request = put_of(server.url(), content);
    request.body_bytes = announced;
    const Error error = error_of([&] { (void)http::make_transport()->perform(request, {}); });
    CHECK(error.code() == code);
    CHECK_THAT(error.message(), ContainsSubstring("cannot send request body"));
  }
  CHECK((arrived < announced || announced == 0));
}

TEST_CASE("a body that finds itself wrong at its end stops the request", "[http][upload]") {
  std::size_t arrived = 0;
  {
    ScriptedServer server([&](Scripted& client) {
      client.read_head();
      arrived = client.read(1000).size();
    });
    bool was_read = false;
    const auto request =
        upload_of(server.url(), 1000, [&](std::span<std::byte> into) -> std::size_t {
          if (was_read) {
            throw Error(ErrorCode::corrupt, "cannot read blob: wrong digest");
          }
          was_read = true;
          return into.size();
        });
    const Error error = error_of([&] { (void)http::make_transport()->perform(request, {}); });
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.message() == "cannot read blob: wrong digest");
  }
  CHECK(arrived < 1000);
}

TEST_CASE("a refusal in the middle of a body is the response", "[http][upload]") {
  const std::string status = GENERATE("413 Content Too Large", "401 Unauthorized", "500 Oh");
  const bool chunked = GENERATE(false, true);
  const bool secure = GENERATE(false, true);
  CAPTURE(status, chunked, secure);
  const CertificateMaker maker;
  std::optional<ScriptedTls> tls;
  http::TransportOptions options;
  if (secure) {
    const Certificate authority = maker.authority("ours");
    const Certificate certificate = maker.server("server", authority);
    tls = ScriptedTls{.certificate = certificate.certificate, .key = certificate.key};
    options.ca_files = {authority.certificate};
  }
  Refusal refusal("HTTP/1.1 " + status + "\r\nContent-Length: 8\r\n\r\ntoo much", tls);
  const auto response = http::make_transport(options)->perform(
      refusal.request(chunked ? std::nullopt : std::optional<std::uint64_t>(1U << 30)), {});
  CHECK(response.status == std::stoi(status));
  CHECK(response.body == "too much");
  CHECK(response.sent_body_bytes > 0);
  CHECK(response.sent_body_bytes < 1'100'000);
  CHECK(refusal.reads() == 2);
}

TEST_CASE("a refusal counts even if its own body breaks off", "[http][upload]") {
  Refusal refusal("HTTP/1.1 413 Content Too Large\r\nContent-Length: 100\r\n\r\ntoo");
  const auto response = http::make_transport()->perform(refusal.request(1U << 30), {});
  CHECK(response.status == 413);
  CHECK(response.body == "too");
}

TEST_CASE("a connection that is lost in the middle of a body is Error{unavailable}",
          "[http][upload]") {
  ScriptedServer server([&](Scripted& client) {
    client.read_head();
    client.read(1000);
  });
  const auto request = upload_of(server.url("/up?token=secret"), 1U << 30,
                                 [](std::span<std::byte> into) { return into.size(); });
  const Error error = error_of([&] { (void)http::make_transport()->perform(request, {}); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message(),
             ContainsSubstring("cannot send PATCH to '" + server.url("/up") + "'"));
}

TEST_CASE("a redirect in the middle of a body is followed at once, with the body from its start",
          "[http][upload]") {
  const std::string content = random_text(3'000'000);
  test::HttpServer other([](const ServedRequest&) { return Reply{.status = 201}; });
  ScriptedServer server([&](Scripted& client) {
    client.read_head();
    client.read(1000);
    client.send("HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: " +
                other.url("/there?x=1") + "\r\n\r\n");
    client.read(content.size()); // patiently; nothing more must come
  });
  unsigned opened = 0;
  http::Request request = put_of(server.url(), content);
  request.body = [&, open = request.body] {
    ++opened;
    return open();
  };
  std::vector<http::Exchange> exchanges;
  const auto transport = http::make_transport(
      {.observer = [&](const http::Exchange& exchange) { exchanges.push_back(exchange); }});
  const auto response = transport->perform(request, {});
  CHECK(response.status == 201);
  CHECK(response.redirects == 1);
  CHECK(response.sent_body_bytes == content.size());
  CHECK(opened == 2);
  CHECK((other.log().at(0).body == content));
  REQUIRE(exchanges.size() == 2);
  CHECK(exchanges[0].status == 307);
}

TEST_CASE("an interim response does not end an upload", "[http][upload]") {
  const std::string content = random_text(3'000'000);
  bool whole = false;
  {
    ScriptedServer server([&](Scripted& client) {
      client.read_head();
      client.send("HTTP/1.1 100 Continue\r\n\r\n");
      client.read(1000);
      client.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
      whole = client.read(content.size() - 1000).size() == content.size() - 1000;
      client.answer("201 Created");
    });
    const auto response = http::make_transport()->perform(put_of(server.url(), content), {});
    CHECK(response.status == 201);
    CHECK_FALSE(response.header("Link").has_value());
  }
  CHECK(whole);
}

TEST_CASE("a server may think longer about an upload than it may be silent", "[http][upload]") {
  const std::string method = GENERATE("PUT", "POST");
  const std::string content = method == "PUT" ? random_text(1000) : "";
  const bool answers = GENERATE(true, false);
  CAPTURE(method, answers);
  ScriptedServer server([&](Scripted& client) {
    client.read_head();
    client.read(content.size());
    client.stall(answers ? 300ms : 3600s);
    client.answer("201 Created");
  });
  http::Request request = put_of(server.url(), content);
  request.method = method;
  request.stall_timeout = 100ms;
  request.answer_timeout = answers ? 3600s : 200ms;
  if (content.empty()) {
    request.body = nullptr; // as when an upload is closed
  }
  const auto transport = http::make_transport();
  if (answers) {
    CHECK(transport->perform(request, {}).status == 201);
  } else {
    const Error error = error_of([&] { (void)transport->perform(request, {}); });
    CHECK(error.code() == ErrorCode::unavailable);
    CHECK_THAT(error.message(),
               ContainsSubstring("no answer for 0.2 s after the request was sent"));
  }
}

TEST_CASE("an upload that nobody reads is stalled", "[http][upload]") {
  ScriptedServer server([&](Scripted& client) {
    client.read_head();
    client.stall(3600s);
  });
  auto request =
      upload_of(server.url(), 1U << 30, [](std::span<std::byte> into) { return into.size(); });
  request.stall_timeout = 150ms;
  const Error error = error_of([&] { (void)http::make_transport()->perform(request, {}); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message(), ContainsSubstring("no data for 0.15 s"));
}

TEST_CASE("time that a source or a sink takes is not the network's", "[http][upload]") {
  ScriptedServer server([&](Scripted& client) {
    client.read_head();
    client.read(2);
    client.answer("200 OK", "answer");
  });
  auto request = upload_of(server.url(), 2, [&, at = 0](std::span<std::byte>) mutable {
    std::this_thread::sleep_for(at < 2 ? 250ms : 0ms);
    return ++at <= 2 ? std::size_t{1} : std::size_t{0};
  });
  struct SlowSink : TextSink {
    void write(std::span<const std::byte> bytes) override {
      std::this_thread::sleep_for(250ms);
      TextSink::write(bytes);
    }
  } sink;
  request.sink = &sink;
  request.stall_timeout = 200ms;
  CHECK(http::make_transport()->perform(request, {}).status == 200);
  CHECK(sink.text == "answer");
}

TEST_CASE("a body is opened again when a kept connection turns out to be closed",
          "[http][upload]") {
  const std::string content = random_text(100'000);
  std::string arrived;
  ScriptedServer server([&](Scripted& client) {
    client.read_head();
    arrived = client.read(content.size());
    client.answer("201 Created");
  });
  const auto transport = http::make_transport();
  CHECK(transport->perform(put_of(server.url(), content), {}).status == 201);
  server.wait_until_closed(1);
  CHECK(transport->perform(put_of(server.url(), content), {}).status == 201);
  server.wait_until_closed(2);
  CHECK((arrived == content));
}

TEST_CASE("uploads side by side have connections of their own, which are used again",
          "[http][upload]") {
  constexpr int threads = 3;
  std::atomic<int> arrived{0};
  ScriptedServer server([&](Scripted& client) {
    while (!client.read_head().empty()) {
      // Nobody is answered before all are there.
      for (const int round = arrived++ / threads; arrived < (round + 1) * threads;) {
        std::this_thread::yield();
      }
      client.read(100'000);
      client.answer("201 Created");
    }
  });
  const auto transport = http::make_transport();
  const std::string content = random_text(100'000);
  std::atomic<int> good{0};
  for (int round = 0; round < 2; ++round) {
    std::vector<std::jthread> uploads;
    for (int i = 0; i < threads; ++i) {
      uploads.emplace_back([&] {
        good += transport->perform(put_of(server.url(), content), {}).status == 201 ? 1 : 0;
      });
    }
  }
  CHECK(good == 2 * threads);
  CHECK(server.connections() == threads);
}
