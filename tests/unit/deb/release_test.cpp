#include "aipack/core/error.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/debian_archive.hpp"

#include <fcntl.h>
#include <unistd.h>

using namespace aipack;
using test::SigningKey;
using test::TestArchive;

namespace {

constexpr std::int64_t day = 24 * 60 * 60;
constexpr std::int64_t signed_at = 1735689600; // 2025-01-01
constexpr std::int64_t now = signed_at + 3 * day;

TestArchive small_archive() {
  TestArchive archive;
  archive.date = signed_at;
  archive.valid_until = signed_at + 7 * day;
  return archive;
}

struct Fixture {
  io::TempDirectory directory{};
  SigningKey key{{.created = signed_at - day}};
  deb::VerifyOptions options{.keyrings = {directory.path() / "keyring.gpg"}, .now = now};

  Fixture() { trust(key.public_key()); }
  void trust(const std::string& keyring) const {
    io::write_file_atomically(options.keyrings.front(), io::as_bytes(keyring));
  }
  [[nodiscard]] std::string signed_release(const TestArchive& archive) const {
    return key.clear_sign(archive.release_text(),
                          {.created = static_cast<std::uint32_t>(archive.date)});
  }
};

Error verify_error(std::string_view in_release, std::string_view suite,
                   const deb::VerifyOptions& options) {
  try {
    (void)deb::verify_release(in_release, suite, options);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "it was accepted");
}

/// Everything that goes to file descriptor 2 while it lives.
class CapturedStderr {
public:
  explicit CapturedStderr(const std::filesystem::path& file)
      : file_(file), saved_(::dup(STDERR_FILENO)) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ::dup2(fd, STDERR_FILENO);
    ::close(fd);
  }
  std::string stop() {
    if (saved_ >= 0) {
      ::dup2(saved_, STDERR_FILENO);
      ::close(std::exchange(saved_, -1));
    }
    return io::read_text_file(file_, 1 << 20);
  }
  ~CapturedStderr() { (void)stop(); }
  CapturedStderr(const CapturedStderr&) = delete;
  CapturedStderr& operator=(const CapturedStderr&) = delete;

private:
  std::filesystem::path file_;
  int saved_;
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("verify_release accepts a well signed InRelease and reads it", "[deb][release]") {
  const Fixture fixture;
  const TestArchive archive = small_archive();
  const std::string in_release = fixture.signed_release(archive);
  const auto release = deb::verify_release(in_release, "trixie", fixture.options);
  CHECK(release.suite == "trixie");
  CHECK(release.codename == "trixie");
  CHECK(release.version == "13.0");
  CHECK(release.label == "Test");
  CHECK(release.date == signed_at);
  CHECK(release.valid_until == signed_at + 7 * day);
  CHECK(release.acquire_by_hash);
  CHECK(release.architectures == std::vector<std::string>{"all", "amd64", "arm64"});
  CHECK(release.digest == oci::Digest::of(in_release));
  CHECK(release.signed_by == std::vector<std::string>{fixture.key.fingerprint()});
  REQUIRE(release.files.size() == 6);
  const auto* index = release.find("main/binary-arm64/Packages.xz");
  REQUIRE(index != nullptr);
  CHECK(index->digest == oci::Digest::of(test::xz("")));
  CHECK(index->size_bytes == test::xz("").size());
  CHECK(release.find("main/binary-arm64/Packages.gz") == nullptr);
  // By its class as well as by its name.
  CHECK(deb::verify_release(in_release, "stable", fixture.options).suite == "stable");
}

TEST_CASE("an armoured keyring, and several keyrings, work too", "[deb][release]") {
  Fixture fixture;
  const SigningKey other({.created = signed_at - day});
  const std::string in_release = fixture.signed_release(small_archive());
  fixture.trust(fixture.key.public_key(true));
  CHECK_NOTHROW(deb::verify_release(in_release, "trixie", fixture.options));
  fixture.trust(other.public_key());
  CHECK(verify_error(in_release, "trixie", fixture.options).code() == ErrorCode::corrupt);
  fixture.options.keyrings.push_back(fixture.directory.path() / "second.gpg");
  io::write_file_atomically(fixture.options.keyrings.back(),
                            io::as_bytes(fixture.key.public_key()));
  CHECK_NOTHROW(deb::verify_release(in_release, "trixie", fixture.options));
}

TEST_CASE("verify_release refuses a text that was changed anywhere", "[deb][release]") {
  const Fixture fixture;
  const std::string in_release = fixture.signed_release(small_archive());
  const std::size_t text_end = in_release.find("-----BEGIN PGP SIGNATURE");
  // Every 7th byte of the signed text: bits that only change white space at line ends are not
  // signed, all others are.
  for (std::size_t at = in_release.find("Origin"); at < text_end - 1; at += 7) {
    std::string changed = in_release;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    CAPTURE(at);
    REQUIRE(verify_error(changed, "trixie", fixture.options).code() == ErrorCode::corrupt);
  }
}

TEST_CASE("verify_release refuses damaged, missing and foreign signatures", "[deb][release]") {
  const Fixture fixture;
  const TestArchive archive = small_archive();
  const std::string good = fixture.signed_release(archive);
  const std::size_t signature = good.find("-----BEGIN PGP SIGNATURE");
  const SigningKey stranger({.created = signed_at - day});
  const std::string text = archive.release_text();
  std::string bad;
  SECTION("not signed") {
    bad = text;
  }
  SECTION("empty") {
    bad = "";
  }
  SECTION("a login page") {
    bad = "<html>log in</html>";
  }
  SECTION("signature cut off") {
    bad = good.substr(0, signature);
  }
  SECTION("signature cut short") {
    bad = good.substr(0, signature + 60);
  }
  SECTION("signature without content") {
    bad = good.substr(0, signature) +
          "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n";
  }
  SECTION("by an unknown key") {
    bad = stranger.clear_sign(text);
  }
  SECTION("over a weak hash") {
    bad = fixture.key.clear_sign(text, {.hash = GENERATE("SHA1", "MD5")});
  }
  SECTION("expired signature") {
    bad = fixture.key.clear_sign(
        text, {.created = static_cast<std::uint32_t>(signed_at), .lifetime_seconds = 3600});
  }
  SECTION("signed, but not clear-signed") {
    bad = fixture.key.embedded_sign(text);
  }
  SECTION("bytes in front") {
    bad = "Suite: evil\n" + good;
  }
  SECTION("a blank line in front") {
    bad = "\n" + good;
  }
  SECTION("bytes behind") {
    bad = good + "Suite: evil\n";
  }
  SECTION("two messages") {
    bad = good + good;
  }
  SECTION("a message around a message") {
    bad = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: evil\n" + good;
  }
  SECTION("signature of another text") {
    const std::string other = fixture.key.clear_sign("other text\n");
    bad = good.substr(0, signature) + other.substr(other.find("-----BEGIN PGP SIGNATURE"));
  }
  CapturedStderr captured(fixture.directory.path() / "stderr");
  const Error error = verify_error(bad, "trixie", fixture.options);
  const std::string printed = captured.stop();
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK_THAT(error.message(), ContainsSubstring("cannot verify InRelease of 'trixie': "));
  CHECK(printed.empty()); // librnp logs on its own: a library prints nothing
}

TEST_CASE("white space behind the signature and a second good signature are fine",
          "[deb][release]") {
  Fixture fixture;
  const TestArchive archive = small_archive();
  CHECK_NOTHROW(
      deb::verify_release(fixture.signed_release(archive) + "\n \r\n", "trixie", fixture.options));
  const SigningKey second({.created = signed_at - day});
  const std::string twice = fixture.key.clear_sign(archive.release_text(), {.also_by = &second});
  CHECK(deb::verify_release(twice, "trixie", fixture.options).signed_by.size() == 1);
  fixture.trust(fixture.key.public_key() + second.public_key());
  CHECK(deb::verify_release(twice, "trixie", fixture.options).signed_by.size() == 1);
}

TEST_CASE("revoked and expired keys do not vouch", "[deb][release]") {
  Fixture fixture;
  const TestArchive archive = small_archive();
  SECTION("revoked") {
    const std::string in_release = fixture.signed_release(archive);
    fixture.key.revoke();
    fixture.trust(fixture.key.public_key());
    CHECK(verify_error(in_release, "trixie", fixture.options).code() == ErrorCode::corrupt);
  }
  SECTION("expired since") {
    const SigningKey key(
        {.created = signed_at - day, .lifetime_seconds = 3 * static_cast<std::uint32_t>(day)});
    fixture.trust(key.public_key());
    const std::string in_release =
        key.clear_sign(archive.release_text(), {.created = static_cast<std::uint32_t>(signed_at)});
    fixture.options.now = signed_at + day;
    CHECK_NOTHROW(deb::verify_release(in_release, "trixie", fixture.options));
    fixture.options.now = signed_at + 2 * day;
    CHECK(verify_error(in_release, "trixie", fixture.options).code() == ErrorCode::corrupt);
  }
}

TEST_CASE("dates are enforced", "[deb][release]") {
  Fixture fixture;
  TestArchive archive = small_archive();
  const std::string in_release = fixture.signed_release(archive);
  fixture.options.now = signed_at + 7 * day;
  CHECK_NOTHROW(deb::verify_release(in_release, "trixie", fixture.options));
  fixture.options.now += 1;
  const Error expired = verify_error(in_release, "trixie", fixture.options);
  CHECK(expired.code() == ErrorCode::unavailable);
  CHECK_THAT(expired.message(), ContainsSubstring("expired on 2025-01-08 00:00:00 UTC"));
  CHECK_FALSE(expired.hint().empty());
  fixture.options.ignore_valid_until = true;
  CHECK_NOTHROW(deb::verify_release(in_release, "trixie", fixture.options));
  fixture.options.ignore_valid_until = false;

  archive.date = signed_at + 2 * day;
  archive.valid_until = 0;
  const std::string ahead = fixture.key.clear_sign(
      archive.release_text(), {.created = static_cast<std::uint32_t>(signed_at)});
  fixture.options.now = signed_at + day;
  CHECK_NOTHROW(deb::verify_release(ahead, "trixie", fixture.options));
  fixture.options.now = signed_at + day - 1;
  CHECK_THAT(verify_error(ahead, "trixie", fixture.options).message(),
             ContainsSubstring("in the future"));
  fixture.options.now = signed_at + 3650 * day; // without Valid-Until it never expires
  CHECK_NOTHROW(deb::verify_release(ahead, "trixie", fixture.options));
}

TEST_CASE("a release of another suite is refused", "[deb][release]") {
  const Fixture fixture;
  TestArchive archive = small_archive();
  archive.suite = "bookworm";
  archive.suite_class = "oldstable";
  const Error error = verify_error(fixture.signed_release(archive), "trixie", fixture.options);
  CHECK(error.code() == ErrorCode::corrupt);
  CHECK_THAT(error.message(), ContainsSubstring("'oldstable' (codename 'bookworm')"));
}

TEST_CASE("a signed Release file must be well formed", "[deb][release]") {
  const Fixture fixture;
  const std::string text = small_archive().release_text();
  std::string bad;
  SECTION("no date") {
    bad = replaced(text, "Date: ", "Datum: ");
  }
  SECTION("a date that is none") {
    bad = replaced(text, "Date: Wed", "Date: someday");
  }
  SECTION("no list") {
    bad = replaced(text, "SHA256:", "SHA512:");
  }
  SECTION("a short digest") {
    bad = text + " abc 1 main/x\n";
  }
  SECTION("a negative size") {
    bad = text + " " + std::string(64, 'a') + " -1 main/x\n";
  }
  SECTION("a huge size") {
    bad = text + " " + std::string(64, 'a') + " 99999999999999999999 main/x\n";
  }
  SECTION("a path that climbs") {
    bad = text + " " + std::string(64, 'a') + " 1 ../../etc/x\n";
  }
  SECTION("an absolute path") {
    bad = text + " " + std::string(64, 'a') + " 1 /etc/x\n";
  }
  SECTION("a file listed twice") {
    bad = text + " " + std::string(64, 'a') + " 1 main/source/Sources\n";
  }
  SECTION("a word too many") {
    bad = text + " " + std::string(64, 'a') + " 1 main/x y\n";
  }
  SECTION("two paragraphs") {
    bad = text + "\nSuite: evil\n";
  }
  const Error error = verify_error(fixture.key.clear_sign(bad), "trixie", fixture.options);
  CHECK(error.code() == ErrorCode::corrupt);
}

TEST_CASE("dash escapes are undone before the text is read", "[deb][release]") {
  const Fixture fixture;
  const std::string text =
      small_archive().release_text() + "Description-x: y\n -----BEGIN NOTHING-----\n";
  std::string dashed = text;
  dashed.insert(0, "#\n");
  const std::string in_release = fixture.key.clear_sign("# comment\n" + text);
  CHECK_NOTHROW(deb::verify_release(in_release, "trixie", fixture.options));
  const std::string escaped = fixture.key.clear_sign(text + "-X: starts with a dash\n");
  CHECK_THAT(escaped, ContainsSubstring("- -X: starts"));
  // "-X" is no field name: the message is about the text without the escape.
  CHECK_THAT(verify_error(escaped, "trixie", fixture.options).message(), ContainsSubstring("'-X'"));
}

TEST_CASE("a keyring that is missing or none is said to be", "[deb][release]") {
  Fixture fixture;
  const std::string in_release = fixture.signed_release(small_archive());
  fixture.options.keyrings = {fixture.directory.path() / "absent.gpg"};
  CHECK(verify_error(in_release, "trixie", fixture.options).code() == ErrorCode::not_found);
  fixture.options.keyrings = {fixture.directory.path() / "text.gpg"};
  io::write_file_atomically(fixture.options.keyrings.front(), io::as_bytes("this is no keyring"));
  CapturedStderr captured(fixture.directory.path() / "stderr");
  const Error error = verify_error(in_release, "trixie", fixture.options);
  CHECK(captured.stop().empty());
  CHECK(error.code() == ErrorCode::invalid_input);
}
