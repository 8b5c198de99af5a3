#include "aipack/core/error.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "plain_signature.hpp"
#include "support/catch.hpp"
#include "support/debian_archive.hpp"

using namespace aipack;
using namespace aipack::deb;
using test::SigningKey;

namespace {

constexpr std::int64_t day = 24 * 60 * 60;
constexpr std::int64_t signed_at = 1735689600;
constexpr std::int64_t now = signed_at + day;
const std::string text = "Suite: stable\n\nA line with spaces  inside\n\ttab";

/// librnp writes CR LF into armour, Debian's files have LF.
std::string with_plain_ends(std::string message) {
  std::erase(message, '\r');
  return message;
}

std::string sign(const SigningKey& key, SigningKey::SignOptions options = {}) {
  options.created = options.created != 0 ? options.created : static_cast<std::uint32_t>(signed_at);
  return with_plain_ends(key.clear_sign(text, options));
}

SigningKey::Options aged(const char* algorithm = "EDDSA", std::int64_t lifetime = 0) {
  return {.created = signed_at - day,
          .lifetime_seconds = static_cast<std::uint32_t>(lifetime),
          .algorithm = algorithm};
}

std::optional<SignedText> plainly(const std::string& keyring, const std::string& message,
                                  std::int64_t at = now) {
  return PlainKeyring({keyring}).verify(message, at);
}

/// What librnp alone says of the same.
std::optional<SignedText> by_librnp(const std::string& keyring, const std::string& message,
                                    std::int64_t at = now) {
  const io::TempDirectory directory;
  const std::filesystem::path file = directory.path() / "keyring";
  io::write_file_atomically(file, io::as_bytes(keyring));
  try {
    return Keyring::open(std::span(&file, 1))->verify_with_librnp(message, "it", at);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string flipped(std::string bytes, std::size_t at, unsigned bit) {
  bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << bit));
  return bytes;
}

/// The packets of a keyring, each with its header.
std::vector<std::string> raw_packets(const std::string& keyring) {
  const auto packets = openpgp::read_packets(keyring).value();
  std::vector<std::string> result;
  std::size_t begin = 0;
  for (const auto& packet : packets) {
    const auto end =
        static_cast<std::size_t>(packet.body.data() - keyring.data()) + packet.body.size();
    result.push_back(keyring.substr(begin, end - begin));
    begin = end;
  }
  return result;
}

} // namespace

TEST_CASE("what is plainly good is what librnp finds good", "[deb][plain]") {
  const auto [primary, subkey] = GENERATE(table<const char*, const char*>(
      {{"EDDSA", ""}, {"RSA", ""}, {"RSA", "RSA"}, {"EDDSA", "RSA"}, {"RSA", "EDDSA"}}));
  SigningKey key(aged(primary));
  if (*subkey != '\0') {
    key.add_subkey(aged(subkey));
  }
  const SigningKey stranger(aged());
  const auto* hash = GENERATE("SHA256", "SHA384", "SHA512");
  const bool by_two = GENERATE(false, true);
  const std::string message = sign(key, {.hash = hash, .also_by = by_two ? &stranger : nullptr});
  const auto keyring = stranger.public_key() + key.public_key();
  for (const auto& known : {key.public_key(), keyring}) {
    const auto plain = plainly(known, message);
    const auto reference = by_librnp(known, message);
    REQUIRE(plain);
    REQUIRE(reference);
    CHECK(plain->text == text + "\n");
    CHECK(plain->text == reference->text);
    CHECK(plain->signed_by == reference->signed_by);
  }
  CHECK_FALSE(plainly(stranger.public_key(), sign(key)));
  CHECK_FALSE(plainly("", sign(key)));
}

