#include "json.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <set>
#include <string>
#include <vector>

namespace aipack::registry {

Json parse_answer(std::string_view text, std::string_view name) {
  const std::string document(name);
  std::vector<std::set<std::string>> keys; // of each open object
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) &&
        static_cast<std::size_t>(depth) >= max_answer_depth) {
      throw FormatError(document, std::nullopt, "its JSON is nested too deeply");
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
  Json root;
  try {
    root = Json::parse(text, watch);
  } catch (const Json::exception&) { // not JSON, or a number outside every range
    throw FormatError(document, std::nullopt, "it is not valid JSON");
  }
  if (!root.is_object()) {
    throw FormatError(document, std::nullopt, "its JSON is no object");
  }
  return root;
}

std::optional<Json> try_parse_answer(std::string_view text) {
  try {
    return parse_answer(text, "answer");
  } catch (const FormatError&) {
    return std::nullopt;
  }
}

const Json* find_member(const Json& value, const char* key) {
  if (!value.is_object()) {
    return nullptr;
  }
  const auto found = value.find(key);
  return found == value.end() ? nullptr : &*found;
}

std::string text_member(const Json& object, const char* key) {
  const Json* member = find_member(object, key);
  return member != nullptr && member->is_string() ? member->get<std::string>() : std::string{};
}

} // namespace aipack::registry
