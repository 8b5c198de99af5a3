#include "aipack/core/error.hpp"

#include "transfer_fixture.hpp"
#include "upload_plan.hpp"

using namespace aipack;
using registry::Arrival;
using registry::UploadReport;
using test::RegistryDialect;
using test::RegistryServer;
using testing::blob_of;
using testing::Client;
using testing::random_bytes;
using testing::Weights;
using Requests = std::vector<std::string>;

// Client scenarios of the conformance suite's blob tests (distribution-spec 1.1, conformance/), and
// what registries of the field do instead.

namespace {

const Operation op;

std::string bytes_of(std::size_t size, std::uint64_t seed = 7) {
  testing::Random random(seed);
  return random_bytes(random, size);
}

void check_arrived(const RegistryServer& server, const std::string& bytes,
                   const std::string& repository = "team/model") {
  const std::string digest = oci::Digest::of(bytes).to_string();
  CHECK(server.has_blob(repository, digest));
  CHECK((server.blob(digest) == bytes));
}

/// Lengths of the bodies of all PATCHes.
std::vector<std::uint64_t> patches(const RegistryServer& server) {
  std::vector<std::uint64_t> lengths;
  for (const auto& request : server.log()) {
    if (request.method == "PATCH") {
      lengths.push_back(request.received);
    }
  }
  return lengths;
}

} // namespace

// --- the ladder ---

