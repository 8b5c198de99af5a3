#include "error.hpp"
#include "json_cursor.hpp"
#include "support/catch.hpp"
#include "text.hpp"

#include <optional>
#include <random>

#include <nlohmann/json.hpp>

using namespace aipack::serve;

namespace {

using Json = nlohmann::json;

/// What a document is when the cursor reads it, as nlohmann would build it.
Json read_value(JsonCursor& cursor) {
  switch (cursor.peek()) {
  case JsonCursor::Kind::object: {
    Json out = Json::object();
    std::string key;
    cursor.begin_object();
    while (cursor.next_member(key)) {
      out[key] = read_value(cursor);
    }
    return out;
  }
  case JsonCursor::Kind::array: {
    Json out = Json::array();
    cursor.begin_array();
    while (cursor.next_element()) {
      out.push_back(read_value(cursor));
    }
    return out;
  }
  case JsonCursor::Kind::string:
    return cursor.read_string();
  case JsonCursor::Kind::number:
    return Json::parse(cursor.read_number());
  case JsonCursor::Kind::boolean:
    return cursor.read_bool();
  case JsonCursor::Kind::null:
    cursor.read_null();
    return nullptr;
  }
  return nullptr;
}

std::optional<Json> read_document(const std::string& text) {
  try {
    JsonCursor cursor(text);
    Json value = read_value(cursor);
    cursor.finish();
    return value;
  } catch (const RequestError&) {
    return std::nullopt;
  }
}

/// nlohmann's verdict, empty when it stops at a number that a double cannot hold: that is not a
/// question of JSON.
std::optional<bool> judge(const std::string& text) {
  try {
    const Json document = Json::parse(text);
    return !document.is_discarded();
  } catch (const Json::parse_error&) {
    return false;
  } catch (const Json::out_of_range&) {
    return std::nullopt;
  }
}

bool skips(const std::string& text) {
  try {
    JsonCursor cursor(text);
    cursor.skip_value();
    cursor.finish();
    return true;
  } catch (const RequestError&) {
    return false;
  }
}

std::string error_of(const std::string& text) {
  try {
    JsonCursor cursor(text);
    cursor.skip_value();
    cursor.finish();
  } catch (const RequestError& error) {
    return error.what();
  }
  return "";
}

const std::string sample =
    R"({"a":[1,-2.5e3,0,"x\u00e4\ud83c\udf88\n\/"],"b":{"":null,"t":true,"f":false},"c":[],"d":[[{}]]})";

} // namespace

TEST_CASE("JsonCursor reads a document as nlohmann does", "[serve][json]") {
  CHECK(read_document(sample) == Json::parse(sample));
  CHECK(skips(sample));
  CHECK(read_document(" [ 1 , 2 ] ") == Json::parse("[1,2]"));
}

TEST_CASE("JsonCursor and nlohmann accept and refuse the same damaged documents", "[serve][json]") {
  std::mt19937 random(20240229);
  const auto below = [&](std::size_t n) { return random() % n; };
  const std::string alphabet = "{}[]\",:\\ \t\n0123456789-+.eEtrufalsn/bx\x01\x7F\xC3\xA4\xFF";
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = sample;
    for (std::size_t n = 1 + below(3); n > 0 && !text.empty(); --n) {
      const std::size_t at = below(text.size());
      switch (below(3)) {
      case 0:
        text[at] = alphabet[below(alphabet.size())];
        break;
      case 1:
        text.erase(at, 1 + below(4));
        break;
      default:
        text.insert(at, 1, alphabet[below(alphabet.size())]);
      }
    }
    const std::optional<bool> valid = judge(text);
    if (!valid) {
      continue;
    }
    accepted += *valid ? 1 : 0;
    if (skips(text) != *valid) {
      FAIL(text);
    }
    if (*valid && read_document(text) != Json::parse(text)) {
      FAIL(text);
    }
  }
  CHECK(accepted > 1000);
}

TEST_CASE("JsonCursor says what is wrong and where", "[serve][json]") {
  const auto [text, message] = GENERATE(table<std::string, std::string>({
      {"", "unexpected end of text at byte 0"},
      {"[1,", "unexpected end of text at byte 3"},
      {"[1,]", "expected a value after ',' at byte 3"},
      {"[1 2]", "expected ',' or ']' at byte 3"},
      {R"({"a" 1})", "expected ':' at byte 5"},
      {R"({a:1})", "expected a string at byte 1"},
      {"[01]", "expected ',' or ']' at byte 2"},
      {"[1.]", "expected a digit at byte 3"},
      {R"(["\q"])", "unknown escape at byte 2"},
      {R"(["\ud83c"])", "high surrogate without a low one at byte 2"},
      {R"(["\udf88"])", "low surrogate without a high one at byte 2"},
      {"[\"\xFF\"]", "text is not UTF-8 at byte 2"},
      {"[\"\x02\"]", "control character inside a string at byte 2"},
      {"1 1", "unexpected text after the value at byte 2"},
      {"+1", "expected a value at byte 0"},
      {"nil", "expected a value at byte 0"},
      {"-NaN", "expected a digit at byte 1"},
  }));
  CHECK(error_of(text) == "cannot read JSON: " + message);
}

TEST_CASE("JsonCursor takes the three non-finite words as numbers", "[serve][json]") {
  JsonCursor cursor("[NaN, Infinity, -Infinity]");
  cursor.begin_array();
  CHECK(cursor.next_element());
  CHECK(cursor.read_number() == "NaN");
  CHECK(cursor.next_element());
  CHECK(cursor.read_number() == "Infinity");
  CHECK(cursor.next_element());
  CHECK(cursor.read_number() == "-Infinity");
  CHECK_FALSE(cursor.next_element());
}

TEST_CASE("JsonCursor refuses nesting beyond its limit without recursion", "[serve][json]") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(skips(nested(max_json_depth)));
  CHECK(error_of(nested(max_json_depth + 1)) ==
        "cannot read JSON: nested deeper than 64 levels at byte 64");
  CHECK_THAT(error_of(std::string(5'000'000, '[')), ContainsSubstring("nested deeper"));
}

TEST_CASE("JsonCursor starts in the middle and counts from the beginning", "[serve][json]") {
  const std::string text = R"({"data": [1, x]})";
  JsonCursor cursor(text, 9);
  cursor.begin_array();
  CHECK(cursor.next_element());
  CHECK(cursor.read_number() == "1");
  CHECK(cursor.next_element());
  CHECK_THROWS_WITH(cursor.peek(), "cannot read JSON: expected a value at byte 13");
}

TEST_CASE("JsonCursor reads back every string that json_string writes", "[serve][json]") {
  std::mt19937 random(11);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::size_t n = random() % 20; n > 0; --n) {
      const auto code = static_cast<std::uint32_t>(random() % 0x110000);
      append_utf8(
          text, code >= 0xD800 && code <= 0xDFFF ? 0x20 : (random() % 2 == 0 ? code % 0x80 : code));
    }
    const std::string json = json_string(text);
    JsonCursor cursor(json);
    if (cursor.read_string() != text) {
      FAIL(json);
    }
  }
}
