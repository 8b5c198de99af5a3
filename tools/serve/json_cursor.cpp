#include "json_cursor.hpp"

#include "error.hpp"
#include "text.hpp"

namespace aipack::serve {
namespace {

[[nodiscard]] bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

} // namespace

void JsonCursor::fail_at(std::string_view cause, std::size_t at) const {
  std::string message = "cannot read JSON: ";
  message += cause;
  message += " at byte " + std::to_string(at);
  throw RequestError(message);
}

char JsonCursor::next_char() {
  if (at_end()) {
    fail("unexpected end of text");
  }
  return text_[at_];
}

void JsonCursor::skip_space() noexcept {
  while (!at_end()) {
    const char c = text_[at_];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
      return;
    }
    ++at_;
  }
}

JsonCursor::Kind JsonCursor::peek() {
  skip_space();
  switch (const char c = next_char()) {
  case '{':
    return Kind::object;
  case '[':
    return Kind::array;
  case '"':
    return Kind::string;
  case 't':
  case 'f':
    return Kind::boolean;
  case 'n':
    return Kind::null;
  default:
    if (is_digit(c) || c == '-' || c == 'N' || c == 'I') {
      return Kind::number;
    }
    fail("expected a value");
  }
}

void JsonCursor::open(char bracket) {
  skip_space();
  if (next_char() != bracket) {
    fail(bracket == '{' ? "expected an object" : "expected an array");
  }
  if (depth_ == max_json_depth) {
    fail("nested deeper than " + std::to_string(max_json_depth) + " levels");
  }
  started_[depth_++] = false;
  ++at_;
}

bool JsonCursor::next_in(char closing) {
  skip_space();
  bool& started = started_[depth_ - 1];
  const char c = next_char();
  if (c == closing) {
    ++at_;
    --depth_;
    return false;
  }
  if (started) {
    if (c != ',') {
      fail(closing == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    ++at_;
    skip_space();
    if (next_char() == closing) {
      fail("expected a value after ','");
    }
  }
  started = true;
  return true;
}

void JsonCursor::begin_object() {
  open('{');
}
void JsonCursor::begin_array() {
  open('[');
}

bool JsonCursor::next_member(std::string& key) {
  if (!next_in('}')) {
    return false;
  }
  key = read_string();
  skip_space();
  if (next_char() != ':') {
    fail("expected ':'");
  }
  ++at_;
  return true;
}

bool JsonCursor::next_element() {
  return next_in(']');
}

std::uint32_t JsonCursor::read_hex4() {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = next_char();
    std::uint32_t digit = 0;
    if (is_digit(c)) {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A') + 10;
    } else {
      fail("expected four hexadecimal digits");
    }
    value = value * 16 + digit;
    ++at_;
  }
  return value;
}

void JsonCursor::read_escape(std::string* out) {
  const std::size_t start = at_ - 1; // the backslash
  const char c = next_char();
  ++at_;
  char plain = 0;
  switch (c) {
  case '"':
  case '\\':
  case '/':
    plain = c;
    break;
  case 'b':
    plain = '\b';
    break;
  case 'f':
    plain = '\f';
    break;
  case 'n':
    plain = '\n';
    break;
  case 'r':
    plain = '\r';
    break;
  case 't':
    plain = '\t';
    break;
  case 'u': {
    std::uint32_t code_point = read_hex4();
    if (code_point >= 0xDC00 && code_point <= 0xDFFF) {
      fail_at("low surrogate without a high one", start);
    }
    if (code_point >= 0xD800 && code_point <= 0xDBFF) {
      if (text_.substr(at_, 2) != "\\u") {
        fail_at("high surrogate without a low one", start);
      }
      at_ += 2;
      const std::uint32_t low = read_hex4();
      if (low < 0xDC00 || low > 0xDFFF) {
        fail_at("high surrogate without a low one", start);
      }
      code_point = 0x10000 + ((code_point - 0xD800) << 10U) + (low - 0xDC00);
    }
    if (out != nullptr) {
      append_utf8(*out, code_point);
    }
    return;
  }
  default:
    fail_at("unknown escape", start);
  }
  if (out != nullptr) {
    out->push_back(plain);
  }
}

void JsonCursor::scan_string(std::string* out) {
  skip_space();
  if (next_char() != '"') {
    fail("expected a string");
  }
  ++at_;
  for (;;) {
    const std::size_t run = at_;
    while (!at_end()) {
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\') {
        break;
      }
      ++at_;
    }
    if (out != nullptr) {
      out->append(text_.substr(run, at_ - run));
    }
    const char c = next_char();
    if (c == '"') {
      ++at_;
      return;
    }
    if (c == '\\') {
      ++at_;
      read_escape(out);
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x20) {
      fail("control character inside a string");
    }
    const std::size_t length = utf8_sequence_length(text_.substr(at_));
    if (length == 0) {
      fail("text is not UTF-8");
    }
    if (out != nullptr) {
      out->append(text_.substr(at_, length));
    }
    at_ += length;
  }
}

std::string JsonCursor::read_string() {
  std::string out;
  scan_string(&out);
  return out;
}

std::string_view JsonCursor::read_number() {
  skip_space();
  const std::size_t start = at_;
  const auto digits = [&] {
    if (!is_digit(next_char())) {
      fail("expected a digit");
    }
    while (!at_end() && is_digit(text_[at_])) {
      ++at_;
    }
  };
  if (next_char() == '-') {
    ++at_;
  }
  const char first = next_char();
  if (first == 'I') {
    expect_word("Infinity");
  } else if (first == 'N' && at_ == start) {
    expect_word("NaN");
  } else {
    if (first == '0') {
      ++at_;
    } else {
      digits();
    }
    if (!at_end() && text_[at_] == '.') {
      ++at_;
      digits();
    }
    if (!at_end() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (next_char() == '+' || text_[at_] == '-') {
        ++at_;
      }
      digits();
    }
  }
  return text_.substr(start, at_ - start);
}

void JsonCursor::expect_word(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) {
    fail("expected a value");
  }
  at_ += word.size();
}

bool JsonCursor::read_bool() {
  skip_space();
  if (next_char() == 't') {
    expect_word("true");
    return true;
  }
  expect_word("false");
  return false;
}

void JsonCursor::read_null() {
  skip_space();
  expect_word("null");
}

std::string_view JsonCursor::skip_value() {
  skip_space();
  const std::size_t start = at_;
  const std::size_t base = depth_;
  // The brackets that are open inside this value, innermost last; the depth is bounded by open().
  std::array<char, max_json_depth> closing{};
  const auto take = [&] {
    switch (peek()) {
    case Kind::object:
      begin_object();
      closing[depth_ - 1] = '}';
      return;
    case Kind::array:
      begin_array();
      closing[depth_ - 1] = ']';
      return;
    case Kind::string:
      scan_string(nullptr);
      return;
    case Kind::number:
      static_cast<void>(read_number());
      return;
    case Kind::boolean:
      static_cast<void>(read_bool());
      return;
    case Kind::null:
      read_null();
      return;
    }
  };
  take();
  while (depth_ > base) {
    if (!next_in(closing[depth_ - 1])) {
      continue;
    }
    if (closing[depth_ - 1] == '}') {
      scan_string(nullptr);
      skip_space();
      if (next_char() != ':') {
        fail("expected ':'");
      }
      ++at_;
    }
    take();
  }
  return text_.substr(start, at_ - start);
}

void JsonCursor::finish() {
  skip_space();
  if (!at_end()) {
    fail("unexpected text after the value");
  }
}

} // namespace aipack::serve
