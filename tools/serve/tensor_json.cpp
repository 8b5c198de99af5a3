#include "tensor_json.hpp"

#include "error.hpp"
#include "small_float.hpp"
#include "text.hpp"

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace aipack::serve {
namespace {

/// What is wrong with the current element; the reader adds its position and the input's name.
struct ElementFault {
  std::string cause;
};

[[noreturn]] void out_of_range(std::string_view text, ElementType type) {
  throw ElementFault{quote(text) + " is out of range of " + std::string(datatype_name(type))};
}

[[nodiscard]] bool is_number(JsonCursor& cursor) {
  return cursor.peek() == JsonCursor::Kind::number;
}

[[noreturn]] void wrong_kind(JsonCursor& cursor, std::string_view wanted) {
  std::string text(cursor.skip_value());
  throw ElementFault{quote(text) + " is not " + std::string(wanted)};
}

/// Decimal text to float or double, correctly rounded. from_chars reports overflow and underflow
/// alike, so that rare case is decided by the C library.
template <std::floating_point T>
[[nodiscard]] T parse_finite(std::string_view text, ElementType type) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{}) {
    return value;
  }
  const std::string copy(text);
  if constexpr (std::same_as<T, float>) {
    value = std::strtof(copy.c_str(), nullptr);
  } else {
    value = std::strtod(copy.c_str(), nullptr);
  }
  if (std::isinf(value)) {
    out_of_range(text, type);
  }
  return value;
}

template <std::floating_point T>
[[nodiscard]] T parse_float(JsonCursor& cursor, ElementType type) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  std::string word;
  const JsonCursor::Kind kind = cursor.peek();
  if (kind == JsonCursor::Kind::string) {
    word = cursor.read_string();
  } else if (kind == JsonCursor::Kind::number) {
    const std::string_view text = cursor.read_number();
    const char last = text.back();
    if (last != 'N' && last != 'y') {
      return parse_finite<T>(text, type);
    }
    word = text;
  } else {
    wrong_kind(cursor, "a number");
  }
  if (word == "NaN") {
    return std::numeric_limits<T>::quiet_NaN();
  }
  if (word == "Infinity" || word == "-Infinity") {
    return word.front() == '-' ? -infinity : infinity;
  }
  throw ElementFault{json_string(word) +
                     " is not a number, \"NaN\", \"Infinity\" or \"-Infinity\""};
}

template <std::integral T>
[[nodiscard]] T parse_integer(JsonCursor& cursor, ElementType type) {
  if (!is_number(cursor)) {
    wrong_kind(cursor, "a number");
  }
  const std::string_view text = cursor.read_number();
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size()) {
    return value;
  }
  if (error == std::errc::result_out_of_range ||
      text.find_first_of(".eE") == std::string_view::npos) {
    if (text == "-0") {
      return 0;
    }
    if (text.back() == 'N' || text.back() == 'y') {
      throw ElementFault{std::string(text) + " is not an integer"};
    }
    out_of_range(text, type);
  }
  // 3.0 and 1e3 are integers too, as long as a double holds them exactly.
  const double real = parse_finite<double>(text, type);
  if (real != std::trunc(real)) {
    throw ElementFault{quote(text) + " is not an integer"};
  }
  constexpr double exact = 9007199254740992.0; // 2^53
  if (std::fabs(real) > exact || real < static_cast<double>(std::numeric_limits<T>::lowest()) ||
      real > static_cast<double>(std::numeric_limits<T>::max())) {
    out_of_range(text, type);
  }
  return static_cast<T>(real);
}

[[nodiscard]] bool parse_boolean(JsonCursor& cursor) {
  const JsonCursor::Kind kind = cursor.peek();
  if (kind == JsonCursor::Kind::boolean) {
    return cursor.read_bool();
  }
  if (kind == JsonCursor::Kind::number) {
    const std::string_view text = cursor.read_number();
    if (text == "0" || text == "1") {
      return text == "1";
    }
    throw ElementFault{quote(text) + " is not true, false, 1 or 0"};
  }
  wrong_kind(cursor, "true or false");
}

