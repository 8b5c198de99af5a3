#include "external_data.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::model {
namespace {

constexpr std::uint64_t unused_bytes_worth_saying = std::uint64_t{1} << 20;
constexpr std::string_view memory_marker = "*/_ORT_";

bool has_scheme(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    return false;
  }
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_scheme = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  };
  return is_letter(text.front()) && std::ranges::all_of(text.substr(0, colon), is_scheme);
}

} // namespace

std::optional<std::string> refuse_location(std::string_view location) {
  if (location.empty()) {
    return "it is empty";
  }
  if (location.find('\0') != std::string_view::npos) {
    return "it holds a NUL byte";
  }
  if (location.find('\\') != std::string_view::npos) {
    return "it holds a backslash";
  }
  if (location.front() == '/') {
    return "it is an absolute path";
  }
  if (has_scheme(location)) {
    return "it is a URL or names a drive";
  }
  for (const auto part : split(location, '/')) {
    if (part == "..") {
      return "it climbs out of the model's folder with '..'";
    }
  }
  if (normal_location(location).empty()) {
    return "it names the folder itself";
  }
  return std::nullopt;
}

std::string normal_location(std::string_view location) {
  std::string text;
  for (const auto part : split(location, '/')) {
    if (!part.empty() && part != ".") {
      text += (text.empty() ? "" : "/");
      text += part;
    }
  }
  return text;
}

ExternalData::OpenedFile* ExternalData::open(const std::string& location,
                                             const std::string& where) {
  if (const auto known = files_.find(location); known != files_.end()) {
    return known->second ? &*known->second : nullptr;
  }
  auto& slot = files_[location];
  const auto refuse = [&](std::string message) {
    findings_.add("ONNX-EXT-PATH", Severity::error, std::move(message), where);
    return nullptr;
  };
  if (directory_.empty()) {
    return refuse(
        fmt::format("external data {} cannot be looked for: the model does not come from a folder",
                    quoted(location)));
  }
  try {
    const auto source = directory_ / location;
    std::error_code ignored;
    // Before opening: a FIFO would block. What is opened is checked again below.
    const auto status = std::filesystem::symlink_status(source, ignored);
    if (status.type() == std::filesystem::file_type::not_found) {
      return refuse(fmt::format("external data file {} is missing: put it beside the model",
                                quoted(location)));
    }
    if (status.type() == std::filesystem::file_type::symlink) {
      return refuse(fmt::format("external data file {} is a symbolic link: copy the folder with "
                                "'cp -rL' so that it holds the file itself",
                                quoted(location)));
    }
    if (status.type() != std::filesystem::file_type::regular) {
      return refuse(fmt::format("external data {} is not a regular file", quoted(location)));
    }
    const auto file = io::File::open_beneath(directory_, location);
    if (!file.is_regular()) {
      return refuse(fmt::format("external data {} is not a regular file", quoted(location)));
    }
    if (file.link_count() > 1) {
      return refuse(fmt::format("external data file {} has {} names (hard links), so it may belong "
                                "to something outside the model's folder: "
                                "copy the folder with 'cp -r'",
                                quoted(location), file.link_count()));
    }
    const auto identity = file.identity();
    slot = OpenedFile{.file = {.path = location,
                               .source = source,
                               .size_bytes = identity.size_bytes,
                               .identity = identity},
                      .parts = {}};
    return &*slot;
  } catch (const Error& error) {
    return refuse(
        fmt::format("external data {} is refused: {}", quoted(location), error.message()));
  }
}

std::uint64_t ExternalData::add(const ExternalEntries& entries,
                                std::optional<std::uint64_t> needed_bytes,
                                const std::string& where) {
  std::string location;
  std::optional<std::uint64_t> offset;
  std::optional<std::uint64_t> length;
  bool usable = true;
  const auto out_of_range = [&](std::string message) {
    findings_.add("ONNX-EXT-RANGE", Severity::error, std::move(message), where);
    usable = false;
  };
  for (const auto& [key, value] : entries) {
    if (key == "location") {
      location = value;
    } else if (key == "offset" || key == "length") {
      const auto number = parse_decimal(value);
      if (!number) {
        out_of_range(
            fmt::format("external data {} {} is not a decimal number", key, quoted(value)));
      }
      (key == "offset" ? offset : length) = number;
    } else if (key == "checksum") {
      findings_.add("ONNX-EXT-SUM", Severity::info,
                    "an SHA-1 checksum is stated; weights are not read while analysing, so it was "
                    "not compared",
                    where);
    } else if (key == "basepath") {
      out_of_range("external data sets 'basepath', which would move the folder that holds it");
    } else {
      out_of_range(fmt::format("external data has the unknown key {}", quoted(key)));
    }
  }
  const auto bytes = length.value_or(needed_bytes.value_or(0));
  if (location.starts_with(memory_marker)) {
    findings_.add("ONNX-EXT-MEMADDR", Severity::error,
                  fmt::format("external data location {} is a marker for memory inside ONNX "
                              "Runtime: its offset would be used as an address",
                              quoted(location)),
                  where);
    return bytes;
  }
  if (const auto cause = refuse_location(location)) {
    findings_.add("ONNX-EXT-PATH", Severity::error,
                  fmt::format("external data location {} is refused: {}", quoted(location), *cause),
                  where);
    return bytes;
  }
  auto* opened = open(normal_location(location), where);
  if (opened == nullptr || !usable) {
    return bytes;
  }
  if (length && needed_bytes && *length != *needed_bytes) {
    out_of_range(fmt::format("external data states {} bytes, its shape and type need {}", *length,
                             *needed_bytes));
    return bytes;
  }
  const auto size = opened->file.size_bytes;
  const auto end = try_add(offset.value_or(0), bytes);
  if (!end || *end > size) {
    out_of_range(fmt::format(
        "external data reaches past the end of {}: offset {}, {} bytes, but the file has {}",
        quoted(opened->file.path), offset.value_or(0), bytes, size));
    return bytes;
  }
  opened->parts.push_back({.offset = offset.value_or(0), .length = bytes});
  return bytes;
}

std::vector<ModelFile> ExternalData::finish() {
  std::vector<ModelFile> files;
  for (auto& [location, slot] : files_) {
    if (!slot) {
      continue;
    }
    std::ranges::sort(slot->parts);
    std::uint64_t covered_to = 0;
    std::uint64_t unused = 0;
    bool overlaps = false;
    const Part* previous = nullptr;
    for (const auto& part : slot->parts) {
      if (part.length == 0) {
        continue;
      }
      // The same bytes for two tensors is sharing; different extents that touch the same bytes are
      // not.
      overlaps =
          overlaps || (part.offset < covered_to && !(previous != nullptr && *previous == part));
      unused += part.offset > covered_to ? part.offset - covered_to : 0;
      covered_to = std::max(covered_to, part.offset + part.length);
      previous = &part;
    }
    unused += slot->file.size_bytes - covered_to;
    if (overlaps) {
      findings_.add("ONNX-EXT-HOLE", Severity::warning,
                    fmt::format("tensors overlap in external data file {}", quoted(location)));
    }
    if (unused > unused_bytes_worth_saying) {
      findings_.add("ONNX-EXT-HOLE", Severity::warning,
                    fmt::format("no tensor uses {} of external data file {}", human_bytes(unused),
                                quoted(location)));
    }
    files.push_back(std::move(slot->file));
  }
  return files;
}

} // namespace aipack::model
