#include "aipack/elf/loader_cache.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <string_view>

namespace aipack::elf {
namespace {

// The format, all numbers little-endian. Source: glibc 2.41, sysdeps/generic/dl-cache.h; checked
// against ldconfig's own output.
//
//   header, 48 bytes          0 "glibc-ld.so.cache" 17, "1.1" 3 | 20 entries 4 | 24 bytes of
//   strings 4 | 28 flags 1 (2: little-endian),
//                             zero 3 | 32 offset of the extension 4 | 36 zero 12
//   entry, 24 bytes           0 flags 4 | 4 offset of the soname 4 | 8 offset of the path 4 | 12 OS
//   version, zero 4 | 16 hwcap 8 strings                   NUL-terminated, offsets count from the
//   start of the file; suffixes are shared extension, 4-aligned      0 magic eaa42174 4 | 4
//   sections 4 | per section: tag 4, flags 4, offset 4, size 4
//                             tag 0: generator, text; tag 1: names of glibc-hwcaps subdirectories,
//                             array of string offsets
//   hwcap                     0, or bit 62 and the index into that array
constexpr std::string_view magic = "glibc-ld.so.cache1.1";
constexpr std::size_t header_bytes = 48;
constexpr std::size_t entry_bytes = 24;
constexpr std::uint8_t flag_little_endian = 2;
constexpr std::uint32_t extension_magic = 0xeaa42174;
constexpr std::uint32_t tag_generator = 0;
constexpr std::uint32_t tag_hwcaps = 1;
constexpr std::uint64_t hwcap_extension = std::uint64_t{1} << 62;

std::uint32_t entry_flags(Machine machine) noexcept {
  switch (machine) {
  case Machine::x86_64:
    return 0x0303;
  case Machine::aarch64:
    return 0x0a03;
  case Machine::riscv64:
    return 0x1003;
  }
  return 0;
}

/// The order of ld.so's binary search: byte-wise, but runs of digits compare as numbers and come
/// after everything else.
int compare_names(std::string_view a, std::string_view b) noexcept {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) != is_digit(b[j])) {
      return is_digit(a[i]) ? 1 : -1;
    }
    if (!is_digit(a[i])) {
      if (a[i] != b[j]) {
        return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]) ? -1 : 1;
      }
      ++i;
      ++j;
      continue;
    }
    const auto take_number = [&](std::string_view text, std::size_t& at) {
      while (at < text.size() && text[at] == '0') {
        ++at;
      }
      const std::size_t begin = at;
      while (at < text.size() && is_digit(text[at])) {
        ++at;
      }
      return text.substr(begin, at - begin);
    };
    const std::string_view left = take_number(a, i);
    const std::string_view right = take_number(b, j);
    if (left.size() != right.size()) {
      return left.size() < right.size() ? -1 : 1;
    }
    if (const int order = left.compare(right); order != 0) {
      return order < 0 ? -1 : 1;
    }
  }
  if (i < a.size()) {
    return 1;
  }
  return j < b.size() ? -1 : 0;
}

/// ldconfig's: names descending, then entries of glibc-hwcaps subdirectories (by name) before the
/// baseline.
bool comes_before(const CacheEntry& a, const CacheEntry& b) noexcept {
  if (const int order = compare_names(a.soname, b.soname); order != 0) {
    return order > 0;
  }
  if (a.hwcap.empty() != b.hwcap.empty()) {
    return !a.hwcap.empty();
  }
  return a.hwcap < b.hwcap;
}