/// Walks the array and calls `put(index)` before each element, which takes it from the cursor.
template <class Put>
class ArrayReader {
public:
  ArrayReader(JsonCursor& cursor, const Tensor& tensor, std::uint64_t count, Put put)
      : cursor_(cursor), tensor_(tensor), count_(count), put_(std::move(put)) {}

  void read() {
    if (cursor_.peek() != JsonCursor::Kind::array) {
      fail("data is not an array");
    }
    cursor_.begin_array();
    if (!cursor_.next_element()) {
      finish();
      return;
    }
    if (cursor_.peek() != JsonCursor::Kind::array) {
      read_flat();
    } else if (tensor_.shape.size() < 2) {
      fail("data is nested deeper than shape " + to_string(tensor_.shape));
    } else {
      read_nested(0);
    }
    finish();
  }

private:
  [[noreturn]] void fail(const std::string& cause) const {
    throw RequestError("cannot read input " + quote(tensor_.name) + ": " + cause);
  }

  void finish() const {
    if (index_ != count_) {
      fail("data has " + std::to_string(index_) + " elements, shape " + to_string(tensor_.shape) +
           " wants " + std::to_string(count_));
    }
  }

  void take() {
    if (index_ == count_) {
      fail("data has more than the " + std::to_string(count_) + " elements of shape " +
           to_string(tensor_.shape));
    }
    try {
      put_(static_cast<std::size_t>(index_));
    } catch (const ElementFault& fault) {
      fail("element " + std::to_string(index_) + ": " + fault.cause);
    }
    ++index_;
  }

  void read_flat() {
    do {
      take();
    } while (cursor_.next_element());
  }

  /// REQUIRES: the cursor stands before the first element of an array of dimension `level`.
  /// Recursion is bounded by max_rank.
  void read_nested(std::size_t level) {
    std::uint64_t length = 0;
    do {
      ++length;
      if (level + 1 == tensor_.shape.size()) {
        take();
        continue;
      }
      if (cursor_.peek() != JsonCursor::Kind::array) {
        fail("data mixes arrays and values");
      }
      cursor_.begin_array();
      if (cursor_.next_element()) {
        read_nested(level + 1);
      } else {
        check_length(level + 1, 0);
      }
    } while (cursor_.next_element());
    check_length(level, length);
  }

  void check_length(std::size_t level, std::uint64_t length) const {
    if (length != static_cast<std::uint64_t>(tensor_.shape[level])) {
      fail("an array of dimension " + std::to_string(level) + " has " + std::to_string(length) +
           " elements, shape " + to_string(tensor_.shape) + " wants " +
           std::to_string(tensor_.shape[level]));
    }
  }

  JsonCursor& cursor_;
  const Tensor& tensor_;
  std::uint64_t count_;
  Put put_;
  std::uint64_t index_ = 0;
};

template <class T, class Parse>
void read_elements(JsonCursor& cursor, Tensor& tensor, std::uint64_t count, Parse parse) {
  tensor.buffer =
      Buffer::allocate(static_cast<std::size_t>(byte_count(tensor.element_type, count)));
  std::byte* data = tensor.buffer.data();
  ArrayReader reader(cursor, tensor, count, [&, data](std::size_t index) {
    const T value = parse(cursor);
    std::memcpy(data + index * sizeof value, &value, sizeof value);
  });
  reader.read();
}

template <class T>
void read_integers(JsonCursor& cursor, Tensor& tensor, std::uint64_t count) {
  const ElementType type = tensor.element_type;
  read_elements<T>(cursor, tensor, count,
                   [type](JsonCursor& c) { return parse_integer<T>(c, type); });
}

/// 4-bit integers: two a byte, the first one in the low half.
void read_nibbles(JsonCursor& cursor, Tensor& tensor, std::uint64_t count) {
  tensor.buffer =
      Buffer::allocate(static_cast<std::size_t>(byte_count(tensor.element_type, count)));
  std::byte* data = tensor.buffer.data();
  std::memset(data, 0, tensor.buffer.size());
  const int low = tensor.element_type == ElementType::int4 ? -8 : 0;
  const ElementType type = tensor.element_type;
  ArrayReader reader(cursor, tensor, count, [&, data, low, type](std::size_t index) {
    const int value = parse_integer<int>(cursor, type);
    if (value < low || value > low + 15) {
      out_of_range(std::to_string(value), type);
    }
    const unsigned nibble = static_cast<unsigned>(value) & 0xFU;
    data[index / 2] |= static_cast<std::byte>(index % 2 == 0 ? nibble : nibble << 4U);
  });
  reader.read();
}