TEST_CASE("a small blob goes up in one PUT, and is not sent twice", "[registry][upload]") {
  const RegistryServer server;
  Client client(server);
  const std::string bytes = bytes_of(5000);
  const UploadReport report = client.repository().upload(*blob_of(bytes), {}, op);
  CHECK(report.arrival == Arrival::uploaded);
  CHECK(report.sent_bytes == bytes.size());
  CHECK(report.resent_bytes == 0);
  CHECK(report.note.empty());
  CHECK(server.bytes_received() == bytes.size());
  CHECK(testing::methods(server) == Requests{"HEAD", "POST", "PUT"});
  check_arrived(server, bytes);

  const UploadReport again = client.repository().upload(*blob_of(bytes), {}, op);
  CHECK(again.arrival == Arrival::present);
  CHECK(again.sent_bytes == 0);
  CHECK(testing::methods(server) == Requests{"HEAD", "POST", "PUT", "HEAD"});
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("an empty blob goes up", "[registry][upload]") {
  const RegistryServer server;
  Client client(server);
  CHECK(client.repository().upload(*blob_of(""), {}, op).arrival == Arrival::uploaded);
  check_arrived(server, "");
}

TEST_CASE("a large blob of a known digest goes up in one PUT", "[registry][upload]") {
  const RegistryServer server;
  Client client(server);
  const std::string bytes = bytes_of(3'000'000);
  const UploadReport report = client.repository().upload(*blob_of(bytes), {}, op);
  CHECK(report.sent_bytes == bytes.size());
  CHECK(testing::methods(server) == Requests{"HEAD", "POST", "PUT"});
  check_arrived(server, bytes);
}

TEST_CASE("what is hashed on the way goes up in one PATCH, named at the end",
          "[registry][upload]") {
  const RegistryServer server;
  Client client(server);
  const Weights weights(bytes_of(9'000'000));
  UploadReport report;
  const auto blob = client.repository().upload_hashing("application/x", weights.recipe, report, op);
  CHECK(blob->descriptor().digest == oci::Digest::of(weights.bytes));
  CHECK(blob->descriptor().size_bytes == weights.bytes.size());
  CHECK(blob->descriptor().media_type == "application/x");
  CHECK(report.arrival == Arrival::uploaded);
  CHECK(report.sent_bytes == weights.bytes.size());
  CHECK(report.resent_bytes == 0);
  CHECK(testing::methods(server) == Requests{"POST", "PATCH", "PUT"});
  CHECK(server.bytes_received() == weights.bytes.size());
  check_arrived(server, weights.bytes);

  // It may turn out to be there already.
  client.repository().upload_hashing("application/x", weights.recipe, report, op);
  check_arrived(server, weights.bytes);
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("a small recipe is hashed before it is sent", "[registry][upload]") {
  const RegistryServer server;
  Client client(server);
  const Weights weights(bytes_of(1000));
  UploadReport report;
  client.repository().upload_hashing("application/x", weights.recipe, report, op);
  CHECK(testing::methods(server) == Requests{"HEAD", "POST", "PUT"});
  client.repository().upload_hashing("application/x", weights.recipe, report, op);
  CHECK(report.arrival == Arrival::present);
  check_arrived(server, weights.bytes);
}

TEST_CASE("settings choose the way", "[registry][upload]") {
  const RegistryServer server;
  const std::string bytes = bytes_of(1'500'000);
  const auto [way, expected] = GENERATE(table<std::string, Requests>(
      {{"single", {"HEAD", "POST", "PUT"}},
       {"stream", {"HEAD", "POST", "PATCH", "PUT"}},
       {"chunked", {"HEAD", "POST", "PATCH", "PATCH", "PATCH", "PUT"}}}));
  Client client(server, {}, 600'000, way);
  client.repository().upload(*blob_of(bytes), {}, op);
  CHECK(testing::methods(server) == expected);
  check_arrived(server, bytes);
}

TEST_CASE("settings choose the way also of what is hashed on the way", "[registry][upload]") {
  const RegistryServer server;
  const Weights weights(bytes_of(1'500'000));
  const auto [way, expected] = GENERATE(
      table<std::string, Requests>({{"single", {"POST", "PUT"}},
                                    {"stream", {"POST", "PATCH", "PUT"}},
                                    {"chunked", {"POST", "PATCH", "PATCH", "PATCH", "PUT"}}}));
  Client client(server, {}, 600'000, way);
  UploadReport report;
  client.repository().upload_hashing("application/x", weights.recipe, report, op);
  CHECK(testing::methods(server) == expected);
  check_arrived(server, weights.bytes);
}

TEST_CASE("a registry that announces a chunk size gets chunks of at least that",
          "[registry][upload]") {
  RegistryDialect dialect;
  dialect.min_chunk = 700'000;
  const RegistryServer server({.dialect = dialect});
  Client client(server, {}, 600'000);
  const std::string bytes = bytes_of(2'000'000);
  client.repository().upload(*blob_of(bytes), {}, op);
  CHECK(patches(server) == std::vector<std::uint64_t>{700'000, 700'000, 600'000});
  check_arrived(server, bytes);
  // Of less than one chunk there is nothing to divide.
  const std::string small = bytes_of(650'000);
  client.repository().upload(*blob_of(small), {}, op);
  CHECK(patches(server).size() == 3);
  check_arrived(server, small);
}

// --- mounting ---

TEST_CASE("a blob is mounted from a given repository", "[registry][upload]") {
  RegistryServer server;
  Client client(server);
  const std::string bytes = bytes_of(2'000'000);
  server.put_blob("team/base", bytes);
  const UploadReport report = client.repository().upload(*blob_of(bytes), {"team/base"}, op);
  CHECK(report.arrival == Arrival::mounted);
  CHECK(report.sent_bytes == 0);
  CHECK(server.bytes_received() == 0);
  CHECK(testing::methods(server) == Requests{"HEAD", "POST"});
  CHECK(server.open_uploads() == 0);
  check_arrived(server, bytes);
  // Always with its source: registries take a mount without one for an error, or for permission to
  // look everywhere.
  CHECK_THAT(server.log().back().target, ContainsSubstring("&from=team%2Fbase"));
}

TEST_CASE("a mount that opens a session instead is an upload in that session",
          "[registry][upload]") {
  const RegistryServer server;
  Client client(server);
  const std::string bytes = bytes_of(2'000'000);
  const UploadReport report = client.repository().upload(*blob_of(bytes), {"team/base"}, op);
  CHECK(report.arrival == Arrival::uploaded);
  CHECK(testing::methods(server) == Requests{"HEAD", "POST", "PUT"});
  check_arrived(server, bytes);
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("a second source of a mount is tried, and no session is left", "[registry][upload]") {
  RegistryServer server;
  Client client(server);
  const std::string bytes = bytes_of(2000);
  server.put_blob("team/second", bytes);
  const UploadReport report =
      client.repository().upload(*blob_of(bytes), {"team/first", "team/second"}, op);
  CHECK(report.arrival == Arrival::mounted);
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("a mount that fails is no reason not to upload", "[registry][upload]") {
  RegistryServer server;
  Client client(server);
  const std::string bytes = bytes_of(2000);
  const int status = GENERATE(400, 401, 403, 404, 405, 500);
  server.set_faults(test::fault_at(1, test::RegistryFault::respond(status, "UNSUPPORTED"),
                                   [](const test::RegistryRequest& request) {
                                     return request.target.find("mount=") != std::string::npos;
                                   }));
  const UploadReport report = client.repository().upload(*blob_of(bytes), {"team/base"}, op);
  CHECK(report.arrival == Arrival::uploaded);
  check_arrived(server, bytes);
}

TEST_CASE("a blob that was seen in a repository is mounted from there", "[registry][upload]") {
  RegistryServer server;
  const io::TempDirectory state;
  const std::string bytes = bytes_of(2'000'000);
  {
    Client client(server, state.path());
    client.repository("team/a").upload(*blob_of(bytes), {}, op);
    CHECK(client.repository("team/b").upload(*blob_of(bytes), {}, op).arrival == Arrival::mounted);
  }
  Client next(server, state.path());
  CHECK(next.repository("team/c").upload(*blob_of(bytes), {}, op).arrival == Arrival::mounted);
  // Where it has gone from, it is forgotten.
  const std::string digest = oci::Digest::of(bytes).to_string();
  for (const char* repository : {"team/a", "team/b", "team/c"}) {
    server.remove_blob(repository, digest);
  }
  CHECK(next.repository("team/d").upload(*blob_of(bytes), {}, op).arrival == Arrival::uploaded);
  check_arrived(server, bytes, "team/d");
}

// --- dialects ---

TEST_CASE("every dialect takes blobs of every size, hashed or not", "[registry][upload]") {
  const std::string name = GENERATE(from_range(RegistryDialect::names()));
  INFO(name);
  RegistryDialect dialect = *RegistryDialect::find(name);
  if (dialect.min_chunk > 0) {
    dialect.min_chunk = 600'000;
  }
  RegistryServer server({.dialect = dialect});
  server.put_blob("team/model", "the repository exists");
  const io::TempDirectory state;
  const std::string way = GENERATE("auto", "stream");
  INFO(way);
  for (const std::size_t size : {0U, 1U, 1'048'575U, 1'048'576U, 2'500'000U}) {
    INFO(size);
    Client client(server, state.path(), 700'000, size == 0 ? "auto" : way);
    const std::string bytes = bytes_of(size, size + 1);
    const UploadReport report = client.repository().upload(*blob_of(bytes), {}, op);
    check_arrived(server, bytes);
    CHECK(report.sent_bytes - report.resent_bytes == size);

    const Weights weights(bytes_of(size, size + 2));
    UploadReport hashed;
    const auto blob =
        client.repository().upload_hashing("application/x", weights.recipe, hashed, op);
    check_arrived(server, weights.bytes);
    CHECK(blob->descriptor().digest == oci::Digest::of(weights.bytes));
    CHECK(hashed.sent_bytes - hashed.resent_bytes == weights.bytes.size());
  }
  CHECK(server.leaks().empty());
  CHECK(testing::names_in(state.path() / "uploads").empty());
}

TEST_CASE("chunks go to every registry that takes them, whatever it says about them",
          "[registry][upload]") {
  const std::string name =
      GENERATE("full", "distribution_2_8", "distribution_3", "crane", "zot", "ecr", "ghcr", "quay",
               "artifactory", "cannot_resume", "redirecting");
  INFO(name);
  RegistryDialect dialect = *RegistryDialect::find(name);
  if (dialect.min_chunk > 0) {
    dialect.min_chunk = 600'000;
  }
  RegistryServer server({.dialect = dialect});
  server.put_blob("team/model", "the repository exists");
  Client client(server, {}, 700'000, "chunked");
  const std::string bytes = bytes_of(2'500'000);
  const UploadReport report = client.repository().upload(*blob_of(bytes), {}, op);
  CHECK(report.sent_bytes == bytes.size());
  CHECK(report.resent_bytes == 0);
  CHECK(patches(server) == std::vector<std::uint64_t>{700'000, 700'000, 700'000, 400'000});
  check_arrived(server, bytes);
}

TEST_CASE("a registry that lies about ranges is asked for the blob at the end",
          "[registry][upload]") {
  RegistryDialect dialect;
  dialect.range_report = GENERATE(RegistryDialect::RangeReport::chunk_only,
                                  RegistryDialect::RangeReport::sticks_after_first);
  const RegistryServer server({.dialect = dialect});
  Client client(server, {}, 700'000, "chunked");
  const std::string bytes = bytes_of(2'000'000);
  client.repository().upload(*blob_of(bytes), {}, op);
  CHECK(testing::methods(server) ==
        Requests{"HEAD", "POST", "PATCH", "PATCH", "PATCH", "PUT", "HEAD"});
  check_arrived(server, bytes);
}

TEST_CASE("a PUT with a body that is not taken becomes a PATCH, and that is remembered",
          "[registry][upload]") {
  const RegistryServer server({.dialect = RegistryDialect::artifactory()});
  const io::TempDirectory state;
  {
    Client client(server, state.path());
    client.repository().upload(*blob_of(bytes_of(2'000'000, 1)), {}, op);
    check_arrived(server, bytes_of(2'000'000, 1));
  }
  const std::size_t before = server.log().size();
  Client next(server, state.path());
  next.repository().upload(*blob_of(bytes_of(2'000'000, 2)), {}, op);
  const auto all = testing::methods(server);
  CHECK(Requests(all.begin() + static_cast<std::ptrdiff_t>(before), all.end()) ==
        Requests{"HEAD", "POST", "PATCH", "PUT"});
  check_arrived(server, bytes_of(2'000'000, 2));
}

TEST_CASE("chunks that are too large become smaller", "[registry][upload]") {
  RegistryDialect dialect;
  dialect.max_chunk = 600'000;
  dialect.max_chunk_status = GENERATE(413, 416);
  dialect.min_chunk = 1;
  const RegistryServer server({.dialect = dialect});
  const io::TempDirectory state;
  Client client(server, state.path(), 2'200'000);
  const std::string bytes = bytes_of(3'000'000);
  client.repository().upload(*blob_of(bytes), {}, op);
  check_arrived(server, bytes);
  CHECK(patches(server).back() <= 550'000);
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("a registry that refuses chunks altogether gets the blob whole", "[registry][upload]") {
  RegistryDialect dialect;
  dialect.chunks = RegistryDialect::Chunks::none;
  dialect.chunk_refusal = GENERATE(400, 404, 405, 416, 501);
  dialect.min_chunk = 1; // and announces them all the same
  const RegistryServer server({.dialect = dialect});
  Client client(server, {}, 700'000);
  const std::string bytes = bytes_of(3'000'000);
  client.repository().upload(*blob_of(bytes), {}, op);
  check_arrived(server, bytes);
  CHECK(server.open_uploads() == 0);
}

TEST_CASE("a second chunk that is refused makes the blob go whole", "[registry][upload]") {
  RegistryDialect dialect = RegistryDialect::google();
  dialect.min_chunk = 1;
  const RegistryServer server({.dialect = dialect});
  Client client(server, {}, 700'000);
  const Weights weights(bytes_of(3'000'000));
  UploadReport report;
  client.repository().upload_hashing("application/x", weights.recipe, report, op);
  check_arrived(server, weights.bytes);
  CHECK_FALSE(report.note.empty());
  CHECK(report.sent_bytes - report.resent_bytes == weights.bytes.size());
}

// --- what cannot be uploaded ---

TEST_CASE("a blob that is too large for the registry is a clean error", "[registry][upload]") {
  RegistryDialect dialect;
  dialect.max_blob = 1'000'000;
  const RegistryServer server({.dialect = dialect});
  const io::TempDirectory state;
  Client client(server, state.path());
  try {
    client.repository().upload(*blob_of(bytes_of(3'000'000)), {}, op);
    FAIL("it was taken");
  } catch (const registry::RegistryError& error) {
    CHECK(error.answer().status == 413);
    CHECK_FALSE(error.hint().empty());
  }
  CHECK(testing::settles([&] { return server.open_uploads() == 0; }));
  CHECK(testing::names_in(state.path() / "uploads").empty());
}

TEST_CASE("bytes that are not those of the digest are refused", "[registry][upload]") {
  struct Liar final : blob::BlobSource {
    oci::Descriptor claimed = testing::descriptor_of(bytes_of(2'000'000, 2));
    std::string real = bytes_of(2'000'000, 1);
    [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override { return claimed; }
    [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
      return std::make_unique<io::MemorySource>(
          io::as_bytes(real).subspan(static_cast<std::size_t>(offset)));
    }
  };
  const Liar liar;
  const std::string way = GENERATE("auto", "single", "stream", "chunked");
  INFO(way);
  const RegistryServer server;
  Client client(server, {}, 600'000, way);
  try {
    client.repository().upload(liar, {}, op);
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
  }
  CHECK(server.blobs().empty());
  CHECK(testing::settles([&] { return server.open_uploads() == 0; }));
}

TEST_CASE("a blob that is named another at its close is looked for under its own name",
          "[registry][upload]") {
  const bool is_there = GENERATE(true, false);
  RegistryServer server;
  server.set_faults([&, closed = false](const test::RegistryRequest& request) mutable {
    if (request.method == "PUT") {
      closed = true;
      return test::RegistryFault::of(test::RegistryFault::Kind::wrong_digest);
    }
    return closed && !is_there && request.method == "HEAD"
               ? test::RegistryFault::respond(404, "BLOB_UNKNOWN")
               : test::RegistryFault{};
  });
  Client client(server);
  const std::string bytes = bytes_of(2'000'000);
  if (is_there) {
    CHECK(client.repository().upload(*blob_of(bytes), {}, op).arrival == Arrival::uploaded);
    CHECK(testing::methods(server) == Requests{"HEAD", "POST", "PUT", "HEAD"});
    return;
  }
  try {
    client.repository().upload(*blob_of(bytes), {}, op);
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK_THAT(error.message(), ContainsSubstring("another digest"));
  }
}

TEST_CASE("a file that changes while it is sent is an error, and nothing is left",
          "[registry][upload]") {
  const RegistryServer server;
  const io::TempDirectory state;
  Client client(server, state.path());
  const Weights weights(bytes_of(9'000'000));
  struct Change final : ProgressSink {
    std::filesystem::path path;
    std::atomic<bool> done{false};
    void on_event(const ProgressEvent& event) noexcept override {
      if (event.kind == ProgressEvent::Kind::advance && !done.exchange(true)) {
        testing::write_file(path, "other");
      }
    }
  } change;
  change.path = weights.path;
  UploadReport report;
  try {
    client.repository().upload_hashing("application/x", weights.recipe, report,
                                       {.progress = change});
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
  }
  CHECK(server.blobs().empty());
  CHECK(testing::settles([&] { return server.open_uploads() == 0; }));
  CHECK(testing::names_in(state.path() / "uploads").empty());
}

TEST_CASE("no right to push is said as it is", "[registry][upload]") {
  RegistryServer server;
  server.set_faults([](const test::RegistryRequest& request) {
    return request.method == "POST" ? test::RegistryFault::respond(403, "DENIED")
                                    : test::RegistryFault{};
  });
  Client client(server);
  try {
    client.repository().upload(*blob_of("x"), {}, op);
    FAIL("it was taken");
  } catch (const registry::RegistryError& error) {
    CHECK(error.code() == ErrorCode::denied);
    CHECK(error.has("DENIED"));
  }
}

TEST_CASE("a session without a place, or in a place that is none, is a clean error",
          "[registry][upload]") {
  const std::string location = GENERATE("", "ftp://127.0.0.1/x", "http://10.0.0.1/x", "http://[");
  RegistryServer server;
  server.set_faults([&](const test::RegistryRequest& request) {
    if (request.method != "POST") {
      return test::RegistryFault{};
    }
    auto fault = test::RegistryFault::respond(202);
    fault.headers = {{"Location", location}};
    return fault;
  });
  Client client(server);
  CHECK_THROWS_AS(client.repository().upload(*blob_of(bytes_of(2'000'000)), {}, op), Error);
}
