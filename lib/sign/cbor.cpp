#include "cbor.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>

namespace aipack::sign {
namespace {

// RFC 8949, section 3: the upper three bits of the first byte say what follows.
enum Major : unsigned { positive, negative, byte_string, text_string, array, map, tag, simple };

class Reader {
public:
  Reader(std::string_view bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  CborItem item(unsigned depth) {
    if (depth > max_cbor_depth) {
      refuse("its CBOR is nested too deep");
    }
    const unsigned first = byte();
    const unsigned major = first >> 5U;
    const std::uint64_t argument = read_argument(first & 31U, major);
    using Kind = CborItem::Kind;
    switch (major) {
    case positive:
      return {.kind = Kind::integer, .number = static_cast<std::int64_t>(argument)};
    case negative:
      return {.kind = Kind::integer, .number = -1 - static_cast<std::int64_t>(argument)};
    case byte_string:
      return {.kind = Kind::bytes, .text = text(argument)};
    case text_string: {
      CborItem item{.kind = Kind::text, .text = text(argument)};
      if (!is_utf8(item.text)) {
        refuse("a text in its CBOR is not UTF-8");
      }
      return item;
    }
    case array:
      return list(argument, depth);
    case map:
      return pairs(argument, depth);
    case tag: {
      CborItem item{.kind = Kind::tag, .number = static_cast<std::int64_t>(argument)};
      item.items.push_back(this->item(depth + 1));
      return item;
    }
    default:
      if ((first & 31U) > 24) {
        refuse("its CBOR has a floating-point number");
      }
      return {.kind = Kind::simple, .number = static_cast<std::int64_t>(argument)};
    }
  }

  void expect_end() const {
    if (at_ != bytes_.size()) {
      refuse("something stands behind its CBOR");
    }
  }

private:
  [[noreturn]] void refuse(std::string_view cause) const {
    throw FormatError(std::string(name_), at_, cause);
  }

  unsigned byte() {
    if (at_ == bytes_.size()) {
      refuse("its CBOR is cut off");
    }
    return static_cast<unsigned char>(bytes_[at_++]);
  }

  std::uint64_t read_argument(unsigned additional, unsigned major) {
    if (additional < 24) {
      return additional;
    }
    if (additional > 27) {
      refuse("its CBOR has an indefinite or reserved length");
    }
    std::uint64_t value = 0;
    for (unsigned left = 1U << (additional - 24); left > 0; --left) {
      value = value << 8U | byte();
    }
    if (value > INT64_MAX && major != simple) {
      refuse("a number in its CBOR is too large");
    }
    return value;
  }

  std::string text(std::uint64_t length) {
    check_rest(length);
    const std::string_view found = bytes_.substr(at_, static_cast<std::size_t>(length));
    at_ += found.size();
    return std::string(found);
  }

  /// Every element is at least a byte long: a count beyond the rest is a lie.
  void check_rest(std::uint64_t count) const {
    if (count > bytes_.size() - at_) {
      refuse("its CBOR is cut off");
    }
  }

  CborItem list(std::uint64_t count, unsigned depth) {
    check_rest(count);
    CborItem list{.kind = CborItem::Kind::list};
    for (std::uint64_t left = count; left > 0; --left) {
      list.items.push_back(item(depth + 1));
    }
    return list;
  }

  CborItem pairs(std::uint64_t count, unsigned depth) {
    constexpr std::uint64_t max_pairs = 64; // no COSE header has more
    if (count > max_pairs) {
      refuse("a map in its CBOR has too many entries");
    }
    CborItem map{.kind = CborItem::Kind::map};
    for (std::uint64_t left = count; left > 0; --left) {
      CborItem key = item(depth + 1);
      const bool is_known = std::any_of(map.pairs.begin(), map.pairs.end(),
                                        [&](const auto& pair) { return pair.first == key; });
      if (is_known) {
        refuse("a key of a map in its CBOR stands twice");
      }
      CborItem value = item(depth + 1);
      map.pairs.emplace_back(std::move(key), std::move(value));
    }
    return map;
  }

  std::string_view bytes_;
  std::string_view name_;
  std::size_t at_ = 0;
};

} // namespace

const CborItem* CborItem::find(std::int64_t label) const noexcept {
  for (const auto& [key, value] : pairs) {
    if (key.kind == Kind::integer && key.number == label) {
      return &value;
    }
  }
  return nullptr;
}

const CborItem* CborItem::find(std::string_view label) const noexcept {
  for (const auto& [key, value] : pairs) {
    if (key.kind == Kind::text && key.text == label) {
      return &value;
    }
  }
  return nullptr;
}

CborItem parse_cbor(std::string_view bytes, std::string_view name) {
  Reader reader(bytes, name);
  CborItem item = reader.item(0);
  reader.expect_end();
  return item;
}

std::string cbor_bytes(std::string_view bytes) {
  // Head with the shortest length, as deterministic encoding demands (RFC 8949, section 4.2.1).
  std::string encoded;
  const std::uint64_t length = bytes.size();
  const auto head = [&](unsigned additional, int length_bytes) {
    encoded.push_back(static_cast<char>(byte_string << 5U | additional));
    for (int left = length_bytes - 1; left >= 0; --left) {
      encoded.push_back(static_cast<char>(length >> (8 * left) & 0xff));
    }
  };
  if (length < 24) {
    head(static_cast<unsigned>(length), 0);
  } else if (length <= UINT8_MAX) {
    head(24, 1);
  } else if (length <= UINT16_MAX) {
    head(25, 2);
  } else {
    head(26, 4); // envelopes are far smaller than 4 GiB
  }
  return encoded.append(bytes);
}

} // namespace aipack::sign
