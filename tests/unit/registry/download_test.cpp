#include "aipack/core/error.hpp"

#include "download_plan.hpp"
#include "transfer_fixture.hpp"

using namespace aipack;
using registry::DownloadReport;
using test::RegistryDialect;
using test::RegistryFault;
using test::RegistryServer;
using testing::Client;

namespace {

const Operation op;
/// More than one range per lane.
constexpr std::size_t large = registry::parallel_from_bytes + 5'000'001;
constexpr std::size_t medium = 9'000'001;

/// Bytes that are made as fast as they are compared.
const std::string& bytes_of(std::size_t size) {
  static const std::string all = [] {
    std::string text(large, '\0');
    std::uint64_t state = 42;
    for (std::size_t at = 0; at + 8 <= text.size(); at += 8) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      std::memcpy(text.data() + at, &state, 8);
    }
    return text;
  }();
  static std::map<std::size_t, std::string> cut;
  return cut.try_emplace(size, all, 0, size).first->second;
}

struct Fixture {
  explicit Fixture(std::size_t size, RegistryDialect dialect = {})
      : bytes(bytes_of(size)), server({.dialect = std::move(dialect)}),
        wanted(testing::descriptor_of(bytes)), store(directory.path()) {
    server.put_blob("team/model", bytes);
    server.clear_log();
  }

  DownloadReport download(const Operation& operation = op) {
    Client client(server);
    return client.repository().download(wanted, store, operation);
  }
  void check_there() {
    CHECK(store.contains(wanted));
    CHECK((testing::read_file(store.path_of(wanted.digest)) == bytes));
    CHECK(testing::names_in(directory.path()) == std::set<std::string>{"sha256"});
  }
  void check_absent() {
    CHECK_FALSE(store.contains(wanted));
    CHECK_FALSE(std::filesystem::exists(store.path_of(wanted.digest)));
  }
  [[nodiscard]] std::filesystem::path partial() const {
    return directory.path() / "partial" / wanted.digest.hex();
  }
  [[nodiscard]] std::uint64_t sent_by_server() const {
    std::uint64_t sum = 0;
    for (const auto& request : server.log()) {
      sum += request.method == "GET" ? request.sent : 0;
    }
    return sum;
  }

  const std::string& bytes;
  RegistryServer server;
  oci::Descriptor wanted;
  io::TempDirectory directory;
  blob::DirectoryStore store;
};

bool is_blob_get(const test::RegistryRequest& request) {
  return request.method == "GET" && request.path.find("/blobs/") != std::string::npos;
}

} // namespace

TEST_CASE("blobs of every size arrive", "[registry][download]") {
  const std::size_t size = GENERATE(as<std::size_t>{}, 0, 1, registry::memory_below_bytes - 1,
                                    registry::memory_below_bytes, medium, large);
  INFO(size);
  Fixture fixture(size);
  const DownloadReport report = fixture.download();
  CHECK(report.received_bytes == size);
  CHECK(report.resumed_bytes == 0);
  CHECK_FALSE(report.present);
  fixture.check_there();
  CHECK(fixture.sent_by_server() == size);
  const std::size_t requests = fixture.server.log().size();
  CHECK((size < registry::parallel_from_bytes ? requests == 1 : requests > 4));

  CHECK(fixture.download().present);
  CHECK(fixture.server.log().size() == requests);
}

TEST_CASE("every dialect gives blobs, by ranges or not", "[registry][download]") {
  const std::string name = GENERATE(from_range(RegistryDialect::names()));
  INFO(name);
  Fixture fixture(medium, *RegistryDialect::find(name));
  fixture.download();
  fixture.check_there();
  CHECK(fixture.server.leaks().empty());
}

TEST_CASE("a server without ranges gives a large blob in one stream", "[registry][download]") {
  RegistryDialect dialect;
  dialect.blob_ranges = false;
  Fixture fixture(large, dialect);
  CHECK(fixture.download().received_bytes == large);
  CHECK(fixture.server.log().size() == 1);
  fixture.check_there();
}

TEST_CASE("storage that a registry redirects to is asked range by range", "[registry][download]") {
  Fixture fixture(large, RegistryDialect::redirecting());
  fixture.download();
  fixture.check_there();
  CHECK(fixture.server.leaks().empty());
}

TEST_CASE("a broken transfer goes on where it was", "[registry][download]") {
  const std::size_t size = GENERATE(as<std::size_t>{}, medium, large);
  const auto kind =
      GENERATE(RegistryFault::Kind::reset_in_reply, RegistryFault::Kind::stall_in_reply,
               RegistryFault::Kind::truncate_reply);
  Fixture fixture(size);
  RegistryFault fault = RegistryFault::of(kind);
  fault.at = 3'000'000;
  fault.stall = std::chrono::milliseconds(100);
  fixture.server.set_faults(test::fault_at(1, fault, is_blob_get));
  const DownloadReport report = fixture.download();
  fixture.check_there();
  CHECK(report.received_bytes == size); // nothing came twice
}

TEST_CASE("a broken transfer without ranges drops what it has already", "[registry][download]") {
  RegistryDialect dialect;
  dialect.blob_ranges = false;
  Fixture fixture(medium, dialect);
  fixture.server.set_faults(test::fault_at(1, RegistryFault::truncate_at(3'000'000), is_blob_get));
  const DownloadReport report = fixture.download();
  fixture.check_there();
  CHECK(report.received_bytes == medium + 3'000'000);
}