TEST_CASE("nothing is said of keys that leave something to judge", "[deb][plain]") {
  SigningKey key(aged());
  key.add_subkey(aged());
  const std::string message = sign(key);
  const std::string good = key.public_key();
  REQUIRE(plainly(good, message));
  std::string keyring;
  SECTION("revoked") {
    key.revoke();
    keyring = key.public_key();
    CHECK_FALSE(by_librnp(keyring, message));
  }
  SECTION("with a revoked subkey") {
    key.revoke_subkey();
    keyring = key.public_key();
    CHECK_FALSE(by_librnp(keyring, message));
  }
  SECTION("twice in the keyring") {
    keyring = good + good;
  }
  SECTION("once more, revoked") {
    key.revoke();
    keyring = good + key.public_key();
    CHECK_FALSE(by_librnp(keyring, message));
  }
  SECTION("armoured") {
    keyring = key.public_key(true);
    CHECK(by_librnp(keyring, message));
  }
  SECTION("cut off") {
    keyring = good.substr(0, good.size() - 1);
  }
  SECTION("behind something else") {
    keyring = raw_packets(good).back() + good;
  }
  CHECK_FALSE(plainly(keyring, message));
}

TEST_CASE("a subkey signs only when both keys say so", "[deb][plain]") {
  SigningKey key(aged());
  key.add_subkey(aged());
  SigningKey other(aged());
  other.add_subkey(aged());
  const std::string message = sign(key);
  const auto parts = raw_packets(key.public_key());
  const auto others = raw_packets(other.public_key());
  REQUIRE(parts.size() == 5); // primary key, user ID, certification, subkey, binding
  const auto& [primary, user, certification, subkey, binding] =
      std::tie(parts[0], parts[1], parts[2], parts[3], parts[4]);
  REQUIRE(plainly(primary + user + certification + subkey + binding, message));
  const std::vector<std::string> keyrings{
      primary + user + certification + subkey,              // unbound
      primary + user + certification + subkey + others[4],  // bound by another
      primary + user + subkey + binding,                    // nothing certified
      primary + user + others[2] + subkey + binding,        // by another
      primary + user + certification + binding + subkey,    // misplaced
      primary + certification + subkey + binding,           // of nobody
      others[0] + others[1] + others[2] + subkey + binding, // adopted
      others[0] + others[1] + others[2] + others[3] + others[4] + subkey + binding,
      primary + user + certification + binding + subkey + binding};
  for (std::size_t i = 0; i < keyrings.size(); ++i) {
    CAPTURE(i);
    CHECK_FALSE(plainly(keyrings[i], message));
  }
}

TEST_CASE("a key that may not sign vouches for nothing", "[deb][plain]") {
  SigningKey key(aged());
  key.add_subkey(aged());
  const std::string signing = key.public_key();
  const std::string message = sign(key);
  REQUIRE(plainly(signing, message));
  // The flags are inside of the binding's signed part: 27 (key flags), 2 (may sign).
  const auto parts = raw_packets(signing);
  std::string binding = parts[4];
  const std::size_t flags = binding.find(std::string("\x02\x1b\x02", 3));
  REQUIRE(flags != std::string::npos);
  binding[flags + 2] = 0x0c;
  CHECK_FALSE(plainly(parts[0] + parts[1] + parts[2] + parts[3] + binding, message));
  // One signature says it may, another, which does not even hold, says it may not.
  CHECK_FALSE(plainly(signing + binding, message));
  CHECK(plainly(signing + parts[4], message));
}

TEST_CASE("times are those of the caller's clock", "[deb][plain]") {
  SECTION("the signature's") {
    const SigningKey key(aged());
    const std::string message = sign(key, {.lifetime_seconds = day});
    CHECK_FALSE(plainly(key.public_key(), message, signed_at - 1));
    CHECK(plainly(key.public_key(), message, signed_at));
    CHECK(plainly(key.public_key(), message, signed_at + day - 1));
    CHECK_FALSE(plainly(key.public_key(), message, signed_at + day));
  }
  SECTION("the key's") {
    const SigningKey key(aged("EDDSA", 3 * day));
    const std::string message = sign(key);
    CHECK(plainly(key.public_key(), message, signed_at + 2 * day - 1));
    CHECK_FALSE(plainly(key.public_key(), message, signed_at + 2 * day));
    CHECK_FALSE(by_librnp(key.public_key(), message, signed_at + 2 * day));
  }
  SECTION("the subkey's") {
    SigningKey key(aged());
    key.add_subkey(aged("EDDSA", 3 * day));
    const std::string message = sign(key);
    CHECK(plainly(key.public_key(), message, signed_at + 2 * day - 1));
    CHECK_FALSE(plainly(key.public_key(), message, signed_at + 2 * day));
  }
  SECTION("the primary key's") {
    SigningKey key(aged("EDDSA", 3 * day));
    key.add_subkey(aged());
    const std::string message = sign(key);
    CHECK(plainly(key.public_key(), message, signed_at + 2 * day - 1));
    CHECK_FALSE(plainly(key.public_key(), message, signed_at + 2 * day));
  }
  SECTION("a key younger than what it signed") {
    const SigningKey key(aged());
    const std::string message =
        sign(key, {.created = static_cast<std::uint32_t>(signed_at - 2 * day)});
    CHECK_FALSE(plainly(key.public_key(), message));
  }
}

