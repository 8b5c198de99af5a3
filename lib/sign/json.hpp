#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

/// Foreign JSON under the house rules.
namespace aipack::sign {

inline constexpr std::size_t max_json_depth = 64;

/// At most `max_bytes`, at most `max_json_depth` deep, no duplicate key, an object at the root.
/// Throws FormatError{corrupt} that calls the document `name`.
[[nodiscard]] nlohmann::json parse_json(std::string_view bytes, std::string_view name,
                                        std::uint64_t max_bytes);

/// A member of a foreign document, with the path that errors name. `null` counts as absent:
/// protobuf's JSON mapping says so, and Go writes empty lists that way. Refers to the document.
class JsonField {
public:
  JsonField(const nlohmann::json& value, std::string_view document, std::string path = {})
      : value_(value), document_(document), path_(std::move(path)) {}

  [[nodiscard]] std::optional<JsonField> find(const char* key) const;
  [[nodiscard]] JsonField get(const char* key) const;
  /// Throws when this object has a member that is not in `keys`: protobuf's JSON mapping refuses
  /// unknown fields, and what a reader does not know it must not pretend to have checked.
  void only(std::initializer_list<std::string_view> keys) const;
  /// The members that are strings; others are passed over. Throws when this is no object.
  [[nodiscard]] std::map<std::string, std::string> texts_among() const;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string text_or_empty(const char* key) const;
  [[nodiscard]] std::string bytes() const; ///< of a base64 text, padded or not
  /// From 0 to 2^63-1; a number, or its decimal digits as protobuf writes 64-bit integers.
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::map<std::string, std::string> texts() const; ///< an object of strings
  [[nodiscard]] std::vector<JsonField> elements() const;          ///< of a list; null is refused
  [[nodiscard]] const nlohmann::json& json() const noexcept { return value_; }
  [[noreturn]] void refuse(std::string_view cause) const;

private:
  [[nodiscard]] std::string child(std::string_view key) const;
  std::reference_wrapper<const nlohmann::json> value_;
  std::string_view document_;
  std::string path_;
};

/// Compact JSON; throws Error{invalid_input} when a text in it is not UTF-8.
template <class Json>
[[nodiscard]] std::string dump(const Json& json, std::string_view what);

[[noreturn]] void refuse_text(std::string_view what);

template <class Json>
std::string dump(const Json& json, std::string_view what) {
  try {
    return json.dump();
  } catch (const nlohmann::json::type_error&) { // the one thing that dump() refuses
    refuse_text(what);
  }
}

} // namespace aipack::sign
