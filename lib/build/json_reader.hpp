#pragma once

#include "aipack/oci/digest.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace aipack::build {

/// Reads JSON whose every surprise is a FormatError of the file `name`. Members are asked for by
/// key, those of a list by place. Refers to the document and the name, which outlive it.
class JsonReader {
public:
  using Json = nlohmann::ordered_json;

  JsonReader(const Json& json, std::string_view name) : json_(json), name_(name) {}
  /// Throws FormatError{corrupt} for what is no JSON or nested too deeply.
  [[nodiscard]] static Json parse(std::string_view text, std::string_view name);

  [[noreturn]] void fail(std::string_view cause) const;
  [[nodiscard]] bool has(const char* key) const { return json_.is_object() && json_.contains(key); }

  template <class Key>
  [[nodiscard]] JsonReader at(Key key) const {
    return {member(key), name_};
  }
  template <class Key>
  [[nodiscard]] std::string text(Key key) const {
    return at(key).as_text(shown(key));
  }
  template <class Key>
  [[nodiscard]] std::uint64_t number(Key key) const {
    return at(key).as_number(shown(key));
  }
  [[nodiscard]] std::int64_t time(const char* key) const; ///< seconds since the epoch
  [[nodiscard]] oci::Digest digest(const char* key) const;
  [[nodiscard]] std::vector<std::string> texts(const char* key) const;
  /// Empty where there is no such member.
  [[nodiscard]] std::string text_or_empty(const char* key) const {
    return has(key) ? text(key) : std::string();
  }
  [[nodiscard]] std::vector<std::string> texts_or_none(const char* key) const {
    return has(key) ? texts(key) : std::vector<std::string>();
  }
  /// False where there is no such member.
  [[nodiscard]] bool flag_or_false(const char* key) const;
  /// An object of texts; empty where there is none.
  [[nodiscard]] std::map<std::string, std::string> map_or_none(const char* key) const;
  /// The member as JSON again, on one line.
  [[nodiscard]] std::string dump(const char* key) const { return member(key).dump(); }
  /// Calls `fn(JsonReader)` for each item of a list.
  template <class Fn>
  void each(const char* key, Fn&& fn) const {
    for (const auto& item : list(key)) {
      fn(JsonReader(item, name_));
    }
  }

private:
  [[nodiscard]] const Json& member(const char* key) const;
  [[nodiscard]] const Json& member(std::size_t place) const;
  [[nodiscard]] const Json& list(const char* key) const;
  [[nodiscard]] std::string as_text(std::string_view what) const;
  [[nodiscard]] std::uint64_t as_number(std::string_view what) const;
  static std::string shown(const char* key) { return std::string("'") + key + "'"; }
  static std::string shown(std::size_t place) { return "item " + std::to_string(place); }

  const Json& json_;
  std::string_view name_;
};

} // namespace aipack::build
