#include "archive_fixture.hpp"
#include "support/temp.hpp"

#include <nlohmann/json.hpp>

using namespace aipack;
using namespace aipack::archive_test;

namespace {

std::filesystem::path verdict_of(const Fixture& fixture) {
  return fixture.options.cache_dir / "verdicts" / fixture.cached("verdicts").at(0);
}

/// When librnp judged last: a judgement is written down at once.
std::int64_t judged(const Fixture& fixture) {
  const std::string content = content_of(verdict_of(fixture));
  const auto head = content.find('\n') + 1;
  return nlohmann::json::parse(content.substr(head, content.find('\n', head) - head))
      .at("judged")
      .get<std::int64_t>();
}

bool has_verdicts(const Fixture& fixture) {
  return std::filesystem::exists(fixture.options.cache_dir / "verdicts");
}

} // namespace

TEST_CASE("an InRelease is judged once, and again after a day", "[deb][verdict]") {
  Fixture fixture;
  const auto first = fixture.snapshot();
  const auto at = fixture.options.verify.now;
  CHECK(judged(fixture) == at);
  SECTION("not by the next run") {
    fixture.options.verify.now += day - 1;
    const auto second = fixture.snapshot();
    CHECK(second.fingerprint() == first.fingerprint());
    CHECK(second.releases[0].signed_by == first.releases[0].signed_by);
    CHECK(judged(fixture) == at);
  }
  SECTION("after a day") {
    fixture.options.verify.now += day;
    CHECK(fixture.snapshot().fingerprint() == first.fingerprint());
    CHECK(judged(fixture) == at + day);
  }
  SECTION("when the clock was set back") {
    fixture.options.verify.now -= 1;
    CHECK(fixture.snapshot().fingerprint() == first.fingerprint());
    CHECK(judged(fixture) == at - 1);
  }
}

TEST_CASE("another InRelease is judged, whatever was said of the one before", "[deb][verdict]") {
  Fixture fixture;
  (void)fixture.snapshot();
  TestArchive newer = hello_archive();
  newer.date += 1000;
  fixture.publish(newer);
  fixture.options.verify.now += 2000;
  CHECK(fixture.snapshot().releases[0].date == newer.date);
  CHECK(judged(fixture) == fixture.options.verify.now);
}

TEST_CASE("a verdict is by one keyring", "[deb][verdict][tamper]") {
  Fixture fixture;
  (void)fixture.snapshot();
  const auto at = fixture.options.verify.now;
  fixture.options.verify.now += 1;
  SECTION("one that lost the key") {
    const SigningKey other({.created = signed_at - day});
    io::write_file_atomically(fixture.options.verify.keyrings.front(),
                              io::as_bytes(other.public_key()));
    CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
    CHECK(judged(fixture) == at); // a refusal is no verdict
  }
  SECTION("one in which the key is revoked") {
    fixture.key.revoke();
    io::write_file_atomically(fixture.options.verify.keyrings.front(),
                              io::as_bytes(fixture.key.public_key()));
    CHECK(fixture.snapshot_error().code() == ErrorCode::corrupt);
  }
  SECTION("one that has another key as well") {
    const SigningKey other({.created = signed_at - day});
    io::write_file_atomically(fixture.options.verify.keyrings.front(),
                              io::as_bytes(fixture.key.public_key() + other.public_key()));
    CHECK_NOTHROW(fixture.snapshot());
    CHECK(judged(fixture) == at + 1);
  }
}

TEST_CASE("a verdict ends with the key that it rests on", "[deb][verdict][tamper]") {
  Fixture fixture;
  const SigningKey brief({.created = signed_at - day, .lifetime_seconds = 5 * day});
  io::write_file_atomically(fixture.options.verify.keyrings.front(),
                            io::as_bytes(brief.public_key()));
  fixture.site.put("/debian/dists/trixie/InRelease",
                   brief.clear_sign(hello_archive().release_text(),
                                    {.created = static_cast<std::uint32_t>(signed_at)}));
  fixture.options.verify.now = signed_at + 4 * day - 1;
  CHECK_NOTHROW(fixture.snapshot());
  fixture.options.verify.now += 1;
  const Error error = fixture.snapshot_error();
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK_THAT(error.message(), ContainsSubstring("expired"));
}

TEST_CASE("a verdict that was made or changed by somebody else is none", "[deb][verdict][tamper]") {
  Fixture fixture;
  const auto index = fixture.snapshot();
  const auto file = verdict_of(fixture);
  const std::string content = content_of(file);
  const auto at = fixture.options.verify.now;
  fixture.options.verify.now += 1;
  SECTION("damaged") {
    const std::string damaged = GENERATE_COPY(
        std::string(), std::string("\n"), std::string("nonsense"), std::string("\n{}\n"),
        content.substr(0, content.size() / 2), flipped(content, content.size() - 30),
        flipped(content, content.find("judged") + 9), flipped(content, 3));
    io::write_file_atomically(file, io::as_bytes(damaged));
  }
  SECTION("sealed with another key, in a cache from elsewhere") {
    std::filesystem::remove(fixture.options.verdict_key);
  }
  SECTION("under a key that others can read") {
    std::filesystem::permissions(fixture.options.verdict_key, std::filesystem::perms::group_read,
                                 std::filesystem::perm_options::add);
    CHECK(fixture.snapshot().fingerprint() == index.fingerprint());
    CHECK(content_of(file) == content); // judged anew, and not remembered
    return;
  }
  SECTION("of another InRelease") {
    TestArchive newer = hello_archive();
    newer.date += 1000;
    fixture.publish(newer);
    fixture.options.verify.now += 2000;
    (void)fixture.snapshot();
    io::write_file_atomically(file, io::as_bytes(content));
  }
  CHECK_NOTHROW(fixture.snapshot());
  CHECK(judged(fixture) == fixture.options.verify.now);
  CHECK(judged(fixture) != at);
}

TEST_CASE("without a key of the user's nothing is remembered", "[deb][verdict]") {
  Fixture fixture;
  SECTION("none is wished") {
    fixture.options.verdict_key.clear();
  }
  SECTION("it cannot be made") {
    testing::write_file(fixture.directory.path() / "state", "a file");
  }
  CHECK_NOTHROW(fixture.snapshot());
  CHECK_NOTHROW(fixture.snapshot());
  CHECK_FALSE(has_verdicts(fixture));
}

TEST_CASE("a key that is broken is made anew", "[deb][verdict]") {
  Fixture fixture;
  std::filesystem::create_directories(fixture.options.verdict_key.parent_path());
  testing::write_file(fixture.options.verdict_key, "too short");
  std::filesystem::permissions(fixture.options.verdict_key,
                               std::filesystem::perms::owner_read |
                                   std::filesystem::perms::owner_write);
  CHECK_NOTHROW(fixture.snapshot());
  CHECK(has_verdicts(fixture));
  CHECK(std::filesystem::file_size(fixture.options.verdict_key) == 32);
}
