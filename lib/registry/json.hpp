#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace aipack::registry {

using Json = nlohmann::ordered_json; ///< members stay in the order in which they came

inline constexpr std::size_t max_answer_depth = 64; ///< of JSON that servers send

/// What a server sent: an object, at most `max_answer_depth` deep, no key twice in one object.
/// Throws FormatError{corrupt} in which `name` is what was read.
[[nodiscard]] Json parse_answer(std::string_view text, std::string_view name);
/// Empty when it is not such an object.
[[nodiscard]] std::optional<Json> try_parse_answer(std::string_view text);

/// A member that is text; empty when it is absent or something else.
[[nodiscard]] std::string text_member(const Json& object, const char* key);
/// A member, or null when `value` is no object or has no such member.
[[nodiscard]] const Json* find_member(const Json& value, const char* key);

} // namespace aipack::registry
