#include "aipack/core/text.hpp"

#include "support/catch.hpp"

using namespace aipack;
using namespace std::string_view_literals;

TEST_CASE("trim removes blanks at both ends only", "[core][text]") {
  CHECK(trim(" \t a b\r\n") == "a b");
  CHECK(trim("\r\n ").empty());
  CHECK(trim("").empty());
}

TEST_CASE("split keeps empty parts", "[core][text]") {
  CHECK(split("a,,b", ',') == std::vector<std::string_view>{"a", "", "b"});
  CHECK(split("", ',') == std::vector<std::string_view>{""});
  CHECK(split(",", ',') == std::vector<std::string_view>{"", ""});
}

TEST_CASE("parse_decimal takes digits that fit 64 bits and nothing else", "[core][text]") {
  CHECK(parse_decimal("0") == 0U);
  CHECK(parse_decimal("007") == 7U);
  CHECK(parse_decimal("18446744073709551615") == UINT64_MAX);
  const auto bad = GENERATE(as<std::string>(), "", "18446744073709551616", "99999999999999999999",
                            "+1", "-1", " 1", "1 ", "0x1", "1.0");
  CAPTURE(bad);
  CHECK_FALSE(parse_decimal(bad));
}

TEST_CASE("quoted shows text as it is when that is safe", "[core][text]") {
  CHECK(quoted("model.onnx") == "'model.onnx'");
  CHECK(quoted("Größe 模型") == "'Größe 模型'");
  CHECK(quoted("") == "''");
}

TEST_CASE("quoted never lets a byte through that a terminal acts on", "[core][text]") {
  CHECK(quoted("a\x1b[31m") == "'a\\x1b[31m'");
  CHECK(quoted("a\nb\x7f") == "'a\\x0ab\\x7f'");
  CHECK(quoted("\0"sv) == "'\\x00'");
  CHECK(quoted("\xc2\x9b") == "'\\xc2\\x9b'");          // U+009B, CSI in one character
  CHECK(quoted("\xe2\x80\xae") == "'\\xe2\\x80\\xae'"); // right-to-left override
  CHECK(quoted("\xff\xc3") == "'\\xff\\xc3'");
  for (int i = 0; i < 256; ++i) {
    for (const char c : quoted(std::string(1, static_cast<char>(i)))) {
      CHECK((c >= 0x20 && c < 0x7f));
    }
  }
}

TEST_CASE("quoted text ends at the first bare quote", "[core][text]") {
  CHECK(quoted("it's") == "'it\\'s'");
  CHECK(quoted("a\\") == "'a\\\\'");
}

TEST_CASE("quoted shortens what is very long", "[core][text]") {
  const auto text = quoted(std::string(100000, 'a'));
  CHECK(text.size() < 600);
  CHECK(text.ends_with("…'"));
  CHECK(quoted(std::string(512, 'a')) == "'" + std::string(512, 'a') + "'");
}

TEST_CASE("redacted_url drops user info, query and fragment", "[core][text]") {
  const auto [url, expected] = GENERATE(table<std::string, std::string>({
      {"https://h.example/p", "https://h.example/p"},
      {"https://user:secret@h.example:5000/p/q", "https://h.example:5000/p/q"},
      {"https://token@h.example", "https://h.example"},
      {"https://a@b@h.example/x", "https://h.example/x"},
      {"https://h.example/p?X-Amz-Signature=abc#f", "https://h.example/p"},
      {"https://h.example/@scope/p", "https://h.example/@scope/p"},
      {"http:/user:secret@h.example/p", "http:/h.example/p"},
      {"http:\\\\user:secret@h.example/p", "http:\\\\h.example/p"},
      {"//user:secret@h.example/p?q", "//h.example/p"},
      {"/path/user:name@x", "/path/user:name@x"},
      {"file:///a@b/c", "file:///a@b/c"},
      {"https://user:sec/ret@h.example/p", "https://user"},
      {"https://user:sec?ret@h.example/p", "https://user"},
      {"https://[::1]:5000/p", "https://[::1]:5000/p"},
      {"https://[::1]/p", "https://[::1]/p"},
      {"user:secret@h.example/p", "h.example/p"},
      {"h.example:5000/repo:tag", "h.example:5000/repo:tag"},
      {"h.example/repo@sha256:00", "h.example/repo@sha256:00"},
      {"", ""},
  }));
  CHECK(redacted_url(url) == expected);
}

TEST_CASE("human_bytes prints three to four digits and a unit", "[core][text]") {
  const auto [bytes, expected] = GENERATE(table<std::uint64_t, std::string>({
      {0, "0 B"},
      {812, "812 B"},
      {999, "999 B"},
      {1000, "1.0 kB"},
      {34'100'000, "34.1 MB"},
      {999'949, "999.9 kB"},
      {999'950, "1.0 MB"},
      {999'949'999, "999.9 MB"},
      {999'950'000, "1.0 GB"},
      {UINT64_MAX, "18.4 EB"},
  }));
  CHECK(human_bytes(bytes) == expected);
}

TEST_CASE("is_utf8 follows RFC 3629", "[core][text]") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  CHECK(is_utf8("\xf4\x8f\xbf\xbf"));         // U+10FFFF
  CHECK(is_utf8("\xed\x9f\xbf\xee\x80\x80")); // around the surrogates
  const auto bad = GENERATE(as<std::string>(), "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
                            "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                            "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "a\xff", "\xc3(");
  CHECK_FALSE(is_utf8(bad));
}
