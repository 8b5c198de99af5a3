#include "json_reader.hpp"

#include "aipack/core/error.hpp"

#include <limits>

#include <fmt/format.h>

namespace aipack::build {

namespace {

constexpr int max_depth = 16;

} // namespace

JsonReader::Json JsonReader::parse(std::string_view text, std::string_view name) {
  try {
    return Json::parse(text, [&](int depth, Json::parse_event_t, Json&) {
      if (depth > max_depth) {
        throw FormatError(std::string(name), std::nullopt, "nested too deeply");
      }
      return true;
    });
  } catch (const Json::parse_error& error) {
    throw FormatError(std::string(name), error.byte, "not valid JSON");
  }
}

void JsonReader::fail(std::string_view cause) const {
  throw FormatError(std::string(name_), std::nullopt, cause);
}

const JsonReader::Json& JsonReader::member(const char* key) const {
  if (!has(key)) {
    fail(fmt::format("'{}' is missing", key));
  }
  return json_.at(key);
}

const JsonReader::Json& JsonReader::member(std::size_t place) const {
  if (!json_.is_array() || place >= json_.size()) {
    fail(fmt::format("{} is missing", shown(place)));
  }
  return json_.at(place);
}

const JsonReader::Json& JsonReader::list(const char* key) const {
  const auto& value = member(key);
  if (!value.is_array()) {
    fail(fmt::format("'{}' is not a list", key));
  }
  return value;
}

std::string JsonReader::as_text(std::string_view what) const {
  if (!json_.is_string()) {
    fail(fmt::format("{} is not a string", what));
  }
  return json_.get<std::string>();
}

std::uint64_t JsonReader::as_number(std::string_view what) const {
  if (!json_.is_number_unsigned()) {
    fail(fmt::format("{} is not a whole number", what));
  }
  return json_.get<std::uint64_t>();
}

std::int64_t JsonReader::time(const char* key) const {
  const auto seconds = number(key);
  if (seconds > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    fail(fmt::format("'{}' is not a time", key));
  }
  return static_cast<std::int64_t>(seconds);
}

oci::Digest JsonReader::digest(const char* key) const {
  const auto value = oci::Digest::try_parse(text(key));
  if (!value) {
    fail(fmt::format("'{}' is not a sha256 digest", key));
  }
  return *value;
}

std::vector<std::string> JsonReader::texts(const char* key) const {
  std::vector<std::string> result;
  each(key, [&](const JsonReader& item) {
    result.push_back(item.as_text(fmt::format("an item of '{}'", key)));
  });
  return result;
}

bool JsonReader::flag_or_false(const char* key) const {
  if (!has(key)) {
    return false;
  }
  const auto& value = member(key);
  if (!value.is_boolean()) {
    fail(fmt::format("'{}' is neither true nor false", key));
  }
  return value.get<bool>();
}

std::map<std::string, std::string> JsonReader::map_or_none(const char* key) const {
  std::map<std::string, std::string> result;
  if (!has(key)) {
    return result;
  }
  const auto& object = member(key);
  if (!object.is_object()) {
    fail(fmt::format("'{}' is no object", key));
  }
  for (const auto& [name, value] : object.items()) {
    result[name] = JsonReader(value, name_).as_text(fmt::format("'{}' of '{}'", name, key));
  }
  return result;
}

} // namespace aipack::build