/// Strings with shared suffixes, laid out as ldconfig does: sorted by their reversed text,
/// descending, a longer one before its suffix.
class StringTable {
public:
  explicit StringTable(const std::set<std::string>& strings) {
    std::vector<const std::string*> order;
    for (const auto& text : strings) {
      order.push_back(&text);
    }
    std::sort(order.begin(), order.end(), [](const std::string* a, const std::string* b) {
      const auto [left, right] = std::mismatch(a->rbegin(), a->rend(), b->rbegin(), b->rend());
      if (left == a->rend() || right == b->rend()) {
        return a->size() > b->size();
      }
      return static_cast<unsigned char>(*left) > static_cast<unsigned char>(*right);
    });
    const std::string* previous = nullptr;
    std::size_t previous_offset = 0;
    for (const std::string* text : order) {
      std::size_t offset = bytes_.size();
      if (previous != nullptr && previous->ends_with(*text)) {
        offset = previous_offset + previous->size() - text->size();
      } else {
        bytes_.append(*text).push_back('\0');
      }
      offsets_[*text] = offset;
      previous = text;
      previous_offset = offset;
    }
  }
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t offset(const std::string& text) const { return offsets_.at(text); }

private:
  std::string bytes_;
  std::map<std::string, std::size_t> offsets_;
};

class Writer {
public:
  void text(std::string_view value) {
    for (const char c : value) {
      bytes_.push_back(static_cast<std::byte>(c));
    }
  }
  void number(std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) {
      bytes_.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
    }
  }
  [[nodiscard]] std::vector<std::byte> take() noexcept { return std::move(bytes_); }

private:
  std::vector<std::byte> bytes_;
};

/// Little-endian numbers and strings of a cache file, every access checked.
class Reader {
public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[noreturn]] static void fail(std::uint64_t offset, std::string_view cause) {
    throw FormatError("ld.so.cache", offset, cause);
  }

  [[nodiscard]] std::uint64_t number(std::uint64_t at, std::size_t width) const {
    if (at > bytes_.size() || bytes_.size() - at < width) {
      fail(at, "the file ends too early");
    }
    std::uint64_t value = 0;
    for (std::size_t i = width; i-- > 0;) {
      value = value << 8 | std::to_integer<std::uint64_t>(bytes_[at + i]);
    }
    return value;
  }
  [[nodiscard]] std::string string(std::uint64_t at) const {
    if (at >= bytes_.size()) {
      fail(at, "a string lies outside the file");
    }
    const auto rest =
        bytes_.subspan(at, std::min<std::size_t>(bytes_.size() - at, max_name_bytes + 1));
    const auto end = std::find(rest.begin(), rest.end(), std::byte{0});
    if (end == rest.end()) {
      fail(at, "a string is not terminated or too long");
    }
    return {reinterpret_cast<const char*>(rest.data()),
            static_cast<std::size_t>(end - rest.begin())};
  }

private:
  std::span<const std::byte> bytes_;
};

/// The names of the glibc-hwcaps subdirectories, from the extension block.
std::vector<std::string> read_hwcaps(const Reader& reader, std::uint64_t extension) {
  std::vector<std::string> names;
  if (extension == 0) {
    return names;
  }
  if (reader.number(extension, 4) != extension_magic) {
    Reader::fail(extension, "wrong magic of the extension block");
  }
  const std::uint64_t sections = reader.number(extension + 4, 4);
  if (sections > 64) {
    Reader::fail(extension + 4, "more than 64 extension sections");
  }
  for (std::uint64_t i = 0; i < sections; ++i) {
    const std::uint64_t at = extension + 8 + 16 * i;
    if (reader.number(at, 4) != tag_hwcaps) {
      continue;
    }
    const std::uint64_t offset = reader.number(at + 8, 4);
    const std::uint64_t count = reader.number(at + 12, 4) / 4;
    if (count > 256) {
      Reader::fail(at, "more than 256 glibc-hwcaps subdirectories");
    }
    for (std::uint64_t j = 0; j < count; ++j) {
      names.push_back(reader.string(reader.number(offset + 4 * j, 4)));
    }
  }
  return names;
}

} // namespace