TEST_CASE("nothing is said of messages that leave something to judge", "[deb][plain]") {
  const SigningKey key(aged());
  const std::string keyring = key.public_key();
  const std::string good = sign(key);
  REQUIRE(plainly(keyring, good));
  REQUIRE(plainly(keyring, good + " \n"));
  const std::string begin = "-----BEGIN PGP SIGNATURE-----";
  const std::string other = with_plain_ends(
      key.clear_sign("Suite: evil", {.created = static_cast<std::uint32_t>(signed_at)}));
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string result = good;
    return result.replace(result.find(from), from.size(), to);
  };
  const std::vector<std::string> messages{std::string(),
                                          replaced("stable", "evil"),
                                          replaced("stable\n", "stable \n"),
                                          replaced("stable\n", "stable\t\n"),
                                          replaced("stable\n", "stable\r\n"),
                                          replaced("Suite", "- Suite"),
                                          replaced("Suite", "-Suite"),
                                          replaced("Hash: ", "Hush: "),
                                          replaced("\n\nSuite", "\nSuite"),
                                          replaced("\ttab\n", "\ttab\n\n"),
                                          replaced("spaces", "a\x01"),
                                          good.substr(0, good.find(begin)) +
                                              other.substr(other.find(begin)),
                                          good + "x",
                                          good + good,
                                          "\n" + good,
                                          good.substr(0, good.size() - 40),
                                          with_plain_ends(key.clear_sign(text, {.hash = "SHA1"})),
                                          with_plain_ends(key.clear_sign(text + "\n-dash")),
                                          with_plain_ends(key.embedded_sign(text))};
  for (const std::string& message : messages) {
    INFO(message);
    CHECK_FALSE(plainly(keyring, message));
  }
}

TEST_CASE("one signature by a known key that is not good leaves it to librnp", "[deb][plain]") {
  const SigningKey good(aged());
  SigningKey bad(aged());
  const std::string message = sign(good, {.also_by = &bad});
  const std::string known = good.public_key() + bad.public_key();
  REQUIRE(plainly(known, message)->signed_by.size() == 2);
  bad.revoke();
  const std::string revoked = good.public_key() + bad.public_key();
  CHECK_FALSE(plainly(revoked, message));
  CHECK(by_librnp(revoked, message)->signed_by == std::vector{good.fingerprint()});
}

TEST_CASE("no bit of a keyring or a message can be changed into a yes of its own",
          "[deb][plain][tamper]") {
  SigningKey key(aged());
  key.add_subkey(aged());
  const std::string keyring = key.public_key();
  const std::string message = sign(key);
  const auto reference = plainly(keyring, message);
  REQUIRE(reference);
  const auto bit = GENERATE(range(0U, 8U));
  for (std::size_t at = 0; at < keyring.size(); ++at) {
    const std::string changed = flipped(keyring, at, bit);
    if (const auto plain = plainly(changed, message)) {
      // For example in another's user ID, or a part that nobody signed.
      CAPTURE(at, bit);
      const auto judged = by_librnp(changed, message);
      REQUIRE(judged);
      CHECK(judged->signed_by == plain->signed_by);
    }
  }
  for (std::size_t at = 0; at < message.size(); ++at) {
    if (const auto plain = plainly(keyring, flipped(message, at, bit))) {
      CHECK(plain->text == reference->text);
      CHECK(plain->signed_by == reference->signed_by);
    }
  }
}
