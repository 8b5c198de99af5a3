#pragma once

#include "aipack/core/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace aipack::oci {

/// Parses foreign JSON under the house rules: at most `max_bytes`, at most `max_json_depth` deep,
/// no duplicate key, an object at the root. Throws FormatError{corrupt}.
[[nodiscard]] nlohmann::json parse_object(std::string_view bytes, std::string_view name,
                                          std::uint64_t max_bytes);

/// A field of a foreign object, with the path that errors name. `null` counts as absent, because Go
/// writes empty lists that way.
class JsonReader {
public:
  JsonReader(const nlohmann::json& value, std::string_view document, std::string path)
      : value_(value), document_(document), path_(std::move(path)) {}

  /// The member, or empty when it is absent or null. Throws FormatError when this is no object.
  [[nodiscard]] std::optional<JsonReader> find(const char* key) const;
  [[nodiscard]] JsonReader get(const char* key) const; ///< throws FormatError when it is absent

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::string text_or_empty(const char* key) const;
  [[nodiscard]] bool flag() const;
  /// An integer from 0 to 2^63-1.
  [[nodiscard]] std::uint64_t size() const;
  /// Calls `fn(JsonReader)` for each element of this array.
  template <class Fn>
  void for_each_element(Fn fn) const {
    check(value_.is_array(), "must be a list");
    std::size_t at = 0;
    for (const nlohmann::json& element : value_) {
      fn(JsonReader(element, document_, path_ + "[" + std::to_string(at++) + "]"));
    }
  }
  /// Calls `fn(key, JsonReader)` for each member of this object, in byte order of the keys.
  template <class Fn>
  void for_each_member(Fn fn) const {
    check(value_.is_object(), "must be an object");
    for (const auto& [key, member] : value_.items()) {
      fn(key, JsonReader(member, document_, child(key)));
    }
  }
  [[noreturn]] void refuse(std::string_view cause, ErrorCode code = ErrorCode::corrupt) const;

private:
  void check(bool holds, std::string_view cause) const {
    if (!holds) {
      refuse(cause);
    }
  }
  [[nodiscard]] std::string child(std::string_view key) const;

  const nlohmann::json& value_;
  std::string_view document_;
  std::string path_;
};

} // namespace aipack::oci
