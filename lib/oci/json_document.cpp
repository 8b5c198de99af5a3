#include "json_document.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include <set>
#include <vector>

namespace aipack::oci {

nlohmann::json parse_object(std::string_view bytes, std::string_view name,
                            std::uint64_t max_bytes) {
  const std::string document(name);
  if (bytes.size() > max_bytes) {
    throw FormatError(document, std::nullopt,
                      "it is larger than " + std::to_string(max_bytes) + " bytes");
  }
  std::vector<std::set<std::string>> keys; // of each open object
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (static_cast<std::size_t>(depth) >= max_json_depth) {
        throw FormatError(document, std::nullopt,
                          "its JSON is nested more than " + std::to_string(max_json_depth) +
                              " levels deep");
      }
    }
    if (event == Event::object_start) {
      keys.emplace_back();
    } else if (event == Event::object_end) {
      keys.pop_back();
    } else if (event == Event::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) {
        throw FormatError(document, std::nullopt,
                          "its key " + aipack::quoted(key) + " stands twice");
      }
    }
    return true;
  };
  nlohmann::json root;
  try {
    root = nlohmann::json::parse(bytes, watch);
  } catch (const nlohmann::json::parse_error& error) {
    throw FormatError(document, error.byte, "it is not valid JSON");
  } catch (const nlohmann::json::exception&) { // a number outside every range
    throw FormatError(document, std::nullopt, "it is not valid JSON");
  }
  if (!root.is_object()) {
    throw FormatError(document, std::nullopt, "its JSON is no object");
  }
  return root;
}

std::string JsonReader::child(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

void JsonReader::refuse(std::string_view cause, ErrorCode code) const {
  throw FormatError(std::string(document_), std::nullopt,
                    "its field " + aipack::quoted(path_) + " " + std::string(cause), code);
}

std::optional<JsonReader> JsonReader::find(const char* key) const {
  check(value_.is_object(), "must be an object");
  const auto found = value_.find(key);
  if (found == value_.end() || found->is_null()) {
    return std::nullopt;
  }
  return JsonReader(*found, document_, child(key));
}

JsonReader JsonReader::get(const char* key) const {
  if (auto field = find(key)) {
    return *std::move(field);
  }
  throw FormatError(std::string(document_), std::nullopt,
                    "its field " + aipack::quoted(child(key)) + " is missing");
}

std::string JsonReader::text() const {
  check(value_.is_string(), "must be a string");
  return value_.get<std::string>();
}

std::string JsonReader::text_or_empty(const char* key) const {
  const auto field = find(key);
  return field ? field->text() : std::string{};
}

bool JsonReader::flag() const {
  check(value_.is_boolean(), "must be true or false");
  return value_.get<bool>();
}

std::uint64_t JsonReader::size() const {
  check(value_.is_number_unsigned() && value_.get<std::uint64_t>() <= INT64_MAX,
        "must be a whole number from 0 to 2^63-1");
  return value_.get<std::uint64_t>();
}

} // namespace aipack::oci