void read_small_floats(JsonCursor& cursor, Tensor& tensor, std::uint64_t count,
                       const SmallFloat& format) {
  const ElementType type = tensor.element_type;
  const auto parse = [&format, type](JsonCursor& c) {
    const double value = parse_float<double>(c, type);
    const auto bits = encode(format, value);
    if (!bits) {
      out_of_range(std::to_string(value), type);
    }
    return *bits;
  };
  if (element_bits(type) == 16) {
    read_elements<std::uint16_t>(cursor, tensor, count, parse);
  } else {
    read_elements<std::uint8_t>(cursor, tensor, count, [&parse](JsonCursor& c) {
      return static_cast<std::uint8_t>(parse(c));
    });
  }
}

void read_strings(JsonCursor& cursor, Tensor& tensor, std::uint64_t count) {
  tensor.strings.reserve(static_cast<std::size_t>(count));
  ArrayReader reader(cursor, tensor, count, [&](std::size_t) {
    if (cursor.peek() != JsonCursor::Kind::string) {
      wrong_kind(cursor, "a string");
    }
    tensor.strings.push_back(cursor.read_string());
  });
  reader.read();
}

// --- writing ---

template <class T>
[[nodiscard]] T element(const Tensor& tensor, std::size_t index) noexcept {
  T value;
  std::memcpy(&value, tensor.buffer.data() + index * sizeof value, sizeof value);
  return value;
}

template <std::floating_point T>
void append_float(std::string& out, T value) {
  if (std::isnan(value)) {
    out += "\"NaN\"";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "\"-Infinity\"" : "\"Infinity\"";
    return;
  }
  char text[40];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  const std::string_view digits(text, static_cast<std::size_t>(end - text));
  out += digits;
  if (digits.find_first_of(".e") == std::string_view::npos) {
    out += ".0";
  }
}

void append_integer(std::string& out, std::integral auto value) {
  char text[24];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  out.append(text, static_cast<std::size_t>(end - text));
}

template <class Append>
void append_all(std::string& out, std::size_t count, Append append) {
  out.push_back('[');
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) {
      out.push_back(',');
    }
    append(i);
  }
  out.push_back(']');
}

void append_strings(std::string& out, const Tensor& tensor) {
  append_all(out, tensor.strings.size(), [&](std::size_t i) {
    if (find_invalid_utf8(tensor.strings[i]) != std::string_view::npos) {
      throw RequestError(
          "cannot write output " + quote(tensor.name) + ": element " + std::to_string(i) +
          " is not UTF-8 and has no JSON form; ask for this output with \"binary_data\": true");
    }
    append_json_string(out, tensor.strings[i]);
  });
}

} // namespace