TEST_CASE("wrong bytes are fetched once more", "[registry][download]") {
  const std::size_t size = GENERATE(as<std::size_t>{}, 5000, medium, large);
  INFO(size);
  Fixture fixture(size);
  fixture.server.set_faults(test::fault_at(1, RegistryFault::flip_at(4000), is_blob_get));
  fixture.download();
  fixture.check_there();
}

TEST_CASE("bytes that stay wrong are an error, and nothing is left", "[registry][download]") {
  const std::size_t size = GENERATE(as<std::size_t>{}, 5000, medium);
  INFO(size);
  Fixture fixture(size);
  fixture.server.set_faults([](const test::RegistryRequest& request) {
    return is_blob_get(request) ? RegistryFault::flip_at(4000) : RegistryFault{};
  });
  try {
    fixture.download();
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
  }
  fixture.check_absent();
  CHECK_FALSE(std::filesystem::exists(fixture.partial()));
}

TEST_CASE("a blob of another size is an error", "[registry][download]") {
  const std::size_t size = GENERATE(as<std::size_t>{}, 5000, medium);
  const int by = GENERATE(-1, 1);
  Fixture fixture(size);
  fixture.wanted.size_bytes += static_cast<std::uint64_t>(by);
  try {
    fixture.download();
    FAIL("it was taken");
  } catch (const Error& error) {
    INFO(error.message());
    CHECK(error.code() == ErrorCode::corrupt);
  }
  fixture.check_absent();
}

TEST_CASE("a page for people is not a blob", "[registry][download]") {
  const std::size_t size = GENERATE(as<std::size_t>{}, 5000, medium);
  Fixture fixture(size);
  fixture.server.set_faults([](const test::RegistryRequest& request) {
    return is_blob_get(request) ? RegistryFault::html() : RegistryFault{};
  });
  CHECK_THROWS_AS(fixture.download(), Error);
  fixture.check_absent();
}

TEST_CASE("a blob that is not there is not_found, and nothing is left", "[registry][download]") {
  Fixture fixture(medium);
  fixture.server.remove_blob("team/model", fixture.wanted.digest.to_string());
  try {
    fixture.download();
    FAIL("it was taken");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
  }
  CHECK(testing::names_in(fixture.directory.path()).empty());
}

TEST_CASE("the next call goes on where the last one stopped", "[registry][download]") {
  const std::size_t size = GENERATE(as<std::size_t>{}, medium, large);
  INFO(size);
  Fixture fixture(size);
  testing::StopAfter stop(size / 2 + registry::block_bytes);
  try {
    fixture.download(stop.operation());
    FAIL("it was not stopped");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
  fixture.check_absent();
  const DownloadReport report = fixture.download();
  CHECK(report.resumed_bytes > 0);
  CHECK(report.received_bytes == size - report.resumed_bytes);
  fixture.check_there();
}

TEST_CASE("what an interrupted download left may be damaged", "[registry][download]") {
  Fixture fixture(medium);
  testing::StopAfter stop(registry::block_bytes + 1);
  CHECK_THROWS_AS(fixture.download(stop.operation()), Error);
  std::string left = testing::read_file(fixture.partial());
  REQUIRE(left.size() > medium);
  left[1000] = static_cast<char>(left[1000] ^ 1);
  testing::write_file(fixture.partial(), left);
  fixture.download();
  fixture.check_there();
}

TEST_CASE("several who want one blob fetch it once", "[registry][download]") {
  Fixture fixture(medium);
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> received{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] { received += fixture.download().received_bytes; });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  CHECK(received == medium);
  fixture.check_there();
}

TEST_CASE("faults at any byte give the right blob or a clean error",
          "[registry][download][property]") {
  AIPACK_TEST_RANDOM(random);
  const auto names = RegistryDialect::names();
  for (int round = 0; round < 25; ++round) {
    const std::string name = random.pick(names);
    RegistryDialect dialect = *RegistryDialect::find(name);
    dialect.blob_ranges = !random.one_in(4);
    Fixture fixture(random.one_in(8) ? large : random.one_in(2) ? medium : 50'000, dialect);
    const auto seed = random.below(1'000'000);
    INFO(round << " " << name << " storm=" << seed);
    using Kind = RegistryFault::Kind;
    fixture.server.set_storm(test::FaultStorm{
        .seed = seed,
        .rate = 0.3,
        .budget = 10,
        .stall = std::chrono::milliseconds(50),
        .kinds = {Kind::answer, Kind::lost_answer, Kind::reset_in_reply, Kind::truncate_reply,
                  Kind::flip_reply, Kind::wrong_range, Kind::wrong_length, Kind::stall_in_reply},
        .statuses = {408, 429, 500, 502, 503, 504}});
    bool arrived = false;
    for (int call = 0; call < 8 && !arrived; ++call) {
      try {
        fixture.download();
        arrived = true;
      } catch (const Error& error) {
        INFO(error.message());
        CHECK(error.code() != ErrorCode::internal);
        fixture.check_absent();
      }
    }
    CHECK(arrived);
    fixture.check_there();
  }
}
