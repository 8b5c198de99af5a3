#include "support/catch.hpp"
#include "text.hpp"

using namespace aipack::serve;
using namespace std::string_literals;

TEST_CASE("find_invalid_utf8 follows RFC 3629", "[serve][text]") {
  const auto [text, at] = GENERATE(table<std::string, std::size_t>({
      {"plain", std::string::npos},
      {"gr\xC3\xBC\xC3\x9F", std::string::npos},
      {"\xE2\x98\x83", std::string::npos},
      {"\xF0\x9F\x8E\x88", std::string::npos},
      {"\xF4\x8F\xBF\xBF", std::string::npos}, // U+10FFFF
      {"a\x80", 1},                            // continuation alone
      {"\xC0\xAF", 0},                         // overlong '/'
      {"\xE0\x80\xAF", 0},                     // overlong
      {"\xED\xA0\x80", 0},                     // surrogate
      {"\xF4\x90\x80\x80", 0},                 // above U+10FFFF
      {"ab\xE2\x98", 2},                       // cut off
      {"\xFF", 0},
  }));
  CHECK(find_invalid_utf8(text) == at);
}

TEST_CASE("append_utf8 writes what utf8_sequence_length reads, for every code point",
          "[serve][text]") {
  for (std::uint32_t code = 0; code <= 0x10FFFF; code += code < 0x3000 ? 1 : 251) {
    if (code >= 0xD800 && code <= 0xDFFF) {
      continue;
    }
    std::string text;
    append_utf8(text, code);
    if (utf8_sequence_length(text) != text.size()) {
      FAIL("code point " << code);
    }
  }
}

TEST_CASE("json_string escapes what JSON cannot hold and replaces what is not UTF-8",
          "[serve][text]") {
  CHECK(json_string("a\"b\\c\n\x01\x7F") == R"("a\"b\\c\n\u0001\u007f")");
  CHECK(json_string("\xC3\xBC") == "\"\xC3\xBC\"");
  CHECK(json_string("x\xFFy") == "\"x\xEF\xBF\xBDy\"");
  CHECK(json_string("a\0b"s) == "\"a\\u0000b\"");
}

TEST_CASE("quote keeps a message on one line and short", "[serve][text]") {
  CHECK(quote("a\nb\x1B") == "'a?b?'");
  const std::string quoted = quote(std::string(10'000, 'x'));
  CHECK(quoted.size() < 200);
  CHECK(quoted.ends_with("...'"));
}
