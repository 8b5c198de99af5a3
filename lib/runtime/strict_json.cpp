#include "strict_json.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace aipack::runtime {
namespace {

constexpr std::size_t max_depth = 32;

} // namespace

nlohmann::json parse_strict(std::string_view text, std::string_view name) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> open_objects; // keys seen in each object that is open
  const auto watch = [&](int depth, Event event, nlohmann::json& value) {
    if (static_cast<std::size_t>(depth) > max_depth) {
      throw FormatError(std::string(name), std::nullopt, "JSON is nested too deeply");
    }
    if (event == Event::object_start) {
      open_objects.emplace_back();
    } else if (event == Event::object_end) {
      open_objects.pop_back();
    } else if (event == Event::key &&
               !open_objects.back().insert(value.get<std::string>()).second) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot read {}: key {} occurs twice", quoted(name),
                              quoted(value.get<std::string>())));
    }
    return true;
  };
  try {
    auto json = nlohmann::json::parse(text, watch);
    if (!json.is_object()) {
      throw FormatError(std::string(name), 0, "it is not a JSON object");
    }
    return json;
  } catch (const nlohmann::json::parse_error& error) {
    throw FormatError(std::string(name), error.byte, "it is not valid JSON");
  }
}

} // namespace aipack::runtime
