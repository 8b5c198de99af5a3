#include "archive_fixture.hpp"

#include <algorithm>
#include <fstream>

using namespace aipack;
using namespace aipack::archive_test;

TEST_CASE("a tampered index is corrupt and leaves nothing behind", "[deb][indexes][tamper]") {
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
          "[deb][indexes]") {
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

TEST_CASE("an index that does not unpack to what is signed is corrupt", "[deb][indexes][tamper]") {
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

TEST_CASE("a mirror without by-hash files is asked for the plain path", "[deb][indexes]") {
  Fixture fixture;
  fixture.site.erase(fixture.path_of_index());
  CHECK(fixture.snapshot().indexes.size() == 1);
  CHECK(fixture.server.count("/debian/dists/trixie/main/binary-amd64/Packages.xz") == 1);
}

TEST_CASE("a mirror that refuses by-hash files is asked for the plain path", "[deb][indexes]") {
  Fixture fixture;
  const int status = GENERATE(401, 403);
  fixture.site.intercept(fixture.path_of_index(), [&](Reply& reply) { reply.status = status; });
  CHECK(fixture.snapshot().indexes.size() == 1);
  CHECK(fixture.server.count("/debian/dists/trixie/main/binary-amd64/Packages.xz") == 1);
}

TEST_CASE("an index that is refused in every form is denied", "[deb][indexes]") {
  Fixture fixture;
  fixture.site.erase(fixture.path_of_index());
  fixture.site.intercept("/debian/dists/trixie/main/binary-amd64/Packages.xz",
                         [](Reply& reply) { reply.status = 403; });
  const Error error = fixture.snapshot_error();
  CHECK(error.code() == ErrorCode::denied);
  CHECK_THAT(error.message(), ContainsSubstring("Packages.xz"));
}

TEST_CASE("an index that is in no form there is not_found", "[deb][indexes]") {
  Fixture fixture;
  fixture.site.erase(fixture.path_of_index());
  fixture.site.erase("/debian/dists/trixie/main/binary-amd64/Packages.xz");
  CHECK(fixture.snapshot_error().code() == ErrorCode::not_found);
  CHECK(fixture.cached("indexes").empty());
}

TEST_CASE("an additional suite that the mirror does not serve as signed stops, or is left out when "
          "asked",
          "[deb][indexes][tamper]") {
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

TEST_CASE("a mirror that did not serve an index is asked for it again after a while",
          "[deb][indexes]") {
  Fixture fixture;
  TestArchive updates = hello_archive();
  updates.suite = "trixie-updates";
  updates.suite_class = "stable-updates";
  updates.packages.pop_back();
  fixture.publish(updates);
  const std::string packed = test::xz(updates.indexes().at("main/binary-amd64/Packages"));
  const std::string folder = "/debian/dists/trixie-updates/main/binary-amd64/";
  const std::string path = folder + "by-hash/SHA256/" + oci::Digest::of(packed).hex();
  fixture.site.erase(path);
  fixture.site.put(folder + "Packages.xz", "an old index");
  auto sources = fixture.sources();
  sources.push_back(fixture.sources("trixie-updates").front());
  fixture.options.skip_incomplete_suites = true;
  fixture.options.ask_again_after = 60s;
  const auto snapshot = [&] { return fixture.open()->snapshot(sources, amd64, {}); };
  const auto skipped = snapshot().skipped;
  REQUIRE(skipped.size() == 1);
  const auto asked = fixture.server.count(path);
  fixture.site.put(path, packed);
  CHECK(snapshot().skipped == skipped);
  CHECK(fixture.server.count(path) == asked);
  SECTION("the time is over") {
    fixture.options.verify.now += 60;
  }
  SECTION("it is not wished any more") {
    fixture.options.ask_again_after = 0s;
  }
  SECTION("what was noted is broken") {
    for (const auto& name : fixture.cached("partial")) {
      io::write_file_atomically(fixture.options.cache_dir / "partial" / name,
                                io::as_bytes(std::string_view("{\"asked\":true}")));
    }
  }
  const auto whole = snapshot();
  CHECK(whole.skipped.empty());
  CHECK(whole.indexes.size() == 2);
}

TEST_CASE("an index that was changed in the cache is fetched again, and no index offline",
          "[deb][indexes][tamper]") {
  Fixture fixture;
  const auto index = fixture.snapshot();
  const auto& file = index.indexes.at(0).file;
  const std::string good = content_of(file);
  (void)fixture.snapshot(); // hashed, and perhaps remembered
  const std::string bad = flipped(good, good.find("Filename: ") + 12);
  const bool in_place = GENERATE(true, false);
  if (in_place) {
    std::ofstream(file, std::ios::in | std::ios::binary) << bad;
  } else {
    io::write_file_atomically(file, io::as_bytes(bad));
  }
  REQUIRE(content_of(file) == bad);
  fixture.options.offline = true;
  const Error error = fixture.snapshot_error();
  CHECK(error.code() == ErrorCode::unavailable);
  CHECK_THAT(error.message(), ContainsSubstring("damaged"));
  fixture.options.offline = false;
  CHECK(fixture.snapshot().fingerprint() == index.fingerprint());
  CHECK(content_of(file) == good);
}
