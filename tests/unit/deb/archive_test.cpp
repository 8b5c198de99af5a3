#include "archive_fixture.hpp"

using namespace aipack;
using namespace aipack::archive_test;

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
