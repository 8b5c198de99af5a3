#include "aipack/core/error.hpp"
#include "aipack/http/http.hpp"

#include "transfer_fixture.hpp"

using namespace aipack;
using registry::Arrival;
using registry::UploadReport;
using test::RegistryDialect;
using test::RegistryFault;
using test::RegistryServer;
using testing::blob_of;
using testing::Client;
using testing::random_bytes;
using testing::Weights;

// Transfers that break, within one call and between processes.

namespace {

const Operation op;
constexpr std::uint64_t chunk = 300'000;

std::string bytes_of(std::size_t size, std::uint64_t seed = 7) {
  testing::Random random(seed);
  return random_bytes(random, size);
}

bool has_body(const test::RegistryRequest& request) {
  return request.origin != test::Origin::token && request.has_body() &&
         (request.method == "PUT" || request.method == "PATCH");
}

void check_arrived(const RegistryServer& server, const std::string& bytes) {
  UNSCOPED_INFO(testing::story(server));
  CHECK((server.blob(oci::Digest::of(bytes).to_string()) == bytes));
}

/// A call that is cut off in the middle, as Ctrl-C does; SIGKILL leaves the same behind.
void interrupt(Client& client, const blob::BlobSource& blob, std::uint64_t after_bytes) {
  testing::StopAfter stop(after_bytes);
  CHECK_THROWS_AS(client.repository().upload(blob, {}, stop.operation()), Error);
}
void interrupt(Client& client, const blob::Recipe& recipe, std::uint64_t after_bytes) {
  testing::StopAfter stop(after_bytes);
  UploadReport report;
  CHECK_THROWS_AS(client.repository().upload_hashing("x", recipe, report, stop.operation()), Error);
}

} // namespace

