#include "base64.hpp"
#include "support/catch.hpp"

#include <string>

using namespace aipack::registry;

TEST_CASE("base64 follows the test vectors of RFC 4648", "[registry][base64]") {
  const auto [bytes, text] = GENERATE(table<std::string, std::string>({{"", ""},
                                                                       {"f", "Zg=="},
                                                                       {"fo", "Zm8="},
                                                                       {"foo", "Zm9v"},
                                                                       {"foob", "Zm9vYg=="},
                                                                       {"fooba", "Zm9vYmE="},
                                                                       {"foobar", "Zm9vYmFy"},
                                                                       {"\xff\xfe\xfd", "//79"}}));
  CHECK(base64_encode(bytes) == text);
  CHECK(base64_decode(text) == bytes);
}

TEST_CASE("base64 of every byte decodes to it", "[registry][base64]") {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    bytes += static_cast<char>(i);
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
  }
}

TEST_CASE("what is not base64 does not decode", "[registry][base64]") {
  const std::string text =
      GENERATE("Zg", "Zg=", "Zh==", "Zm9=", "====", "Zg==Zg==", "Z===", "Zm 8=", "Zm9v\n", "Zm-v",
               "Zm_v", "=Zm9");
  INFO(text);
  CHECK_FALSE(base64_decode(text));
}
