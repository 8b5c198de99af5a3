#include "aipack/core/error.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "certificates.hpp"
#include "keyring.hpp"
#include "support/catch.hpp"
#include "support/debian_archive.hpp"

using namespace aipack;
using namespace aipack::deb;
using test::SigningKey;

namespace {

constexpr std::int64_t signed_at = 1735689600;
constexpr std::int64_t day = 24 * 60 * 60;

SigningKey::Options aged(const char* algorithm = "EDDSA") {
  return {.created = signed_at - day, .algorithm = algorithm};
}

std::string signed_text(const SigningKey& key) {
  return key.clear_sign("Suite: stable", {.created = static_cast<std::uint32_t>(signed_at)});
}

/// What a keyring of these bytes says of a message: the text, or the error's message.
std::string verdict(const std::string& keyring, const std::string& message) {
  const io::TempDirectory directory;
  const std::filesystem::path file = directory.path() / "keyring";
  io::write_file_atomically(file, io::as_bytes(keyring));
  try {
    auto text = Keyring::open(std::span(&file, 1))->verify(message, "it", signed_at + 60).text;
    std::erase(text, '\r'); // librnp signs with CR LF, Debian's files have LF
    return text;
  } catch (const Error& error) {
    return error.message();
  }
}

std::string octets(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) {
    bytes += static_cast<char>(value);
  }
  return bytes;
}

} // namespace

TEST_CASE("A keyring is cut into its certificates, with the IDs of keys and subkeys",
          "[deb][certificates]") {
  SigningKey first(aged("RSA"));
  const auto primary = first.fingerprint();
  first.add_subkey(aged());
  const SigningKey second(aged());
  const auto keyring = first.public_key() + second.public_key();
  const auto certificates = read_certificates(keyring);
  REQUIRE(certificates);
  REQUIRE(certificates->size() == 2);
  CHECK(certificates->at(0).bytes == first.public_key());
  CHECK(certificates->at(1).bytes == second.public_key());
  CHECK(certificates->at(0).key_ids ==
        std::vector<std::string>{primary.substr(24), first.fingerprint().substr(24)});
  CHECK(certificates->at(1).key_ids == std::vector<std::string>{second.fingerprint().substr(24)});
}

TEST_CASE("What is no plain row of packets is taken as a whole", "[deb][certificates]") {
  const SigningKey key(aged());
  const auto good = key.public_key();
  CHECK(read_certificates("")->empty());
  CHECK_FALSE(read_certificates(key.public_key(true)));          // armoured
  CHECK_FALSE(read_certificates(good + octets({0xc5, 1, 'x'}))); // a secret key
  CHECK_FALSE(read_certificates(octets({0xcd, 1, 'x'}) + good)); // a user ID of nobody
  CHECK_FALSE(read_certificates(good + octets({0xc2, 224, 1}))); // partial length
  CHECK_FALSE(read_certificates(good + octets({0x8b, 1, 2})));   // up to the end
  CHECK_FALSE(read_certificates(good + octets({0xc2, 255, 255, 255, 255, 255, 1})));
  for (std::size_t size = 1; size < good.size(); ++size) {
    if (const auto cut = read_certificates(std::string_view(good).substr(0, size))) {
      CHECK(cut->front().bytes.size() == size); // at a packet's border
    }
  }
  std::string many = good;
  for (std::size_t i = 0; i < max_keyring_packets; ++i) {
    many += octets({0xc2, 0});
  }
  CHECK_FALSE(read_certificates(many));
}

TEST_CASE("A message is good by any of a keyring's keys, whatever stands around them",
          "[deb][certificates]") {
  SigningKey key(aged());
  const SigningKey stranger(aged("RSA"));
  const bool by_subkey = GENERATE(false, true);
  if (by_subkey) {
    key.add_subkey(aged());
  }
  const auto message = signed_text(key);
  CHECK(verdict(key.public_key(), message) == "Suite: stable\n");
  CHECK(verdict(stranger.public_key() + key.public_key(), message) == "Suite: stable\n");
  CHECK(verdict(key.public_key(true), message) == "Suite: stable\n"); // armoured: as a whole
  CHECK(verdict(stranger.public_key(), message).find("no signature is by a key") !=
        std::string::npos);
}

TEST_CASE("A key that is revoked anywhere in the keyring vouches for nothing",
          "[deb][certificates]") {
  SigningKey key(aged());
  const auto good = key.public_key();
  const auto message = signed_text(key);
  CHECK_FALSE(read_certificates(good)->front().has_revocation);
  key.revoke();
  const auto revoked = key.public_key();
  CHECK(read_certificates(revoked)->front().has_revocation);
  for (const auto& keyring : {revoked, good + revoked, revoked + good}) {
    CHECK(verdict(keyring, message).starts_with("cannot verify it"));
  }
}

TEST_CASE("A changed text is refused with the whole keyring's reason", "[deb][certificates]") {
  const SigningKey key(aged());
  auto message = signed_text(key);
  message[message.find("stable")] = 'S';
  CHECK(verdict(key.public_key(), message).find("is not valid for the text") != std::string::npos);
}
