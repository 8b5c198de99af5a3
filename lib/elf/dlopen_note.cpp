#include "dlopen_note.hpp"

#include "aipack/core/error.hpp"

#include <string>

#include <nlohmann/json.hpp>

namespace aipack::elf {
namespace {

constexpr std::size_t max_alternatives = 64;

DlopenNote parse_entry(const nlohmann::json& json) {
  DlopenNote note;
  for (const auto& soname : json.at("soname")) {
    if (note.sonames.size() == max_alternatives) {
      break;
    }
    note.sonames.push_back(soname.get<std::string>());
  }
  note.feature = json.value("feature", "");
  note.description = json.value("description", "");
  note.priority = json.value("priority", "recommended");
  return note;
}

} // namespace

std::vector<DlopenNote> parse_dlopen_note(std::span<const std::byte> body, std::string_view name,
                                          std::uint64_t offset) {
  std::string_view text(reinterpret_cast<const char*>(body.data()), body.size());
  text = text.substr(0, text.find('\0'));
  std::vector<DlopenNote> notes;
  // The array has two levels: a deeper one is an attack on the parser's stack.
  const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > 4) {
      throw nlohmann::json::other_error::create(501, "nested too deeply", nullptr);
    }
    return true;
  };
  try {
    for (const auto& entry : nlohmann::json::parse(text, shallow)) {
      notes.push_back(parse_entry(entry));
    }
  } catch (const nlohmann::json::exception&) {
    throw FormatError(std::string(name), offset,
                      "the .note.dlopen is not the JSON that its specification asks for");
  }
  return notes;
}

} // namespace aipack::elf
