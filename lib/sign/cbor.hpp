#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::sign {

inline constexpr unsigned max_cbor_depth = 16;

/// A data item of CBOR, RFC 8949: as much of it as COSE envelopes are made of. Indefinite lengths,
/// floating-point numbers, integers beyond 63 bits and duplicate keys are refused.
struct CborItem {
  enum class Kind { integer, bytes, text, list, map, tag, simple };
  Kind kind = Kind::simple;
  std::int64_t number = 0;                            ///< of integer, tag and simple
  std::string text{};                                 ///< of bytes and text
  std::vector<CborItem> items{};                      ///< of list; the content of tag
  std::vector<std::pair<CborItem, CborItem>> pairs{}; ///< of map
  bool operator==(const CborItem&) const = default;

  /// The value of a map at an integer or text label; null when it is not there.
  [[nodiscard]] const CborItem* find(std::int64_t label) const noexcept;
  [[nodiscard]] const CborItem* find(std::string_view label) const noexcept;
};

/// Exactly one item. Throws FormatError{corrupt} with the offset.
[[nodiscard]] CborItem parse_cbor(std::string_view bytes, std::string_view name);
/// A byte string with its head.
[[nodiscard]] std::string cbor_bytes(std::string_view bytes);

} // namespace aipack::sign
