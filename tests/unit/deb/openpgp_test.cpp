#include "openpgp.hpp"
#include "support/catch.hpp"
#include "support/debian_archive.hpp"

using namespace aipack;
using namespace aipack::deb;
using test::SigningKey;

namespace {

std::string octets(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) {
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::vector<std::uint8_t> tags_of(const std::string& bytes) {
  std::vector<std::uint8_t> tags;
  const auto packets = openpgp::read_packets(bytes).value();
  for (const auto& packet : packets) {
    tags.push_back(packet.tag);
  }
  return tags;
}

} // namespace

TEST_CASE("read_packets reads the lengths of both forms", "[deb][openpgp]") {
  const std::string long_body(200, 'b');
  const auto [header, body] = GENERATE_COPY(table<std::string, std::string>({
      {octets({0xc2, 3}), "abc"},
      {octets({0xc2, 0}), ""},
      {octets({0xc2, 192, 8}), long_body},
      {octets({0xc2, 255, 0, 0, 0, 200}), long_body},
      {octets({0x88, 3}), "abc"},
      {octets({0x89, 0, 200}), long_body},
      {octets({0x8a, 0, 0, 0, 200}), long_body},
  }));
  const std::string bytes = header + body;
  const auto packets = openpgp::read_packets(bytes + bytes);
  REQUIRE(packets);
  REQUIRE(packets->size() == 2);
  CHECK(packets->back().is(openpgp::Tag::signature));
  CHECK(packets->back().body == body);
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    CHECK_FALSE(openpgp::read_packets(bytes.substr(0, size)));
  }
}

TEST_CASE("read_packets refuses what has no plain length", "[deb][openpgp]") {
  CHECK(openpgp::read_packets("")->empty());
  CHECK_FALSE(openpgp::read_packets(octets({0x42, 0})));            // no packet
  CHECK_FALSE(openpgp::read_packets(octets({0x8b, 1, 2, 3})));      // indeterminate
  CHECK_FALSE(openpgp::read_packets(octets({0xc2, 224, 1, 1, 2}))); // partial
  CHECK_FALSE(openpgp::read_packets(octets({0xc2, 255, 255, 255, 255, 255, 1})));
  std::string many;
  for (std::size_t i = 0; i <= openpgp::max_packets; ++i) {
    many += octets({0xc2, 0});
  }
  CHECK_FALSE(openpgp::read_packets(many));
  CHECK(openpgp::read_packets(many.substr(2))->size() == openpgp::max_packets);
}

TEST_CASE("read_armor takes one block of the asked kind", "[deb][openpgp]") {
  const SigningKey key({.created = 1735689600});
  const std::string armored = key.public_key(true);
  std::string text;
  for (const char c : armored) {
    if (c != '\r') {
      text += c;
    }
  }
  CHECK(openpgp::read_armor(text, "PUBLIC KEY BLOCK") == key.public_key());
  CHECK(openpgp::read_armor(text + "\n \n", "PUBLIC KEY BLOCK") == key.public_key());
  CHECK_FALSE(openpgp::read_armor(text, "SIGNATURE"));
  CHECK_FALSE(openpgp::read_armor(text + "x", "PUBLIC KEY BLOCK"));
  CHECK_FALSE(openpgp::read_armor("\n" + text, "PUBLIC KEY BLOCK"));
  for (std::size_t size = 0; size + 1 < text.size(); size += 7) {
    CHECK_FALSE(openpgp::read_armor(text.substr(0, size), "PUBLIC KEY BLOCK"));
  }
  // RFC 4648, 10, with the checksum of "foobar" and a wrong one.
  const auto block = [](const std::string& content) {
    return "-----BEGIN PGP SIGNATURE-----\n\n" + content + "\n-----END PGP SIGNATURE-----\n";
  };
  const auto [content, expected] = GENERATE_COPY(table<std::string, std::string>({
      {"Zm9vYmFy", "foobar"},
      {"Zm9v\nYmE=", "fooba"},
      {"Zm9vYg==", "foob"},
      {"Zm9vYg==\n=7nDT", "no"},
      {"Zm9vYmFyZg", "no"},
      {"Zm9vYh==", "no"},
      {"Zm9v*mFy", "no"},
      {"Zg===m9v", "no"},
      {"Zm9v\n\nYmFy", "no"},
  }));
  const auto bytes = openpgp::read_armor(block(content), "SIGNATURE");
  CHECK(bytes == (expected == "no" ? std::nullopt : std::optional(expected)));
}

TEST_CASE("a key is read with its fingerprint", "[deb][openpgp]") {
  const auto* algorithm = GENERATE("EDDSA", "RSA");
  SigningKey signer({.created = 1735689600, .algorithm = algorithm});
  const std::string of_primary = signer.fingerprint();
  signer.add_subkey({.created = 1735689600});
  const std::string bytes = signer.public_key();
  CHECK(tags_of(bytes) == std::vector<std::uint8_t>{6, 13, 2, 14, 2});
  const auto packets = openpgp::read_packets(bytes);
  const auto primary = openpgp::PublicKey::read(packets->at(0).body);
  const auto subkey = openpgp::PublicKey::read(packets->at(3).body);
  REQUIRE(primary);
  REQUIRE(subkey);
  CHECK(primary->fingerprint_text() == of_primary);
  CHECK(primary->can_verify());
  CHECK(primary->created == 1735689600);
  CHECK(subkey->fingerprint_text() == signer.fingerprint());
  // A packet that is cut off is another key, and none that could verify.
  for (std::size_t size = 6; size < primary->body.size(); size += 3) {
    const auto cut = openpgp::PublicKey::read(std::string_view(primary->body).substr(0, size));
    REQUIRE(cut);
    CHECK_FALSE(cut->can_verify());
    CHECK(cut->id() != primary->id());
  }
  CHECK_FALSE(openpgp::PublicKey::read(std::string_view(primary->body).substr(0, 5)));
  std::string other_version = primary->body;
  other_version[0] = 6;
  CHECK_FALSE(openpgp::PublicKey::read(other_version));
}