TEST_CASE("a broken upload goes on in chunks where the registry has what arrived",
          "[registry][upload][resume]") {
  const auto [way, hashed] =
      GENERATE(table<std::string, bool>({{"auto", false}, {"auto", true}, {"chunked", true}}));
  INFO(way << hashed);
  RegistryServer server({.dialect = RegistryDialect::distribution_3()});
  Client client(server, {}, chunk, way);
  const Weights weights(bytes_of(2'000'000));
  server.set_faults(test::fault_at(1, RegistryFault::reset_at(200'000), has_body));
  UploadReport report;
  if (hashed) {
    client.repository().upload_hashing("x", weights.recipe, report, op);
  } else {
    report = client.repository().upload(*blob_of(weights.bytes), {}, op);
  }
  CHECK(server.faults() == 1);
  check_arrived(server, weights.bytes);
  CHECK(report.arrival == Arrival::uploaded);
  CHECK(report.note.empty());
  CHECK(report.sent_bytes - report.resent_bytes == weights.bytes.size());
  // Nothing reached the registry twice.
  CHECK(server.bytes_received() == weights.bytes.size());
}

TEST_CASE("a broken chunk that the registry drops is sent again, alone",
          "[registry][upload][resume]") {
  RegistryDialect dialect;
  dialect.partial_chunk = RegistryDialect::PartialChunk::discard;
  RegistryServer server({.dialect = dialect});
  Client client(server, {}, chunk, "chunked");
  const std::string bytes = bytes_of(2'000'000);
  server.set_faults(test::fault_at(3, RegistryFault::reset_at(100'000), has_body));
  const UploadReport report = client.repository().upload(*blob_of(bytes), {}, op);
  check_arrived(server, bytes);
  CHECK(report.note.empty());
  CHECK(server.bytes_received() == bytes.size() + 100'000);
  CHECK(report.resent_bytes <= chunk);
  CHECK(report.sent_bytes - report.resent_bytes == bytes.size());
}

TEST_CASE("where the registry cannot go on, the upload starts over and says so",
          "[registry][upload][resume]") {
  const std::string name = GENERATE("distribution_2_8", "crane", "cannot_resume");
  INFO(name);
  RegistryServer server({.dialect = *RegistryDialect::find(name)});
  const io::TempDirectory state;
  Client client(server, state.path());
  const Weights weights(bytes_of(2'000'000));
  server.set_faults(test::fault_at(1, RegistryFault::reset_at(1'000'000), has_body));
  UploadReport report;
  client.repository().upload_hashing("x", weights.recipe, report, op);
  check_arrived(server, weights.bytes);
  CHECK(report.note.find("started over") != std::string::npos);
  CHECK(report.resent_bytes >= 1'000'000);
  CHECK(report.sent_bytes - report.resent_bytes == weights.bytes.size());
  CHECK(testing::names_in(state.path() / "uploads").empty());
}

TEST_CASE("a lost answer to the last request is not a lost blob", "[registry][upload][resume]") {
  const std::string name = GENERATE(from_range(RegistryDialect::names()));
  INFO(name);
  RegistryServer server({.dialect = *RegistryDialect::find(name)});
  server.put_blob("team/model", "the repository exists");
  Client client(server);
  const Weights weights(bytes_of(2'000'000));
  server.set_faults(test::fault_at(1, RegistryFault::lost_answer(),
                                   [](const auto& request) { return request.method == "PUT"; }));
  UploadReport report;
  client.repository().upload_hashing("x", weights.recipe, report, op);
  CHECK(server.faults() == 1);
  check_arrived(server, weights.bytes);
  CHECK(server.bytes_received() == weights.bytes.size());
  CHECK(report.resent_bytes == 0);
}

TEST_CASE("a lost answer to a chunk is found out by asking", "[registry][upload][resume]") {
  RegistryServer server({.dialect = RegistryDialect::distribution_3()});
  Client client(server, {}, chunk, "chunked");
  const std::string bytes = bytes_of(2'000'000);
  server.set_faults(test::fault_at(2, RegistryFault::lost_answer(), has_body));
  const UploadReport report = client.repository().upload(*blob_of(bytes), {}, op);
  check_arrived(server, bytes);
  CHECK(server.bytes_received() == bytes.size());
  CHECK(report.resent_bytes == 0);
  // Nor did the head of a chunk go out again: the registry would have answered that.
  CHECK(server.count("PATCH") == (bytes.size() + chunk - 1) / chunk);
}

TEST_CASE("the newest location is used where only that is good", "[registry][upload][resume]") {
  RegistryDialect dialect = RegistryDialect::distribution_3();
  dialect.status_ignores_state = false;
  RegistryServer server({.dialect = dialect});
  Client client(server, {}, chunk, "chunked");
  const std::string bytes = bytes_of(2'000'000);
  server.set_faults(test::fault_at(4, RegistryFault::reset_at(10'000), has_body));
  const UploadReport report = client.repository().upload(*blob_of(bytes), {}, op);
  check_arrived(server, bytes);
  CHECK(report.note.empty());
  CHECK(server.bytes_received() == bytes.size());
}

TEST_CASE("trouble that passes is waited for", "[registry][upload][resume]") {
  const int status = GENERATE(408, 429, 500, 502, 503, 504);
  const bool in_body = GENERATE(false, true);
  INFO(status << in_body);
  RegistryServer server({.dialect = RegistryDialect::distribution_3()});
  Client client(server, {}, chunk);
  const Weights weights(bytes_of(2'000'000));
  server.set_faults(test::fault_at(
      1, in_body ? RegistryFault::respond_at(500'000, status) : RegistryFault::respond(status),
      has_body));
  UploadReport report;
  client.repository().upload_hashing("x", weights.recipe, report, op);
  check_arrived(server, weights.bytes);
  CHECK(report.sent_bytes - report.resent_bytes == weights.bytes.size());
}

TEST_CASE("a token that ends in the middle is renewed", "[registry][upload][resume]") {
  // The registry wants a new token for every second request.
  RegistryServer server({.dialect = RegistryDialect::distribution_3(),
                         .auth = {.kind = test::RegistryAuth::Kind::bearer,
                                  .anonymous_pull = true,
                                  .requests_per_token = 2}});
  struct Login final : registry::CredentialStore {
    std::optional<registry::Credential> find(std::string_view, std::string_view,
                                             const Operation&) override {
      return registry::Credential{.username = "user",
                                  .password = registry::Secret("correct horse")};
    }
  };
  registry::Registry client({.credentials = std::make_shared<Login>(),
                             .settings = testing::settings_for(server.host(), "chunked", chunk),
                             .patience = testing::no_waiting()});
  auto repository =
      client.open(oci::Reference::parse(server.host() + "/team/model"), registry::Access::push);
  const Weights weights(bytes_of(2'000'000));
  UploadReport report;
  repository.upload_hashing("x", weights.recipe, report, op);
  check_arrived(server, weights.bytes);
  CHECK(server.leaks().empty());
}

TEST_CASE("a registry that is always too busy is a clean error, and the upload can go on",
          "[registry][upload][resume]") {
  RegistryServer server({.dialect = RegistryDialect::distribution_3()});
  const io::TempDirectory state;
  const std::string bytes = bytes_of(2'000'000);
  Client client(server, state.path(), chunk, "chunked");
  server.set_faults([](const test::RegistryRequest& request) {
    return has_body(request) && request.header("Content-Range").value_or("").starts_with("6")
               ? RegistryFault::respond(503)
               : RegistryFault{};
  });
  try {
    client.repository().upload(*blob_of(bytes), {}, op);
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unavailable);
  }
  CHECK(testing::names_in(state.path() / "uploads").size() == 1);
  server.set_faults({});
  Client next(server, state.path(), chunk, "chunked");
  const UploadReport report = next.repository().upload(*blob_of(bytes), {}, op);
  CHECK(report.arrival == Arrival::resumed);
  CHECK(report.note.empty());
  CHECK(report.sent_bytes == bytes.size() - 2 * chunk);
  check_arrived(server, bytes);
}

// --- between processes ---

TEST_CASE("the next process goes on where the last one stopped", "[registry][upload][resume]") {
  const auto [way, hashed] = GENERATE(table<std::string, bool>(
      {{"auto", false}, {"auto", true}, {"chunked", false}, {"chunked", true}}));
  INFO(way << hashed);
  RegistryServer server({.dialect = RegistryDialect::distribution_3()});
  const io::TempDirectory state;
  const Weights weights(bytes_of(6'000'000));
  const blob::DerivedBlob blob(testing::descriptor_of(weights.bytes), weights.recipe);
  {
    Client client(server, state.path(), chunk, way);
    if (hashed) {
      interrupt(client, weights.recipe, 3'000'000);
    } else {
      interrupt(client, blob, 3'000'000);
    }
  }
  REQUIRE(testing::settles([&] {
    const auto log = server.log();
    return std::ranges::any_of(log, has_body) &&
           std::ranges::all_of(log, [](const auto& request) { return request.finished; });
  }));
  const std::uint64_t before = server.bytes_received();
  CHECK(before > 1'000'000);
  Client next(server, state.path(), chunk, way);
  UploadReport report;
  if (hashed) {
    next.repository().upload_hashing("x", weights.recipe, report, op);
  } else {
    report = next.repository().upload(blob, {}, op);
  }
  CHECK(report.arrival == Arrival::resumed);
  CHECK(report.note.empty());
  check_arrived(server, weights.bytes);
  CHECK(server.bytes_received() == weights.bytes.size());
  CHECK(report.sent_bytes == weights.bytes.size() - before);
  CHECK(report.resent_bytes <= report.sent_bytes);
  CHECK(testing::names_in(state.path() / "uploads").empty());
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("at most one chunk is sent again to a registry that drops what is broken",
          "[registry][upload][resume]") {
  RegistryDialect dialect = RegistryDialect::distribution_3();
  dialect.partial_chunk = RegistryDialect::PartialChunk::discard;
  RegistryServer server({.dialect = dialect});
  const io::TempDirectory state;
  const Weights weights(bytes_of(3'000'000));
  {
    Client client(server, state.path(), chunk, "chunked");
    interrupt(client, weights.recipe, 1'000'000);
  }
  Client next(server, state.path(), chunk, "chunked");
  UploadReport report;
  next.repository().upload_hashing("x", weights.recipe, report, op);
  CHECK(report.arrival == Arrival::resumed);
  check_arrived(server, weights.bytes);
  CHECK(report.resent_bytes <= chunk);
  CHECK(server.bytes_received() <= weights.bytes.size() + chunk);
}

TEST_CASE("what cannot be taken up starts over in the next process, and that is said",
          "[registry][upload][resume]") {
  const std::string name = GENERATE("distribution_2_8", "crane", "cannot_resume");
  INFO(name);
  RegistryServer server({.dialect = *RegistryDialect::find(name)});
  const io::TempDirectory state;
  const Weights weights(bytes_of(6'000'000));
  {
    Client client(server, state.path());
    interrupt(client, weights.recipe, 3'000'000);
  }
  Client next(server, state.path());
  UploadReport report;
  next.repository().upload_hashing("x", weights.recipe, report, op);
  CHECK(report.arrival == Arrival::uploaded);
  CHECK(report.note.find("started over") != std::string::npos);
  CHECK(report.resent_bytes > 1'000'000);
  CHECK(report.sent_bytes == weights.bytes.size());
  check_arrived(server, weights.bytes);
}

TEST_CASE("a session that has expired starts over, and that is said",
          "[registry][upload][resume]") {
  RegistryServer server({.dialect = RegistryDialect::distribution_3()});
  const io::TempDirectory state;
  const std::string bytes = bytes_of(3'000'000);
  {
    Client client(server, state.path(), chunk, "chunked");
    interrupt(client, *blob_of(bytes), 1'500'000);
  }
  std::string session;
  for (const auto& request : server.log()) {
    if (request.method == "PATCH" && request.status == 202) {
      session = request.path;
    }
  }
  REQUIRE_FALSE(session.empty());
  server.set_dialect(RegistryDialect::full());
  http::make_transport()->perform({.method = "DELETE", .url = server.url(session)}, op);
  Client next(server, state.path(), chunk, "chunked");
  const UploadReport report = next.repository().upload(*blob_of(bytes), {}, op);
  CHECK(report.arrival == Arrival::uploaded);
  CHECK(report.note.find("404") != std::string::npos);
  CHECK(report.sent_bytes == bytes.size());
  check_arrived(server, bytes);
}

TEST_CASE("an upload that was committed before the process ended is seen as present",
          "[registry][upload][resume]") {
  RegistryServer server;
  const io::TempDirectory state;
  const std::string bytes = bytes_of(3'000'000);
  {
    Client client(server, state.path(), chunk, "chunked");
    interrupt(client, *blob_of(bytes), 1'500'000);
  }
  CHECK(testing::names_in(state.path() / "uploads").size() == 1);
  server.put_blob("team/model", bytes);
  Client next(server, state.path());
  CHECK(next.repository().upload(*blob_of(bytes), {}, op).arrival == Arrival::present);
  CHECK(testing::names_in(state.path() / "uploads").empty());
}

TEST_CASE("a blob that can be mounted now is not sent to its end", "[registry][upload][resume]") {
  RegistryServer server;
  const io::TempDirectory state;
  const std::string bytes = bytes_of(3'000'000);
  {
    Client client(server, state.path(), chunk, "chunked");
    interrupt(client, *blob_of(bytes), 1'500'000);
  }
  server.put_blob("team/base", bytes);
  Client next(server, state.path());
  const UploadReport report = next.repository().upload(*blob_of(bytes), {"team/base"}, op);
  CHECK(report.arrival == Arrival::mounted);
  CHECK(report.sent_bytes == 0);
  CHECK(testing::names_in(state.path() / "uploads").empty());
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("a damaged journal is an upload from the start", "[registry][upload][resume]") {
  RegistryServer server;
  const io::TempDirectory state;
  const std::string bytes = bytes_of(3'000'000);
  {
    Client client(server, state.path(), chunk, "chunked");
    interrupt(client, *blob_of(bytes), 1'500'000);
  }
  const auto names = testing::names_in(state.path() / "uploads");
  REQUIRE(names.size() == 1);
  testing::write_file(state.path() / "uploads" / *names.begin(), "not a journal");
  Client next(server, state.path(), chunk, "chunked");
  const UploadReport report = next.repository().upload(*blob_of(bytes), {}, op);
  CHECK(report.arrival == Arrival::uploaded);
  check_arrived(server, bytes);
}

TEST_CASE("two processes that send the same do not share a session", "[registry][upload][resume]") {
  RegistryServer server;
  const io::TempDirectory state;
  const Weights weights(bytes_of(4'000'000));
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      Client client(server, state.path(), chunk, "chunked");
      UploadReport report;
      const auto blob = client.repository().upload_hashing("x", weights.recipe, report, op);
      good += blob->descriptor().digest == oci::Digest::of(weights.bytes) ? 1 : 0;
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(good == 3);
  check_arrived(server, weights.bytes);
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("a part of the first chunk that a registry hides costs a new session, in whatever run",
          "[registry][upload][resume]") {
  // It has the first bytes, says 0-0, and refuses the chunk from 0.
  RegistryServer server({.dialect = RegistryDialect::zot()});
  const io::TempDirectory state;
  Client client(server, state.path(), chunk, "chunked");
  const std::string bytes = bytes_of(2'000'000);
  server.set_faults(test::fault_at(1, RegistryFault::reset_at(70'000), has_body));
  const UploadReport report = client.repository().upload(*blob_of(bytes), {}, op);
  check_arrived(server, bytes);
  CHECK(server.count("POST") == 2);
  CHECK(report.resent_bytes > 0);
  CHECK(testing::names_in(state.path() / "uploads").empty());
}

// --- everything at once ---

TEST_CASE("faults at any byte give the right blob, or a clean error that can be resumed",
          "[registry][upload][resume][property]") {
  AIPACK_TEST_RANDOM(random);
  const auto names = RegistryDialect::names();
  for (int round = 0; round < 60; ++round) {
    const std::string name = random.pick(names);
    RegistryDialect dialect = *RegistryDialect::find(name);
    if (dialect.min_chunk > 0) {
      dialect.min_chunk = 200'000;
    }
    RegistryServer server({.dialect = dialect});
    server.put_blob("team/model", "the repository exists");
    const io::TempDirectory state;
    const Weights weights(random_bytes(random, 1'100'000 + random.below(1'500'000)));
    const bool hashed = random.one_in(2);
    const std::string way = name != "google" && random.one_in(3) ? "chunked" : "auto";
    const auto seed = random.below(1'000'000);
    INFO(round << " " << name << " " << way << " hashed=" << hashed << " storm=" << seed);
    using Kind = RegistryFault::Kind;
    server.set_storm(test::FaultStorm{
        .seed = seed,
        .rate = 0.3,
        .budget = 12,
        .stall = std::chrono::milliseconds(50),
        .kinds = {Kind::reset_in_request, Kind::answer, Kind::lost_request, Kind::lost_answer,
                  Kind::reset_in_reply, Kind::wrong_range, Kind::wrong_digest},
        .statuses = {408, 416, 429, 500, 502, 503, 504}});
    bool arrived = false;
    for (int process = 0; process < 8 && !arrived; ++process) {
      Client client(server, state.path(), 400'000, way);
      UploadReport report;
      try {
        if (hashed) {
          client.repository().upload_hashing("x", weights.recipe, report, op);
        } else {
          report = client.repository().upload(*blob_of(weights.bytes), {}, op);
        }
        arrived = true;
      } catch (const Error& error) {
        INFO(error.message());
        CHECK(error.code() != ErrorCode::internal);
      }
    }
    CHECK(arrived);
    check_arrived(server, weights.bytes);
    CHECK(server.blobs().size() == 2);
    CHECK(testing::names_in(state.path() / "uploads").empty());
    CHECK(server.leaks().empty());
  }
}
