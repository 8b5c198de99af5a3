#include "archive_fixture.hpp"

#include <atomic>
#include <thread>

using namespace aipack;
using namespace aipack::archive_test;

TEST_CASE("platforms of one build share one InRelease", "[deb][releases]") {
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

TEST_CASE("snapshot follows a new release", "[deb][releases]") {
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

TEST_CASE("a tampered InRelease is corrupt, and the cache keeps the good one",
          "[deb][releases][tamper]") {
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

TEST_CASE("an expired release is unavailable, online and offline", "[deb][releases][tamper]") {
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

TEST_CASE("an older release than one seen before is refused", "[deb][releases][tamper]") {
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

TEST_CASE("another suite under the asked name is refused", "[deb][releases][tamper]") {
  Fixture fixture;
  TestArchive archive = hello_archive();
  archive.suite = "bookworm";
  archive.suite_class = "oldstable";
  fixture.site.put("/debian/dists/trixie/InRelease", fixture.signed_release(archive));
  CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
}

TEST_CASE("a keyring that lost the key stops trusting the cache", "[deb][releases][tamper]") {
  Fixture fixture;
  (void)fixture.snapshot();
  fixture.options.offline = GENERATE(false, true);
  const SigningKey other({.created = signed_at - day});
  io::write_file_atomically(fixture.options.verify.keyrings.front(),
                            io::as_bytes(other.public_key()));
  CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
}

TEST_CASE("a broken state file is as good as none", "[deb][releases]") {
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

TEST_CASE("an InRelease that was changed in the cache is verified like any other",
          "[deb][releases][tamper]") {
  Fixture fixture;
  const auto index = fixture.snapshot();
  const auto state = fixture.options.cache_dir / "releases" / fixture.cached("releases").at(0);
  const std::string content = content_of(state);
  const std::size_t body = content.find('\n') + 1;
  const std::string good = content.substr(body);
  std::string bad = good;
  SECTION("its text") {
    bad = flipped(good, good.find("Packages.xz") - 10);
  }
  SECTION("its signature") {
    bad = flipped(good, good.find("BEGIN PGP SIGNATURE") + 100);
  }
  // The state is as sound as whoever changed it could make it.
  std::string head = content.substr(0, body);
  const std::string digest = oci::Digest::of(good).to_string();
  head.replace(head.find(digest), digest.size(), oci::Digest::of(bad).to_string());
  io::write_file_atomically(state, io::as_bytes(head + bad));

  fixture.options.offline = true;
  CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
  fixture.options.offline = false; // The mirror answers 304, and is asked for all of it.
  CHECK(fixture.snapshot().fingerprint() == index.fingerprint());
  CHECK(content_of(state) == content);
}

TEST_CASE("a mirror is asked again only after a while, when so wished", "[deb][releases]") {
  Fixture fixture;
  const auto asked = [&] { return fixture.server.count("/debian/dists/trixie/InRelease"); };
  fixture.options.ask_again_after = 60s;
  const auto first = fixture.snapshot();
  TestArchive newer = hello_archive();
  newer.date += 1000;
  newer.packages.pop_back();
  fixture.publish(newer);
  fixture.options.verify.now += 59;
  CHECK(fixture.snapshot().fingerprint() == first.fingerprint());
  CHECK(asked() == 1);
  SECTION("the time is over") {
    fixture.options.verify.now += 1;
  }
  SECTION("the clock was set back") {
    fixture.options.verify.now -= 60;
  }
  SECTION("it is not wished any more") {
    fixture.options.ask_again_after = 0s;
  }
  CHECK(fixture.snapshot().releases[0].date == newer.date);
  CHECK(asked() == 2);
}

TEST_CASE("a mirror that was not asked again is trusted no more than one that was",
          "[deb][releases][tamper]") {
  Fixture fixture;
  fixture.options.ask_again_after = 60s;
  const auto index = fixture.snapshot();
  const auto state = fixture.options.cache_dir / "releases" / fixture.cached("releases").at(0);
  const std::string content = content_of(state);
  SECTION("its InRelease was changed in the cache") {
    const std::size_t body = content.find('\n') + 1;
    const std::string good = content.substr(body);
    const std::string bad = flipped(good, good.find("Packages.xz") - 10);
    std::string head = content.substr(0, body);
    const std::string digest = oci::Digest::of(good).to_string();
    head.replace(head.find(digest), digest.size(), oci::Digest::of(bad).to_string());
    io::write_file_atomically(state, io::as_bytes(head + bad));
    CHECK(fixture.snapshot().fingerprint() == index.fingerprint());
    CHECK(content_of(state) == content);
    CHECK(fixture.server.count("/debian/dists/trixie/InRelease") == 2);
  }
  SECTION("the keyring lost the key") {
    const SigningKey other({.created = signed_at - day});
    io::write_file_atomically(fixture.options.verify.keyrings.front(),
                              io::as_bytes(other.public_key()));
    CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
  }
  SECTION("the key was revoked") {
    fixture.key.revoke();
    io::write_file_atomically(fixture.options.verify.keyrings.front(),
                              io::as_bytes(fixture.key.public_key()));
    CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
  }
}

TEST_CASE("a mirror that moved on since it was asked is asked again", "[deb][releases]") {
  Fixture fixture;
  fixture.options.ask_again_after = 60s;
  (void)fixture.snapshot();
  const std::string old_index = fixture.path_of_index("arm64");
  TestArchive newer = hello_archive();
  newer.date += 1000;
  newer.packages.at(1).version = "2.0-1"; // of arm64
  fixture.publish(newer);
  fixture.site.erase(old_index);
  const auto source = fixture.open();
  CHECK(source->snapshot(fixture.sources(), arm64, {}).releases[0].date == newer.date);
  CHECK(source->snapshot(fixture.sources(), amd64, {}).releases[0].date == newer.date);
  CHECK(fixture.server.count("/debian/dists/trixie/InRelease") == 2);
}