TEST_CASE("a signature is read, and holds for what it is over only", "[deb][openpgp]") {
  const auto* algorithm = GENERATE("EDDSA", "RSA");
  const SigningKey signer({.created = 1735689600, .algorithm = algorithm});
  const SigningKey stranger({.created = 1735689600, .algorithm = algorithm});
  const std::string message =
      signer.clear_sign("text", {.created = 1735689700, .lifetime_seconds = 50});
  std::string block = message.substr(message.find("-----BEGIN PGP SIGNATURE"));
  std::erase(block, '\r');
  const auto bytes = openpgp::read_armor(block, "SIGNATURE");
  REQUIRE(bytes);
  const auto packets = openpgp::read_packets(*bytes);
  REQUIRE(packets->size() == 1);
  const std::string_view body = packets->front().body;
  const auto signature = openpgp::Signature::read(body);
  REQUIRE(signature);
  const auto key_of = [](const SigningKey& key) {
    const std::string keyring = key.public_key();
    return openpgp::PublicKey::read(openpgp::read_packets(keyring)->front().body).value();
  };
  CHECK(signature->is(openpgp::Signature::Type::text));
  CHECK(signature->created == 1735689700);
  CHECK(signature->lifetime_seconds == 50);
  CHECK(signature->issuer_id == key_of(signer).id());
  CHECK(openpgp::holds(*signature, key_of(signer), {"te", "xt"}));
  CHECK_FALSE(openpgp::holds(*signature, key_of(signer), {"text\r\n"}));
  CHECK_FALSE(openpgp::holds(*signature, key_of(signer), {}));
  CHECK_FALSE(openpgp::holds(*signature, key_of(stranger), {"text"}));
  auto weak = *signature;
  weak.hash = 2; // SHA-1
  CHECK_FALSE(openpgp::holds(weak, key_of(signer), {"text"}));

  for (std::size_t size = 0; size < body.size(); ++size) {
    const auto cut = openpgp::Signature::read(body.substr(0, size));
    CHECK_FALSE((cut && openpgp::holds(*cut, key_of(signer), {"text"})));
  }
  // What is not signed says who signed: anything else in it can be anything.
  for (std::size_t at = 0; at < body.size(); ++at) {
    std::string flipped(body);
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    const auto changed = openpgp::Signature::read(flipped);
    if (changed && openpgp::holds(*changed, key_of(signer), {"text"})) {
      CHECK(changed->hashed == signature->hashed);
      CHECK(changed->numbers == signature->numbers);
    }
  }
}

TEST_CASE("unknown critical subpackets and those said twice are refused", "[deb][openpgp]") {
  const std::string created = octets({5, 2, 1, 2, 3, 4});
  const std::string issuer = octets({9, 16, 1, 2, 3, 4, 5, 6, 7, 8});
  const auto with = [&](const std::string& hashed, const std::string& unhashed) {
    const auto sized = [](const std::string& area) {
      return octets({static_cast<int>(area.size() / 256), static_cast<int>(area.size() % 256)}) +
             area;
    };
    return openpgp::Signature::read(octets({4, 1, 1, 8}) + sized(hashed) + sized(unhashed) +
                                    octets({0, 0, 0, 1, 1}));
  };
  const auto good = with(created, issuer);
  REQUIRE(good);
  CHECK(good->created == 0x01020304);
  CHECK(good->issuer_id == octets({1, 2, 3, 4, 5, 6, 7, 8}));
  CHECK(with(created + octets({2, 100, 0}), issuer));       // unknown
  CHECK_FALSE(with(created + octets({2, 228, 0}), issuer)); // unknown, critical
  CHECK_FALSE(with(created, issuer + octets({2, 100, 0}))); // not signed
  CHECK(with(created + octets({2, 0x80 | 27, 3}), issuer)->key_flags == 3);
  CHECK_FALSE(with(created + created, issuer));
  CHECK_FALSE(with(created + octets({2, 27, 3, 2, 27, 3}), issuer));
  CHECK_FALSE(with(created + octets({5, 9, 0, 0, 0, 1, 5, 9, 0, 0, 0, 1}), issuer));
  CHECK_FALSE(with(created + octets({5, 3, 0, 0, 0, 1, 5, 3, 0, 0, 0, 1}), issuer));
  CHECK_FALSE(with(created, issuer + octets({9, 16, 1, 2, 3, 4, 5, 6, 7, 9})));
  CHECK_FALSE(with(created, ""));
  CHECK_FALSE(with(issuer, created)); // a time that nobody signed
  CHECK_FALSE(with(octets({4, 2, 1, 2, 3}), issuer));
  CHECK_FALSE(with(created + octets({0}), issuer));
  CHECK_FALSE(with(created + octets({9, 100}), issuer));
  CHECK_FALSE(with(octets({5, 9, 0, 0, 0, 7}), issuer + created));
  std::string many = created;
  for (std::size_t i = 0; i < openpgp::max_subpackets - 2; ++i) {
    many += octets({2, 100, 0});
  }
  CHECK(with(many, issuer));
  CHECK_FALSE(with(many + octets({2, 100, 0}), issuer));
}
