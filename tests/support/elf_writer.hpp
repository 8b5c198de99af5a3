#pragma once

#include "aipack/elf/object.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::test {

/// A tiny 64-bit little-endian ELF file for any machine, without a compiler: one read-only segment
/// that holds everything, found by program headers alone (there are no sections). What ld.so,
/// ldconfig and aipack read of a library is there; code is not.
struct ElfSpec {
  elf::Machine machine = elf::Machine::x86_64;
  std::uint16_t type = 3; ///< ET_DYN
  std::string interpreter{};
  std::string soname{};
  std::vector<std::string> needed{};
  std::string rpath{};
  std::string runpath{};
  std::map<std::string, std::vector<std::string>>
      versions_needed{}; ///< a leading '?' makes one weak
  std::vector<std::string> versions_defined{};
  std::vector<std::string> undefined_symbols{};
  std::uint32_t x86_isa_bits = 0;
  std::string dlopen_note{}; ///< JSON
  std::vector<std::string> read_only_strings{};
  std::vector<std::pair<std::uint64_t, std::string>> extra_strings{}; ///< dynamic tag → string
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extra_tags{};  ///< dynamic tag → value
  std::uint32_t flags = 0; ///< 0 on riscv64 becomes double float, RVC
};

namespace detail {

class ElfImage {
public:
  std::string bytes;
  void number(std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) {
      bytes.push_back(static_cast<char>(i < 8 ? value >> (8 * i) & 0xff : 0));
    }
  }
  void align(std::size_t to) { bytes.resize((bytes.size() + to - 1) / to * to); }
  void patch(std::size_t at, std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) {
      bytes[at + i] = static_cast<char>(i < 8 ? value >> (8 * i) & 0xff : 0);
    }
  }
};

class Strings {
public:
  std::string bytes{'\0'};
  std::uint64_t add(const std::string& text) {
    const std::uint64_t at = bytes.size();
    bytes.append(text).push_back('\0');
    return at;
  }
};

inline void note(ElfImage& image, std::string_view owner, std::uint32_t type,
                 const std::string& body, std::size_t alignment) {
  image.number(owner.size() + 1, 4);
  image.number(body.size(), 4);
  image.number(type, 4);
  image.bytes.append(owner).push_back('\0');
  image.align(alignment);
  image.bytes.append(body);
  image.align(alignment);
}

} // namespace detail