std::vector<std::byte> write_loader_cache(Machine machine, std::vector<CacheEntry> entries,
                                          std::string_view generator) {
  std::stable_sort(entries.begin(), entries.end(), comes_before);
  std::set<std::string> all_strings;
  std::map<std::string, std::size_t> hwcaps; // name → index: by name, as ldconfig numbers them
  for (const CacheEntry& entry : entries) {
    all_strings.insert(entry.soname);
    all_strings.insert(entry.path);
    if (!entry.hwcap.empty()) {
      all_strings.insert(entry.hwcap);
      hwcaps[entry.hwcap] = 0;
    }
  }
  std::size_t next_index = 0;
  for (auto& [name, index] : hwcaps) {
    index = next_index++;
  }
  const StringTable strings(all_strings);
  const std::size_t strings_at = header_bytes + entries.size() * entry_bytes;
  const std::size_t strings_end = strings_at + strings.bytes().size();
  const std::size_t extension_at = static_cast<std::size_t>(align_up(strings_end, 4));

  Writer out;
  out.text(magic);
  out.number(entries.size(), 4);
  out.number(strings.bytes().size(), 4);
  out.number(flag_little_endian, 4);
  out.number(extension_at, 4);
  out.number(0, 8);
  out.number(0, 4);
  for (const CacheEntry& entry : entries) {
    out.number(entry_flags(machine), 4);
    out.number(strings_at + strings.offset(entry.soname), 4);
    out.number(strings_at + strings.offset(entry.path), 4);
    out.number(0, 4);
    out.number(entry.hwcap.empty() ? 0 : hwcap_extension | hwcaps.at(entry.hwcap), 8);
  }
  out.text(strings.bytes());
  out.number(0, extension_at - strings_end);

  const std::size_t sections = hwcaps.empty() ? 1 : 2;
  const std::size_t hwcaps_at = extension_at + 8 + sections * 16;
  const std::size_t generator_at = hwcaps_at + hwcaps.size() * 4;
  out.number(extension_magic, 4);
  out.number(sections, 4);
  for (const auto& [section, at, size] :
       {std::array{std::size_t{tag_generator}, generator_at, generator.size()},
        std::array{std::size_t{tag_hwcaps}, hwcaps_at, hwcaps.size() * 4}}) {
    if (section == tag_hwcaps && hwcaps.empty()) {
      break;
    }
    out.number(section, 4);
    out.number(0, 4);
    out.number(at, 4);
    out.number(size, 4);
  }
  for (const auto& [name, index] : hwcaps) {
    out.number(strings_at + strings.offset(name), 4);
  }
  out.text(generator);
  return out.take();
}

std::vector<CacheEntry> read_loader_cache(std::span<const std::byte> bytes) {
  if (bytes.size() > max_cache_bytes) {
    Reader::fail(max_cache_bytes, "larger than 64 MiB");
  }
  if (bytes.size() < header_bytes || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
    Reader::fail(0, "not a loader cache in the new format");
  }
  const Reader reader(bytes);
  if (const std::uint64_t flags = reader.number(28, 1);
      (flags & 3) != 0 && (flags & 3) != flag_little_endian) {
    Reader::fail(28, "not a little-endian cache");
  }
  const std::uint64_t count = reader.number(20, 4);
  if (count > max_cache_entries) {
    Reader::fail(20, "more than 1000000 entries");
  }
  if (count > (bytes.size() - header_bytes) / entry_bytes) {
    Reader::fail(20, "the entries end past the end of the file");
  }
  const std::vector<std::string> hwcaps = read_hwcaps(reader, reader.number(32, 4));
  std::vector<CacheEntry> entries;
  entries.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = header_bytes + i * entry_bytes;
    CacheEntry entry{reader.string(reader.number(at + 4, 4)),
                     reader.string(reader.number(at + 8, 4))};
    if (const std::uint64_t hwcap = reader.number(at + 16, 8); (hwcap & hwcap_extension) != 0) {
      const std::uint64_t index = hwcap & 0xffffffff;
      if (index >= hwcaps.size()) {
        Reader::fail(at + 16, "an entry names a glibc-hwcaps subdirectory that is not listed");
      }
      entry.hwcap = hwcaps[index];
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

} // namespace aipack::elf
