#include "json.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "encoding.hpp"

#include <algorithm>
#include <set>

namespace aipack::sign {

nlohmann::json parse_json(std::string_view bytes, std::string_view name, std::uint64_t max_bytes) {
  const std::string document(name);
  if (bytes.size() > max_bytes) {
    throw FormatError(document, std::nullopt,
                      "it is larger than " + std::to_string(max_bytes) + " bytes");
  }
  std::vector<std::set<std::string>> keys; // of each open object
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) &&
        static_cast<std::size_t>(depth) >= max_json_depth) {
      throw FormatError(document, std::nullopt,
                        "its JSON is nested more than " + std::to_string(max_json_depth) +
                            " levels deep");
    }
    if (event == Event::object_start) {
      keys.emplace_back();
    } else if (event == Event::object_end) {
      keys.pop_back();
    } else if (event == Event::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) {
        throw FormatError(document, std::nullopt, "its key " + quoted(key) + " stands twice");
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

std::string JsonField::child(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

void JsonField::refuse(std::string_view cause) const {
  throw FormatError(std::string(document_), std::nullopt,
                    "its field " + quoted(path_) + " " + std::string(cause));
}

std::optional<JsonField> JsonField::find(const char* key) const {
  if (!json().is_object()) {
    refuse("must be an object");
  }
  const auto found = json().find(key);
  if (found == json().end() || found->is_null()) {
    return std::nullopt;
  }
  return JsonField(*found, document_, child(key));
}

JsonField JsonField::get(const char* key) const {
  if (auto field = find(key)) {
    return *std::move(field);
  }
  throw FormatError(std::string(document_), std::nullopt,
                    "its field " + quoted(child(key)) + " is missing");
}

void JsonField::only(std::initializer_list<std::string_view> keys) const {
  if (!json().is_object()) {
    refuse("must be an object");
  }
  for (const auto& [key, value] : json().items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      throw FormatError(std::string(document_), std::nullopt,
                        "its field " + quoted(child(key)) + " is unknown");
    }
  }
}

std::map<std::string, std::string> JsonField::texts_among() const {
  if (!json().is_object()) {
    refuse("must be an object");
  }
  std::map<std::string, std::string> texts;
  for (const auto& [key, value] : json().items()) {
    if (value.is_string()) {
      texts[key] = value.get<std::string>();
    }
  }
  return texts;
}

std::string JsonField::text() const {
  if (!json().is_string()) {
    refuse("must be a string");
  }
  return json().get<std::string>();
}

std::string JsonField::text_or_empty(const char* key) const {
  const auto field = find(key);
  return field ? field->text() : std::string{};
}

std::string JsonField::bytes() const {
  if (auto bytes = try_base64(text())) {
    return *std::move(bytes);
  }
  refuse("must be base64");
}

std::uint64_t JsonField::count() const {
  std::optional<std::uint64_t> number;
  if (json().is_string()) {
    number = parse_decimal(json().get_ref<const std::string&>());
  } else if (json().is_number_unsigned()) {
    number = json().get<std::uint64_t>();
  }
  if (!number || *number > INT64_MAX) {
    refuse("must be a whole number from 0 to 2^63-1");
  }
  return *number;
}

std::map<std::string, std::string> JsonField::texts() const {
  if (!json().is_object()) {
    refuse("must be an object");
  }
  std::map<std::string, std::string> texts;
  for (const auto& [key, value] : json().items()) {
    texts[key] = JsonField(value, document_, child(key)).text();
  }
  return texts;
}

std::vector<JsonField> JsonField::elements() const {
  if (!json().is_array()) {
    refuse("must be a list");
  }
  std::vector<JsonField> elements;
  for (const nlohmann::json& element : json()) {
    JsonField field(element, document_, path_ + "[" + std::to_string(elements.size()) + "]");
    if (element.is_null()) {
      field.refuse("must not be null");
    }
    elements.push_back(std::move(field));
  }
  return elements;
}

void refuse_text(std::string_view what) {
  throw Error(ErrorCode::invalid_input,
              "cannot write " + std::string(what) + ": a text in it is not UTF-8");
}

} // namespace aipack::sign
