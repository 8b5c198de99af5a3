#include "aipack/core/error.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/debian_archive.hpp"
#include "support/http_server.hpp"

#include <thread>

using namespace aipack;
using namespace std::chrono_literals;
using test::Fault;
using test::FileSite;
using test::Reply;
using test::SigningKey;
using test::TestArchive;
using test::TestPackage;

namespace {

constexpr std::int64_t day = 24 * 60 * 60;
constexpr std::int64_t signed_at = 1735689600; // 2025-01-01
const oci::Platform amd64 = oci::Platform::parse("linux/amd64");
const oci::Platform arm64 = oci::Platform::parse("linux/arm64");

TestArchive hello_archive() {
  TestArchive archive;
  archive.date = signed_at;
  archive.valid_until = signed_at + 7 * day;
  archive.packages = {{.name = "hello", .files = {{"usr/bin/hello", std::string(50'000, 'h')}}},
                      {.name = "hello",
                       .version = "1.0-1",
                       .architecture = "arm64",
                       .files = {{"usr/bin/hello", "arm"}}},
                      {.name = "data", .architecture = "all", .files = {{"usr/share/data", "d"}}}};
  archive.source_files = {{"hello_2.0.orig.tar.xz", "the tarball"},
                          {"hello_2.0.orig.tar.xz.asc", "its signature"},
                          {"hello_2.0-1.dsc", "dsc"}};
  return archive;
}

/// A signed archive behind a loopback server, and a cache that is empty at first.
struct Fixture {
  io::TempDirectory directory{};
  SigningKey key{{.created = signed_at - day}};
  FileSite site{};
  test::HttpServer server{std::ref(site)};
  std::unique_ptr<http::HttpTransport> transport = http::make_transport();
  deb::ArchiveOptions options{
      .cache_dir = directory.path() / "cache",
      .verify = {.keyrings = {directory.path() / "keyring.gpg"}, .now = signed_at + day},
      .retry = {.first_delay = 1ms, .max_delay = 2ms}};

  Fixture() {
    io::write_file_atomically(options.verify.keyrings.front(), io::as_bytes(key.public_key()));
    publish(hello_archive());
  }

  void publish(const TestArchive& archive) {
    for (const auto& [path, content] : archive.files()) {
      site.put("/debian/" + path, content);
    }
    site.put("/debian/" + archive.in_release_path(), signed_release(archive));
  }
  [[nodiscard]] std::string signed_release(const TestArchive& archive) const {
    return key.clear_sign(archive.release_text(),
                          {.created = static_cast<std::uint32_t>(archive.date)});
  }
  [[nodiscard]] std::vector<deb::Source> sources(const std::string& suite = "trixie") const {
    return {{.mirror = server.url("/debian"), .suite = suite}};
  }
  /// A new object each time: what it knows comes from the cache on disk.
  [[nodiscard]] std::unique_ptr<deb::PackageSource> open() const {
    return deb::make_package_source(*transport, options);
  }
  [[nodiscard]] deb::PackageIndex snapshot(const oci::Platform& platform = amd64) const {
    return open()->snapshot(sources(), platform, {});
  }
  [[nodiscard]] Error snapshot_error() const {
    try {
      (void)snapshot();
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::internal, "it was accepted");
  }
  [[nodiscard]] std::string path_of_index(const std::string& architecture = "amd64") const {
    const std::string packed =
        test::xz(hello_archive().indexes().at("main/binary-" + architecture + "/Packages"));
    return "/debian/dists/trixie/main/binary-" + architecture + "/by-hash/SHA256/" +
           oci::Digest::of(packed).hex();
  }
  [[nodiscard]] deb::Package package(std::size_t number = 0) const {
    const TestPackage wanted = hello_archive().packages.at(number);
    const std::string bytes = wanted.deb();
    return {.name = wanted.name,
            .version = wanted.version,
            .architecture = wanted.architecture,
            .source_suite = "trixie",
            .url = server.url("/debian/" + TestArchive::pool_path(wanted)),
            .digest = oci::Digest::of(bytes),
            .size_bytes = bytes.size()};
  }
  [[nodiscard]] std::string package_path() const {
    return "/debian/" + TestArchive::pool_path(hello_archive().packages.at(0));
  }
  /// File names below a directory of the cache.
  [[nodiscard]] std::vector<std::string> cached(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(options.cache_dir / name)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
};

std::string content_of(const std::filesystem::path& file) {
  return io::read_text_file(file, 1 << 20);
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

std::string flipped(std::string text, std::size_t at) {
  text.at(at) = static_cast<char>(text.at(at) ^ 1);
  return text;
}

} // namespace

TEST_CASE("snapshot verifies and caches releases and indexes", "[deb][archive]") {
  const Fixture fixture;
  const auto index = fixture.snapshot();
  REQUIRE(index.releases.size() == 1);
  CHECK(index.releases[0].signed_by == std::vector<std::string>{fixture.key.fingerprint()});
  REQUIRE(index.indexes.size() == 1);
  const auto& file = index.indexes[0];
  CHECK(file.architecture == "amd64");
  CHECK(file.component == "main");
  CHECK(file.release_path == "main/binary-amd64/Packages");
  CHECK(content_of(file.file) == hello_archive().indexes().at("main/binary-amd64/Packages"));
  CHECK(file.digest == oci::Digest::of(content_of(file.file)));
  CHECK(file.size_bytes == content_of(file.file).size());
  CHECK(fixture.server.log().size() == 2);
  CHECK(fixture.server.count(fixture.path_of_index()) == 1);
  CHECK(fixture.cached("partial").empty());

  // Warm: one conditional request that is answered with 304.
  const auto again = fixture.snapshot();
  CHECK(again.fingerprint() == index.fingerprint());
  CHECK(again.releases[0].signed_by == index.releases[0].signed_by);
  CHECK(again.releases[0].digest == index.releases[0].digest);
  const auto log = fixture.server.log();
  CHECK(log.size() == 3);
  CHECK(log.back().header("If-None-Match").has_value());
  CHECK(fixture.snapshot(arm64).fingerprint() != index.fingerprint());
}

TEST_CASE("platforms of one build share one InRelease", "[deb][archive]") {
  const Fixture fixture;
  const auto source = fixture.open();
  std::vector<std::jthread> threads;
  std::atomic<int> good{0};
  for (const auto& platform : {amd64, arm64}) {
    threads.emplace_back([&, platform] {
      good += source->snapshot(fixture.sources(), platform, {}).indexes.size() == 1 ? 1 : 0;
    });
  }
  threads.clear();
  CHECK(good == 2);
  CHECK(fixture.server.count("/debian/dists/trixie/InRelease") == 1);
}

TEST_CASE("snapshot works on a mirror on disk, without by-hash too", "[deb][archive]") {
  const Fixture fixture;
  const auto root = fixture.directory.path() / "my mirror" / "debian";
  TestArchive archive = hello_archive();
  archive.by_hash = GENERATE(true, false);
  test::write_files(root, archive.files());
  test::write_files(root, {{archive.in_release_path(), fixture.signed_release(archive)}});
  const std::string mirror = GENERATE(true, false) ? root.string() : http::file_url(root.string());
  const std::vector<deb::Source> sources{{.mirror = mirror, .suite = "trixie"}};
  const auto index = fixture.open()->snapshot(sources, amd64, {});
  CHECK(content_of(index.indexes.at(0).file) == archive.indexes().at("main/binary-amd64/Packages"));
  auto package = fixture.package();
  package.url = mirror + "/" + TestArchive::pool_path(archive.packages[0]);
  CHECK((content_of(fixture.open()->fetch(package, {})) == archive.packages[0].deb()));
  CHECK(fixture.open()->snapshot(sources, amd64, {}).fingerprint() == index.fingerprint());
  CHECK(fixture.server.log().empty());
}

TEST_CASE("snapshot follows a new release", "[deb][archive]") {
  Fixture fixture;
  const auto before = fixture.snapshot();
  TestArchive archive = hello_archive();
  archive.date += day / 2;
  archive.packages.pop_back();
  fixture.publish(archive);
  const auto after = fixture.snapshot();
  CHECK(after.releases[0].date == archive.date);
  CHECK(after.fingerprint() != before.fingerprint());
  // The same indexes under a newer signature are the same content.
  archive.date += 1000;
  fixture.publish(archive);
  CHECK(fixture.snapshot().fingerprint() == after.fingerprint());
}

TEST_CASE("several suites are read together and keep their order", "[deb][archive]") {
  Fixture fixture;
  TestArchive updates = hello_archive();
  updates.suite = "trixie-updates";
  updates.suite_class = "stable-updates";
  updates.packages.clear();
  fixture.publish(updates);
  auto sources = fixture.sources();
  sources.push_back(fixture.sources("trixie-updates").front());
  const auto index = fixture.open()->snapshot(sources, amd64, {});
  REQUIRE(index.indexes.size() == 2);
  CHECK(index.indexes[0].source.suite == "trixie");
  CHECK(index.indexes[1].source.suite == "trixie-updates");
  CHECK(index.indexes[1].size_bytes == 0);
  CHECK(content_of(index.indexes[1].file).empty());
  CHECK(index.releases[1].suite == "trixie-updates");
}

// --- what is tampered with at each level, and what the error says
// -------------------------------------------------------------------

TEST_CASE("a tampered InRelease is corrupt, and the cache keeps the good one",
          "[deb][archive][tamper]") {
  Fixture fixture;
  const std::string path = "/debian/dists/trixie/InRelease";
  const std::string good = fixture.site.get(path);
  SECTION("text") {
    fixture.site.put(path, flipped(good, good.find("Packages.xz")));
  }
  SECTION("signature") {
    fixture.site.put(path, flipped(good, good.find("BEGIN PGP SIGNATURE") + 100));
  }
  SECTION("another key") {
    const SigningKey stranger({.created = signed_at - day});
    fixture.site.put(path, stranger.clear_sign(hello_archive().release_text()));
  }
  SECTION("no signature") {
    fixture.site.put(path, hello_archive().release_text());
  }
  const Error error = fixture.snapshot_error();
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK_THAT(error.message(), ContainsSubstring("cannot verify InRelease of 'trixie'"));
  CHECK(fixture.cached("indexes").empty());
  CHECK(fixture.cached("releases").empty());
  const std::string tampered = fixture.site.get(path);
  fixture.site.put(path, good);
  const auto index = fixture.snapshot();
  fixture.site.put(path, tampered);
  CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
  fixture.options.offline = true;
  CHECK(fixture.snapshot().fingerprint() == index.fingerprint());
}

TEST_CASE("a tampered index is corrupt and leaves nothing behind", "[deb][archive][tamper]") {
  Fixture fixture;
  const std::string path = fixture.path_of_index();
  const std::string plain_path = "/debian/dists/trixie/main/binary-amd64/Packages.xz";
  const std::string good = fixture.site.get(path);
  std::string bad;
  SECTION("one bit") {
    bad = flipped(good, good.size() / 2);
  }
  SECTION("longer") {
    bad = good + "x";
  }
  SECTION("shorter") {
    bad = good.substr(0, good.size() - 4);
  }
  SECTION("another index") {
    bad = fixture.site.get(fixture.path_of_index("arm64"));
  }
  fixture.site.put(path, bad);
  fixture.site.put(plain_path, bad);
  CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
  CHECK(fixture.cached("indexes").empty());
  for (const auto& name : fixture.cached("partial")) {
    CHECK_THAT(name, ContainsSubstring(".lock"));
  }
  // One good copy is enough: what counts is the digest.
  fixture.site.put(plain_path, good);
  CHECK(fixture.snapshot().indexes.size() == 1);
}

TEST_CASE("an index comes from its twin of another architecture, when its own place is stale",
          "[deb][archive]") {
  Fixture fixture;
  TestArchive archive = hello_archive();
  archive.packages = {archive.packages.back()}; // architecture "all": the indexes are the same
  fixture.publish(archive);
  const std::string packed = test::xz(archive.indexes().at("main/binary-amd64/Packages"));
  fixture.site.erase("/debian/dists/trixie/main/binary-amd64/by-hash/SHA256/" +
                     oci::Digest::of(packed).hex());
  fixture.site.put("/debian/dists/trixie/main/binary-amd64/Packages.xz", "an old index");
  CHECK(content_of(fixture.snapshot().indexes.at(0).file) ==
        archive.indexes().at("main/binary-arm64/Packages"));
}

TEST_CASE("an index that does not unpack to what is signed is corrupt", "[deb][archive][tamper]") {
  Fixture fixture;
  TestArchive archive = hello_archive();
  std::string text = archive.release_text();
  const std::string real =
      oci::Digest::of(archive.indexes().at("main/binary-amd64/Packages")).hex();
  text.replace(text.find(real), 64, std::string(64, 'a'));
  fixture.site.put("/debian/dists/trixie/InRelease", fixture.key.clear_sign(text));
  CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
  CHECK(fixture.cached("indexes").empty());
  const auto left = fixture.cached("partial");
  CHECK(std::none_of(left.begin(), left.end(), [](const std::string& name) {
    return name.find(".lock") == std::string::npos;
  }));
}

TEST_CASE("a tampered package is corrupt and leaves nothing behind", "[deb][archive][tamper]") {
  Fixture fixture;
  const std::string good = fixture.site.get(fixture.package_path());
  SECTION("one bit") {
    fixture.site.put(fixture.package_path(), flipped(good, 70));
  }
  SECTION("longer") {
    fixture.site.put(fixture.package_path(), good + "x");
  }
  SECTION("shorter") {
    fixture.site.put(fixture.package_path(), good.substr(1));
  }
  SECTION("a bit on the wire") {
    fixture.site.intercept(fixture.package_path(), [](Reply& reply) {
      reply.fault = {Fault::Kind::flip, 100};
    });
  }
  const auto source = fixture.open();
  const Error error = error_of([&] { (void)source->fetch(fixture.package(), {}); });
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK(fixture.cached("packages").empty());
  fixture.site.put(fixture.package_path(), good);
  CHECK((content_of(source->fetch(fixture.package(), {})) == good));
}

TEST_CASE("an expired release is unavailable, online and offline", "[deb][archive][tamper]") {
  Fixture fixture;
  (void)fixture.snapshot();
  fixture.options.verify.now = signed_at + 8 * day;
  fixture.options.offline = GENERATE(false, true);
  const Error error = fixture.snapshot_error();
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message(), ContainsSubstring("expired on 2025-01-08"));
  fixture.options.verify.ignore_valid_until = true;
  CHECK(fixture.snapshot().indexes.size() == 1);
}

TEST_CASE("an older release than one seen before is refused", "[deb][archive][tamper]") {
  Fixture fixture;
  const std::string path = "/debian/dists/trixie/InRelease";
  const std::string old = fixture.site.get(path);
  TestArchive newer = hello_archive();
  newer.date += 1000;
  fixture.publish(newer);
  (void)fixture.snapshot();
  fixture.site.put(path, old);
  const Error error = fixture.snapshot_error();
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK_THAT(error.message(),
             ContainsSubstring("older than that of 2025-01-01 00:16:40 UTC seen before"));
  // The replay changed nothing: the newer one is still what counts.
  CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
  fixture.options.verify.ignore_valid_until = true;
  CHECK(fixture.snapshot().releases[0].date == signed_at);
}

TEST_CASE("another suite under the asked name is refused", "[deb][archive][tamper]") {
  Fixture fixture;
  TestArchive archive = hello_archive();
  archive.suite = "bookworm";
  archive.suite_class = "oldstable";
  fixture.site.put("/debian/dists/trixie/InRelease", fixture.signed_release(archive));
  CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
}

TEST_CASE("a keyring that lost the key stops trusting the cache", "[deb][archive][tamper]") {
  Fixture fixture;
  (void)fixture.snapshot();
  fixture.options.offline = GENERATE(false, true);
  const SigningKey other({.created = signed_at - day});
  io::write_file_atomically(fixture.options.verify.keyrings.front(),
                            io::as_bytes(other.public_key()));
  CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
}

// --- mirrors that are broken
// ------------------------------------------------------------------------------------------------------

TEST_CASE("a mirror without by-hash files is asked for the plain path", "[deb][archive]") {
  Fixture fixture;
  fixture.site.erase(fixture.path_of_index());
  CHECK(fixture.snapshot().indexes.size() == 1);
  CHECK(fixture.server.count("/debian/dists/trixie/main/binary-amd64/Packages.xz") == 1);
}

TEST_CASE("an index that is in no form there is not_found", "[deb][archive]") {
  Fixture fixture;
  fixture.site.erase(fixture.path_of_index());
  fixture.site.erase("/debian/dists/trixie/main/binary-amd64/Packages.xz");
  CHECK(fixture.snapshot_error().code() == ErrorCode::not_found);
  CHECK(fixture.cached("indexes").empty());
}

TEST_CASE("a suite or architecture that the mirror does not have is not_found", "[deb][archive]") {
  const Fixture fixture;
  CHECK(error_of([&] {
          (void)fixture.open()->snapshot(fixture.sources("bookworm"), amd64, {});
        }).code() == ErrorCode::not_found);
  const Error error =
      error_of([&] { (void)fixture.snapshot(oci::Platform::parse("linux/riscv64")); });
  CHECK(error.code() == ErrorCode::not_found);
  CHECK_THAT(error.hint(), ContainsSubstring("amd64, arm64"));
}

TEST_CASE("a package comes through a mirror that breaks off, in one piece", "[deb][archive]") {
  Fixture fixture;
  const auto kind = GENERATE(Fault::Kind::reset, Fault::Kind::truncate);
  const std::string good = fixture.site.get(fixture.package_path());
  fixture.site.intercept(fixture.package_path(), [&](Reply& reply) {
    reply.fault = {kind, good.size() / 2};
  });
  CHECK((content_of(fixture.open()->fetch(fixture.package(), {})) == good));
  CHECK(fixture.cached("partial").empty());
}

TEST_CASE("what a cancelled download left is continued by the next one", "[deb][archive]") {
  Fixture fixture;
  const std::string good = fixture.site.get(fixture.package_path());
  const std::size_t half = good.size() / 2;
  std::stop_source stop;
  struct StopAtFirstByte : ProgressSink {
    std::stop_source& stop;
    explicit StopAtFirstByte(std::stop_source& source) : stop(source) {}
    void on_event(const ProgressEvent& event) noexcept override {
      if (event.done > 0) {
        stop.request_stop();
      }
    }
  } progress(stop);
  fixture.site.intercept(fixture.package_path(), [&](Reply& reply) {
    reply.fault = {Fault::Kind::stall, half};
  });
  const Error error = error_of([&] {
    (void)fixture.open()->fetch(fixture.package(),
                                {.stop = stop.get_token(), .progress = progress});
  });
  CHECK(error.code() == ErrorCode::cancelled);
  CHECK(fixture.cached("packages").empty());
  const auto partial = fixture.options.cache_dir / "partial" / fixture.package().digest.hex();
  REQUIRE(std::filesystem::exists(partial));
  const std::string left = content_of(partial);
  REQUIRE(!left.empty());
  CHECK((left == good.substr(0, left.size())));

  SECTION("by range") {}
  SECTION("from the start, when it was damaged meanwhile") {
    io::write_file_atomically(partial, io::as_bytes(flipped(left, left.size() / 2)));
  }
  SECTION("from the start, when it is longer than the package") {
    io::write_file_atomically(partial, io::as_bytes(good + "more"));
  }
  SECTION("not at all, when it is complete") {
    io::write_file_atomically(partial, io::as_bytes(good));
  }
  CHECK((content_of(fixture.open()->fetch(fixture.package(), {})) == good));
  CHECK(fixture.cached("partial").empty());
}

TEST_CASE("one package asked for by many threads is downloaded once", "[deb][archive]") {
  const Fixture fixture;
  const auto source = fixture.open();
  const auto other_process = fixture.open();
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      threads.emplace_back([&, i] {
        const auto file = (i % 2 == 0 ? source : other_process)->fetch(fixture.package(), {});
        good += content_of(file).size() == fixture.package().size_bytes ? 1 : 0;
      });
    }
  }
  CHECK(good == 6);
  CHECK(fixture.server.count(fixture.package_path()) == 1);
}

TEST_CASE("a file of the right name but another size in the cache is replaced", "[deb][archive]") {
  const Fixture fixture;
  const auto file = fixture.open()->fetch(fixture.package(), {});
  std::filesystem::resize_file(file, 100); // as a power cut may leave it
  CHECK(content_of(fixture.open()->fetch(fixture.package(), {})).size() ==
        fixture.package().size_bytes);
}

TEST_CASE("a file of the right name and size but other bytes in the cache is replaced",
          "[deb][archive][tamper]") {
  const Fixture fixture;
  const auto file = fixture.open()->fetch(fixture.package(), {});
  auto bytes = io::read_file(file, fixture.package().size_bytes);
  bytes[bytes.size() / 2] ^= std::byte{1};
  io::write_file_atomically(file, bytes);
  CHECK(oci::Digest::of(content_of(fixture.open()->fetch(fixture.package(), {}))) ==
        fixture.package().digest);
}

TEST_CASE("an additional suite that the mirror does not serve as signed stops, or is left out when "
          "asked",
          "[deb][archive][tamper]") {
  Fixture fixture;
  TestArchive updates = hello_archive();
  updates.suite = "trixie-updates";
  updates.suite_class = "stable-updates";
  updates.packages.pop_back(); // another index than the first suite's
  fixture.publish(updates);
  const std::string packed = test::xz(updates.indexes().at("main/binary-amd64/Packages"));
  const std::string folder = "/debian/dists/trixie-updates/main/binary-amd64/";
  fixture.site.erase(folder + "by-hash/SHA256/" + oci::Digest::of(packed).hex());
  fixture.site.put(folder + "Packages.xz", "an old index");
  auto sources = fixture.sources();
  sources.push_back(fixture.sources("trixie-updates").front());

  CHECK_THROWS_AS(fixture.open()->snapshot(sources, amd64, {}), Error);

  fixture.options.skip_incomplete_suites = true;
  const auto index = fixture.open()->snapshot(sources, amd64, {});
  REQUIRE(index.indexes.size() == 1);
  CHECK(index.indexes.front().source.suite == "trixie");
  REQUIRE(index.skipped.size() == 1);
  CHECK_THAT(index.skipped.front(), ContainsSubstring("trixie-updates"));

  // The first suite is never optional.
  std::swap(sources[0], sources[1]);
  CHECK_THROWS_AS(fixture.open()->snapshot(sources, amd64, {}), Error);
}

TEST_CASE("offline uses the cache and names what is missing", "[deb][archive]") {
  Fixture fixture;
  fixture.options.offline = true;
  CHECK(fixture.snapshot_error().code() == ErrorCode::unavailable);
  fixture.options.offline = false;
  const auto index = fixture.snapshot();
  const auto file = fixture.open()->fetch(fixture.package(0), {});
  const std::size_t requests = fixture.server.log().size();
  fixture.options.offline = true;
  CHECK(fixture.snapshot().fingerprint() == index.fingerprint());
  CHECK(fixture.open()->fetch(fixture.package(0), {}) == file);
  const Error error = error_of([&] { (void)fixture.open()->fetch(fixture.package(2), {}); });
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message(), ContainsSubstring("'data 1.0-1' offline"));
  CHECK(fixture.server.log().size() == requests);
}

TEST_CASE("a broken state file is as good as none", "[deb][archive]") {
  Fixture fixture;
  const auto index = fixture.snapshot();
  const auto state = fixture.options.cache_dir / "releases" / fixture.cached("releases").at(0);
  const std::string content = content_of(state);
  const std::string damaged =
      GENERATE_COPY(std::string(), std::string("{}\n"), content.substr(0, content.size() / 2),
                    flipped(content, content.size() - 30), std::string("nonsense"),
                    std::string("[1]\n"), std::string("{\"version\":\"x\"}\nabc"));
  io::write_file_atomically(state, io::as_bytes(damaged));
  CHECK(fixture.snapshot().fingerprint() == index.fingerprint());
}

TEST_CASE("fetch_source_file finds the newest file by its suffix", "[deb][archive]") {
  Fixture fixture;
  const auto source = fixture.open();
  const auto file =
      source->fetch_source_file(fixture.sources(), "hello", ".orig.tar.gz|.orig.tar.xz", {});
  CHECK(content_of(file) == "the tarball");
  CHECK(file.filename().string().find("hello_2.0.orig.tar.xz") != std::string::npos);
  CHECK(error_of([&] {
          (void)source->fetch_source_file(fixture.sources(), "absent", ".dsc", {});
        }).code() == ErrorCode::not_found);
  CHECK(error_of([&] {
          (void)source->fetch_source_file(fixture.sources(), "hello", ".orig.tar.bz2", {});
        }).code() == ErrorCode::not_found);
  fixture.site.put("/debian/pool/main/h/hello/hello_2.0-1.dsc", "dsX");
  CHECK(error_of([&] {
          (void)source->fetch_source_file(fixture.sources(), "hello", ".dsc", {});
        }).code() == ErrorCode::corrupt);
}
