#include "upload_journal.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <system_error>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::registry {
namespace {

using Json = nlohmann::json;

constexpr std::string_view magic = "aipack-upload 1 ";
constexpr std::uint64_t mark_offset = 2 * UploadJournal::slot_bytes;
constexpr std::size_t mark_digits = 20;

std::uint64_t number(const Json& object, const char* key) {
  return object.at(key).get_ref<const Json::number_unsigned_t&>();
}

/// What goes into a request line must not end it.
bool is_plain(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

/// Throws what the JSON library throws for members that are missing or of another type.
std::optional<UploadRecord> record_of(const Json& json) {
  const auto way = parse_way(json.at("way").get_ref<const std::string&>());
  if (!way) {
    return std::nullopt;
  }
  UploadRecord record{.key = {.origin = json.at("origin").get<std::string>(),
                              .repository = json.at("repository").get<std::string>(),
                              .content = json.at("content").get<std::string>(),
                              .size_bytes = number(json, "size")},
                      .location = json.at("location").get<std::string>(),
                      .way = *way,
                      .chunk_bytes = number(json, "chunk"),
                      .min_chunk_bytes = number(json, "minimum"),
                      .confirmed_bytes = number(json, "confirmed"),
                      .piece_end = number(json, "end"),
                      .doubtful = json.at("doubtful").get<bool>()};
  const bool good = record.confirmed_bytes <= record.piece_end &&
                    record.piece_end <= record.key.size_bytes && record.chunk_bytes > 0 &&
                    record.chunk_bytes <= max_chunk_bytes &&
                    record.min_chunk_bytes <= record.chunk_bytes && !record.location.empty() &&
                    record.location.size() <= max_location_bytes && is_plain(record.location);
  return good ? std::optional(std::move(record)) : std::nullopt;
}

struct Slot {
  UploadRecord record;
  std::uint64_t sequence;
};

std::optional<Slot> parse_slot(std::string_view slot) {
  const std::size_t line_end = slot.find('\n');
  if (!slot.starts_with(magic) || line_end == std::string_view::npos) {
    return std::nullopt;
  }
  const auto fields = split(slot.substr(magic.size(), line_end - magic.size()), ' ');
  if (fields.size() != 3) {
    return std::nullopt;
  }
  const auto sequence = parse_decimal(fields[0]);
  const auto length = parse_decimal(fields[1]);
  const auto digest = oci::Digest::try_from_hex(fields[2]);
  const std::string_view rest = slot.substr(line_end + 1);
  if (!sequence || !length || !digest || *length > rest.size() ||
      oci::Digest::of(rest.substr(0, static_cast<std::size_t>(*length))) != *digest) {
    return std::nullopt;
  }
  try {
    auto record = record_of(Json::parse(rest.substr(0, static_cast<std::size_t>(*length))));
    return record ? std::optional(Slot{std::move(*record), *sequence}) : std::nullopt;
  } catch (const std::exception&) {
    return std::nullopt; // somebody's text with a good digest
  }
}

std::string_view slot_at(std::string_view bytes, std::size_t index) noexcept {
  const std::size_t begin = std::min(bytes.size(), index * UploadJournal::slot_bytes);
  return bytes.substr(begin, UploadJournal::slot_bytes);
}

} // namespace

std::string UploadKey::file_name() const {
  // Line breaks keep the parts apart: none of them can hold one.
  return oci::Digest::of(fmt::format("{}\n{}\n{}\n{}", origin, repository, content, size_bytes))
             .hex() +
         ".upload";
}

std::string recipe_key(const blob::Recipe& recipe) {
  std::string text;
  for (const blob::Recipe::Part& part : recipe.parts()) {
    if (const auto* literal = std::get_if<std::string>(&part)) {
      text += fmt::format("literal {} {}\n", literal->size(), oci::Digest::of(*literal).hex());
    } else {
      const auto& extent = std::get<fs::FileExtent>(part);
      const io::FileIdentity& file = extent.identity();
      text += fmt::format("extent {} {} of {} {} {} {} {}\n", extent.offset(), extent.size(),
                          file.device, file.inode, file.size_bytes, file.mtime_ns, file.ctime_ns);
    }
  }
  return "recipe:" + oci::Digest::of(text).hex();
}

std::string format_upload_slot(const UploadRecord& record, std::uint64_t sequence) {
  const std::string text =
      Json{{"origin", record.key.origin},         {"repository", record.key.repository},
           {"content", record.key.content},       {"size", record.key.size_bytes},
           {"location", record.location},         {"way", std::string(to_string(record.way))},
           {"chunk", record.chunk_bytes},         {"minimum", record.min_chunk_bytes},
           {"confirmed", record.confirmed_bytes}, {"end", record.piece_end},
           {"doubtful", record.doubtful}}
          .dump();
  std::string slot = fmt::format("{}{} {} {}\n{}", magic, sequence, text.size(),
                                 oci::Digest::of(text).hex(), text);
  return slot.size() <= UploadJournal::slot_bytes ? slot : std::string();
}

ParsedJournal parse_upload_journal(std::string_view bytes) {
  ParsedJournal parsed;
  for (std::size_t index = 0; index < 2; ++index) {
    auto slot = parse_slot(slot_at(bytes, index));
    if (slot && (!parsed.record || slot->sequence > parsed.sequence)) {
      parsed.record = std::move(slot->record);
      parsed.sequence = slot->sequence;
    }
  }
  if (bytes.size() >= mark_offset + mark_digits && parsed.record) {
    const auto mark = parse_decimal(bytes.substr(mark_offset, mark_digits));
    parsed.mark = std::min(mark.value_or(0), parsed.record->key.size_bytes);
  }
  return parsed;
}

std::optional<UploadJournal> UploadJournal::open(const std::filesystem::path& directory,
                                                 const UploadKey& key) {
  if (directory.empty()) {
    return std::nullopt;
  }
  try {
    std::filesystem::create_directories(directory);
    remove_older_than(directory, keep_unfinished);
    auto locked = LockedFile::try_open(directory / key.file_name());
    if (!locked) {
      return std::nullopt;
    }
    UploadJournal journal(std::move(*locked));
    std::array<std::byte, mark_offset + mark_digits> bytes{};
    const std::size_t count = journal.file_.file().read_at(0, bytes);
    ParsedJournal parsed = parse_upload_journal(io::as_text(std::span(bytes).first(count)));
    journal.sequence_ = parsed.sequence;
    if (parsed.record && parsed.record->key == key) {
      journal.found_ = std::move(parsed.record);
      journal.found_mark_ = parsed.mark;
    }
    return journal;
  } catch (const Error&) {
    return std::nullopt;
  } catch (const std::system_error&) { // of std::filesystem
    return std::nullopt;
  }
}

void UploadJournal::forget(const std::filesystem::path& directory, const UploadKey& key) noexcept {
  try {
    if (directory.empty()) {
      return;
    }
    if (auto locked = LockedFile::try_open_existing(directory / key.file_name())) {
      locked->remove();
    }
  } catch (const std::exception&) {
    // It goes when it is old.
  }
}

void UploadJournal::write(const UploadRecord& record) noexcept {
  try {
    const std::uint64_t sequence = sequence_ + 1;
    const std::string slot = record.location.size() <= max_location_bytes
                                 ? format_upload_slot(record, sequence)
                                 : std::string();
    if (slot.empty()) {
      remove(); // its location is too long: this upload cannot be taken up again
      return;
    }
    file_.file().write_at((sequence % 2) * slot_bytes, io::as_bytes(slot));
    sequence_ = sequence;
  } catch (const std::exception&) {
    remove(); // rather no journal than an old one
  }
}

void UploadJournal::set_mark(std::uint64_t offset) noexcept {
  try {
    const std::string digits = fmt::format("{:0{}}", offset, mark_digits);
    file_.file().write_at(mark_offset, io::as_bytes(digits));
  } catch (const std::exception&) {
    // It is for counting only.
  }
}

} // namespace aipack::registry
