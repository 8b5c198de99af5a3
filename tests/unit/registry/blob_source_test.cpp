#include "fixture.hpp"
#include "support/http_server.hpp"

#include <array>
#include <thread>

using namespace aipack;
using namespace aipack::registry_test;
using test::fault_at;

namespace {

std::string content(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& c : bytes) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return bytes;
}

const std::string big = content(3'000'000);

struct Reading {
  explicit Reading(RegistryServer& server, const std::string& bytes = big)
      : client(options()),
        blob(client.open(reference(server.host()), Access::pull).blob(blob_descriptor(bytes), op)) {
  }
  [[nodiscard]] std::string read(std::uint64_t offset = 0) {
    return io::read_text(*blob->open(offset), 10'000'000, "blob");
  }
  Operation op{};
  Registry client;
  blob::BlobPtr blob;
};

bool is_get(const test::RegistryRequest& request) {
  return request.method == "GET" && request.path.find("/blobs/") != std::string::npos;
}

} // namespace

TEST_CASE("a blob is read from its start and from anywhere else", "[registry][blob]") {
  RegistryDialect dialect;
  SECTION("by range") {}
  SECTION("where ranges are not known") {
    dialect.blob_ranges = false;
  }
  SECTION("through a redirect") {
    dialect.blob_redirect = GENERATE(301, 302, 303, 307, 308);
  }
  SECTION("without a length") {
    dialect.announces_length = false;
  }
  RegistryServer server({.dialect = dialect});
  server.put_blob("team/model", big);
  Reading reading(server);
  CHECK(reading.read() == big);
  for (const std::size_t offset : {std::size_t{1}, std::size_t{1'234'567}, big.size() - 1}) {
    CHECK(reading.read(offset) == big.substr(offset));
  }
  CHECK(reading.read(big.size()).empty());
  CHECK_THROWS_AS(reading.read(big.size() + 1), Error);
  CHECK(server.leaks().empty());
}

TEST_CASE("nothing is asked before the first read", "[registry][blob]") {
  RegistryServer server;
  server.put_blob("team/model", big);
  Reading reading(server);
  const auto source = reading.blob->open(0);
  CHECK(server.log().empty());
  std::array<std::byte, 10> some{};
  CHECK(source->read(some) > 0);
  CHECK(server.log().size() == 1);
}

TEST_CASE("an empty blob needs no request", "[registry][blob]") {
  RegistryServer server;
  Reading reading(server, "");
  CHECK(reading.read().empty());
  CHECK(reading.client.requests() == 0);
}

TEST_CASE("a broken transfer goes on where it broke", "[registry][blob]") {
  const bool ranges = GENERATE(true, false);
  RegistryFault fault;
  SECTION("cut short") {
    fault = RegistryFault::truncate_at(1'000'000);
  }
  SECTION("reset") {
    fault = {.kind = RegistryFault::Kind::reset_in_reply, .at = 1'000'000};
  }
  SECTION("before a byte") {
    fault = RegistryFault::lost_answer();
  }
  SECTION("refused") {
    fault = RegistryFault::respond(503);
  }
  SECTION("401 in the middle of the work") {
    fault = RegistryFault::respond(500);
  }
  RegistryDialect dialect;
  dialect.blob_ranges = ranges;
  RegistryServer server({.dialect = dialect});
  server.put_blob("team/model", big);
  server.set_faults(fault_at(1, fault, is_get));
  Reading reading(server);
  CHECK(reading.read() == big);
  CHECK(server.faults() == 1);
  const auto log = server.log();
  if (ranges && fault.at) {
    REQUIRE(log.size() == 2);
    const auto range = log.back().header("Range");
    REQUIRE(range);
    // What arrived is not asked for again.
    CHECK(std::stoull(range->substr(6)) > 0);
    CHECK(log.front().sent + log.back().sent <= big.size() + 1'000'000);
  }
}

