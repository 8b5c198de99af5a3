#include "aipack/core/error.hpp"
#include "aipack/oci/digest.hpp"

#include "support/catch.hpp"

#include <unordered_set>

using namespace aipack;
using oci::Digest;

namespace {

// FIPS 180-2, appendix B.1: SHA-256 of "abc".
constexpr std::string_view abc_hex =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

} // namespace

TEST_CASE("Digest::of computes SHA-256", "[oci][digest]") {
  CHECK(Digest::of("abc").hex() == abc_hex);
  CHECK(Digest::of("").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("Digest prints what it parses", "[oci][digest]") {
  const std::string text = "sha256:" + std::string(abc_hex);
  const Digest digest = Digest::parse(text);
  CHECK(digest.to_string() == text);
  CHECK(digest.hex() == abc_hex);
  CHECK(digest.short_hex() == abc_hex.substr(0, 12));
  CHECK(Digest::from_bytes(digest.bytes()) == digest);
  CHECK(Digest::try_from_hex(abc_hex) == digest);
}

TEST_CASE("Digest::parse refuses everything else", "[oci][digest]") {
  const std::string good = "sha256:" + std::string(abc_hex);
  std::string upper = good;
  upper[7] = 'B';
  std::string no_hex = good;
  no_hex.back() = 'g';
  const std::string bad =
      GENERATE_COPY(std::string(), std::string(abc_hex), good.substr(0, 70), good + "0", upper,
                    no_hex, "sha512:" + std::string(abc_hex), " " + good, good + "\n");
  CAPTURE(bad);
  CHECK_FALSE(Digest::try_parse(bad));
  try {
    (void)Digest::parse(bad);
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    CHECK_THAT(error.message(), ContainsSubstring("cannot parse digest '"));
  }
}

TEST_CASE("Digests order like their hexadecimal text and hash apart", "[oci][digest]") {
  const Digest one = Digest::of("1");
  const Digest two = Digest::of("2");
  CHECK((one < two) == (one.to_string() < two.to_string()));
  const std::unordered_set<Digest> set{one, two, one};
  CHECK(set.size() == 2);
}