void read_json_data(JsonCursor& cursor, Tensor& tensor, std::size_t text_bytes) {
  const auto count = element_count(tensor.shape);
  if (!count || *count > text_bytes) {
    throw RequestError("cannot read input " + quote(tensor.name) +
                       ": data has fewer elements than shape " + to_string(tensor.shape) +
                       " wants");
  }
  const ElementType type = tensor.element_type;
  switch (type) {
  case ElementType::fp32:
    read_elements<float>(cursor, tensor, *count,
                         [type](JsonCursor& c) { return parse_float<float>(c, type); });
    return;
  case ElementType::fp64:
    read_elements<double>(cursor, tensor, *count,
                          [type](JsonCursor& c) { return parse_float<double>(c, type); });
    return;
  case ElementType::uint8:
    read_integers<std::uint8_t>(cursor, tensor, *count);
    return;
  case ElementType::int8:
    read_integers<std::int8_t>(cursor, tensor, *count);
    return;
  case ElementType::uint16:
    read_integers<std::uint16_t>(cursor, tensor, *count);
    return;
  case ElementType::int16:
    read_integers<std::int16_t>(cursor, tensor, *count);
    return;
  case ElementType::uint32:
    read_integers<std::uint32_t>(cursor, tensor, *count);
    return;
  case ElementType::int32:
    read_integers<std::int32_t>(cursor, tensor, *count);
    return;
  case ElementType::uint64:
    read_integers<std::uint64_t>(cursor, tensor, *count);
    return;
  case ElementType::int64:
    read_integers<std::int64_t>(cursor, tensor, *count);
    return;
  case ElementType::boolean:
    read_elements<std::uint8_t>(cursor, tensor, *count, [](JsonCursor& c) {
      return static_cast<std::uint8_t>(parse_boolean(c) ? 1 : 0);
    });
    return;
  case ElementType::bytes:
    read_strings(cursor, tensor, *count);
    return;
  case ElementType::uint4:
  case ElementType::int4:
    read_nibbles(cursor, tensor, *count);
    return;
  case ElementType::fp16:
  case ElementType::bf16:
  case ElementType::fp8_e4m3fn:
  case ElementType::fp8_e4m3fnuz:
  case ElementType::fp8_e5m2:
  case ElementType::fp8_e5m2fnuz:
    read_small_floats(cursor, tensor, *count, *small_float_format(type));
    return;
  case ElementType::undefined:
  case ElementType::complex64:
  case ElementType::complex128:
    throw RequestError("cannot read input " + quote(tensor.name) +
                       ": its element type has no JSON form");
  }
}

void append_json_data(std::string& out, const Tensor& tensor) {
  const auto count = static_cast<std::size_t>(element_count(tensor.shape).value_or(0));
  const auto integers = [&]<class T>(T) {
    append_all(out, count, [&](std::size_t i) { append_integer(out, element<T>(tensor, i)); });
  };
  switch (tensor.element_type) {
  case ElementType::fp32:
    append_all(out, count, [&](std::size_t i) { append_float(out, element<float>(tensor, i)); });
    return;
  case ElementType::fp64:
    append_all(out, count, [&](std::size_t i) { append_float(out, element<double>(tensor, i)); });
    return;
  case ElementType::uint8:
    return integers(std::uint8_t{});
  case ElementType::int8:
    return integers(std::int8_t{});
  case ElementType::uint16:
    return integers(std::uint16_t{});
  case ElementType::int16:
    return integers(std::int16_t{});
  case ElementType::uint32:
    return integers(std::uint32_t{});
  case ElementType::int32:
    return integers(std::int32_t{});
  case ElementType::uint64:
    return integers(std::uint64_t{});
  case ElementType::int64:
    return integers(std::int64_t{});
  case ElementType::boolean:
    append_all(out, count, [&](std::size_t i) {
      out += element<std::uint8_t>(tensor, i) != 0 ? "true" : "false";
    });
    return;
  case ElementType::bytes:
    append_strings(out, tensor);
    return;
  case ElementType::uint4:
  case ElementType::int4:
    append_all(out, count, [&](std::size_t i) {
      const auto byte = static_cast<unsigned>(tensor.buffer.data()[i / 2]);
      int value = static_cast<int>(i % 2 == 0 ? byte & 0xFU : byte >> 4U);
      if (tensor.element_type == ElementType::int4 && value > 7) {
        value -= 16;
      }
      append_integer(out, value);
    });
    return;
  case ElementType::fp16:
  case ElementType::bf16:
  case ElementType::fp8_e4m3fn:
  case ElementType::fp8_e4m3fnuz:
  case ElementType::fp8_e5m2:
  case ElementType::fp8_e5m2fnuz: {
    const SmallFloat& format = *small_float_format(tensor.element_type);
    const bool wide = element_bits(tensor.element_type) == 16;
    append_all(out, count, [&](std::size_t i) {
      const std::uint16_t bits = wide ? element<std::uint16_t>(tensor, i)
                                      : std::uint16_t{element<std::uint8_t>(tensor, i)};
      append_float(out, decode(format, bits));
    });
    return;
  }
  case ElementType::undefined:
  case ElementType::complex64:
  case ElementType::complex128:
    throw RequestError("cannot write output " + quote(tensor.name) +
                       ": its element type has no JSON form");
  }
}

} // namespace aipack::serve