inline std::vector<std::byte> make_elf(const ElfSpec& spec) {
  using Dynamic = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  constexpr std::size_t header_bytes = 64;
  constexpr std::size_t program_header_bytes = 56;
  detail::ElfImage image;
  detail::Strings strings;
  Dynamic dynamic;
  for (const auto& name : spec.needed) {
    dynamic.emplace_back(1, strings.add(name));
  }
  const auto add_string = [&](std::uint64_t tag, const std::string& text) {
    if (!text.empty()) {
      dynamic.emplace_back(tag, strings.add(text));
    }
  };
  add_string(14, spec.soname);
  add_string(15, spec.rpath);
  add_string(29, spec.runpath);
  for (const auto& [tag, text] : spec.extra_strings) {
    add_string(tag, text);
  }

  // Interpreter, dynamic and two kinds of notes, each when there is one; a segment for everything.
  struct Segment {
    std::uint32_t type;
    std::uint64_t offset, size, alignment;
  };
  std::vector<Segment> segments;
  image.bytes.resize(header_bytes + 6 * program_header_bytes);
  const auto begin = [&](std::size_t alignment) {
    image.align(alignment);
    return image.bytes.size();
  };
  if (!spec.interpreter.empty()) {
    const auto at = begin(1);
    image.bytes.append(spec.interpreter).push_back('\0');
    segments.push_back({3, at, image.bytes.size() - at, 1});
  }

  const auto symbols_at = begin(8);
  image.number(0, 24);
  for (const auto& name : spec.undefined_symbols) {
    image.number(strings.add(name), 4); // st_name; st_info global function; undefined
    image.number(0x12, 1);
    image.number(0, 19);
  }
  dynamic.emplace_back(6, symbols_at);
  dynamic.emplace_back(11, 24);
  const auto hash_at =
      begin(8); // DT_GNU_HASH: one empty bucket, symoffset behind all undefined symbols
  for (const std::uint64_t value :
       {std::uint64_t{1}, std::uint64_t{spec.undefined_symbols.size() + 1}, std::uint64_t{1},
        std::uint64_t{6}}) {
    image.number(value, 4);
  }
  image.number(0, 8);
  image.number(0, 4);
  dynamic.emplace_back(0x6ffffef5, hash_at);

  if (!spec.versions_needed.empty()) {
    const auto at = begin(8);
    std::size_t left = spec.versions_needed.size();
    for (const auto& [library, versions] : spec.versions_needed) {
      image.number(1, 2);
      image.number(versions.size(), 2);
      image.number(strings.add(library), 4);
      image.number(16, 4);
      image.number(--left == 0 ? 0 : 16 + 16 * versions.size(), 4);
      for (std::size_t i = 0; i < versions.size(); ++i) {
        const bool weak = versions[i].starts_with('?');
        image.number(0, 4);
        image.number(weak ? 2 : 0, 2);
        image.number(i + 2, 2);
        image.number(strings.add(weak ? versions[i].substr(1) : versions[i]), 4);
        image.number(i + 1 == versions.size() ? 0 : 16, 4);
      }
    }
    dynamic.emplace_back(0x6ffffffe, at);
    dynamic.emplace_back(0x6fffffff, spec.versions_needed.size());
  }
  if (!spec.versions_defined.empty()) {
    const auto at = begin(8);
    std::vector<std::string> all{spec.soname};
    all.insert(all.end(), spec.versions_defined.begin(), spec.versions_defined.end());
    for (std::size_t i = 0; i < all.size(); ++i) {
      image.number(1, 2);
      image.number(i == 0 ? 1 : 0, 2); // the first one is the library itself
      image.number(i + 1, 2);
      image.number(1, 2);
      image.number(0, 4);
      image.number(20, 4);
      image.number(i + 1 == all.size() ? 0 : 28, 4);
      image.number(strings.add(all[i]), 4);
      image.number(0, 4);
    }
    dynamic.emplace_back(0x6ffffffc, at);
    dynamic.emplace_back(0x6ffffffd, all.size());
  }
  if (spec.x86_isa_bits != 0) {
    const auto at = begin(8);
    detail::ElfImage property;
    property.number(0xc0008002, 4);
    property.number(4, 4);
    property.number(spec.x86_isa_bits, 4);
    property.number(0, 4);
    detail::note(image, "GNU", 5, property.bytes, 8);
    segments.push_back({4, at, image.bytes.size() - at, 8});
  }
  if (!spec.dlopen_note.empty()) {
    const auto at = begin(4);
    detail::note(image, "FDO", 0x407c0c0a, spec.dlopen_note, 4);
    segments.push_back({4, at, image.bytes.size() - at, 4});
  }
  image.bytes.push_back('\0');
  for (const auto& text : spec.read_only_strings) {
    image.bytes.append(text).push_back('\0');
  }

  const auto strings_at = begin(8);
  image.bytes.append(strings.bytes);
  dynamic.emplace_back(5, strings_at);
  dynamic.emplace_back(10, strings.bytes.size());
  dynamic.insert(dynamic.end(), spec.extra_tags.begin(), spec.extra_tags.end());
  dynamic.emplace_back(0, 0);
  const auto dynamic_at = begin(8);
  for (const auto& [tag, value] : dynamic) {
    image.number(tag, 8);
    image.number(value, 8);
  }
  segments.push_back({2, dynamic_at, dynamic.size() * 16, 8});
  segments.insert(segments.begin(), {1, 0, image.bytes.size(), 0x1000});

  std::uint32_t flags = spec.flags;
  if (flags == 0 && spec.machine == elf::Machine::riscv64) {
    flags = 0x5;
  }
  image.bytes.replace(0, 16,
                      std::string("\x7f"
                                  "ELF\2\1\1\0\0\0\0\0\0\0\0\0",
                                  16));
  image.patch(16, spec.type, 2);
  image.patch(18, static_cast<std::uint16_t>(spec.machine), 2);
  image.patch(20, 1, 4);
  image.patch(32, header_bytes, 8);
  image.patch(48, flags, 4);
  image.patch(52, header_bytes, 2);
  image.patch(54, program_header_bytes, 2);
  image.patch(56, segments.size(), 2);
  image.patch(58, 64, 2);
  std::size_t at = header_bytes;
  for (const Segment& segment : segments) {
    image.patch(at, segment.type, 4);
    image.patch(at + 4, 4, 4); // readable
    for (const std::size_t field : {8U, 16U, 24U}) {
      image.patch(at + field, segment.offset, 8); // offset, virtual and physical address are one
    }
    image.patch(at + 32, segment.size, 8);
    image.patch(at + 40, segment.size, 8);
    image.patch(at + 48, segment.alignment, 8);
    at += program_header_bytes;
  }
  std::vector<std::byte> bytes;
  bytes.reserve(image.bytes.size());
  for (const char c : image.bytes) {
    bytes.push_back(static_cast<std::byte>(c));
  }
  return bytes;
}

} // namespace aipack::test