TEST_CASE("a transfer that breaks again and again goes on as long as it moves",
          "[registry][blob]") {
  RegistryServer server;
  server.put_blob("team/model", big);
  // Many more breaks than tries are allowed without progress.
  constexpr int breaks = 12;
  server.set_faults([count = 0](const test::RegistryRequest& request) mutable {
    return is_get(request) && count++ < breaks ? RegistryFault::truncate_at(200'000)
                                               : RegistryFault{};
  });
  Reading reading(server);
  CHECK(reading.read() == big);
  CHECK(server.log().size() == breaks + 1);
}

TEST_CASE("a transfer that does not move is given up", "[registry][blob]") {
  RegistryServer server;
  server.put_blob("team/model", big);
  server.set_faults([](const auto&) { return RegistryFault::truncate_at(0); });
  Reading reading(server);
  CHECK(failure_of([&] { static_cast<void>(reading.read()); }).code() == ErrorCode::unavailable);
  CHECK(server.log().size() <= 2 * hasty().attempts);
}

TEST_CASE("wrong bytes do not come out unnoticed", "[registry][blob]") {
  RegistryServer server;
  server.put_blob("team/model", big);
  RegistryFault fault;
  SECTION("a flipped bit") {
    fault = RegistryFault::flip_at(big.size() / 2);
  }
  SECTION("in the last byte") {
    fault = RegistryFault::flip_at(big.size() - 1);
  }
  SECTION("longer than it should be") {
    fault = {.kind = RegistryFault::Kind::wrong_length, .by = 5};
  }
  SECTION("shorter than it should be") {
    fault = {.kind = RegistryFault::Kind::wrong_length, .by = -5};
  }
  server.set_faults(fault_at(1, fault, is_get));
  Reading reading(server);
  CHECK(failure_of([&] { static_cast<void>(reading.read()); }).code() == ErrorCode::corrupt);
}

TEST_CASE("a range that begins elsewhere is not taken", "[registry][blob]") {
  RegistryServer server;
  server.put_blob("team/model", big);
  server.set_faults([](const test::RegistryRequest& request) {
    return request.header("Range") ? RegistryFault::of(RegistryFault::Kind::wrong_range)
                                   : RegistryFault{};
  });
  Reading reading(server);
  CHECK(reading.read(1000) == big.substr(1000)); // by reading from the start
}

TEST_CASE("a server that sends more than it should is stopped", "[registry][blob]") {
  test::HttpServer server([](const test::ServedRequest&) -> test::Reply {
    return {.body = big + "more", .announce_length = false};
  });
  const Operation op;
  Registry client(options());
  const auto blob =
      client.open(reference(server.host()), Access::pull).blob(blob_descriptor(big), op);
  CHECK(failure_of([&] {
          static_cast<void>(io::read_text(*blob->open(0), 10'000'000, "blob"));
        }).code() == ErrorCode::corrupt);
}

TEST_CASE("a blob that is not there is not there", "[registry][blob]") {
  RegistryServer server;
  server.put_blob("team/model", "x");
  Reading reading(server);
  const auto error = failure_of<RegistryError>([&] { static_cast<void>(reading.read()); });
  CHECK(error.code() == ErrorCode::not_found);
  CHECK_THAT(error.message(), ContainsSubstring(oci::Digest::of(big).to_string()));
}

TEST_CASE("a source that is not read to its end lets go of its connection", "[registry][blob]") {
  RegistryServer server;
  server.put_blob("team/model", big);
  Reading reading(server);
  for (int i = 0; i < 20; ++i) {
    const auto source = reading.blob->open(0);
    std::array<std::byte, 10> some{};
    CHECK(source->read(some) > 0);
  }
}

TEST_CASE("readers that wait do not keep requests out", "[registry][blob]") {
  RegistryServer server;
  server.put_blob("team/model", big);
  auto chosen = options();
  chosen.concurrency = 1;
  const Operation op;
  Registry client(chosen);
  const auto repository = client.open(reference(server.host()), Access::pull);
  const auto blob = repository.blob(blob_descriptor(big), op);
  const auto first = blob->open(0);
  const auto second = blob->open(0);
  std::array<std::byte, 10> some{};
  CHECK(first->read(some) > 0);
  CHECK(second->read(some) > 0);
  CHECK(repository.has_blob(blob_descriptor(big), op));
}

TEST_CASE("reading can be cancelled", "[registry][blob]") {
  RegistryServer server;
  server.put_blob("team/model", big);
  server.set_faults([](const auto&) {
    return RegistryFault{.kind = RegistryFault::Kind::stall_in_reply, .at = 1000, .stall = 30s};
  });
  std::stop_source stop;
  const Operation op{stop.get_token()};
  auto chosen = options();
  chosen.patience.stall_timeout = 60s;
  Registry client(chosen);
  const auto blob =
      client.open(reference(server.host()), Access::pull).blob(blob_descriptor(big), op);
  const auto source = blob->open(0);
  std::array<std::byte, 1000> some{};
  CHECK(source->read(some) > 0);
  stop.request_stop();
  CHECK(failure_of([&] {
          while (source->read(some) > 0) {
          }
        }).code() == ErrorCode::cancelled);
  server.drop_connections();
}

TEST_CASE("whether a blob is there is found out however the registry answers", "[registry][blob]") {
  RegistryDialect dialect;
  SECTION("by HEAD") {}
  SECTION("without HEAD") {
    dialect.head_blob = false;
  }
  SECTION("without HEAD and ranges") {
    dialect.head_blob = false;
    dialect.blob_ranges = false;
  }
  SECTION("through redirects") {
    dialect.blob_redirect = 307;
    dialect.redirect_blob_head = true;
  }
  RegistryServer server({.dialect = dialect});
  server.put_blob("team/model", big);
  Registry client(options());
  const auto repository = client.open(reference(server.host()), Access::pull);
  CHECK(repository.has_blob(blob_descriptor(big), {}));
  CHECK_FALSE(repository.has_blob(blob_descriptor("absent"), {}));
  auto of_other_size = blob_descriptor(big);
  of_other_size.size_bytes += 1;
  if (dialect.head_blob) {
    CHECK_FALSE(repository.has_blob(of_other_size, {}));
  }
}
