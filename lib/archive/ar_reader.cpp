#include "aipack/archive/ar_reader.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>

// ar(5), the common form; deb(5) fixes which members there are.
//
//   archive: "!<arch>\n" member*
//   member:  60-byte header, content, "\n" when the content's size is odd
//   header:  name 16 | mtime 12 | uid 6 | gid 6 | mode 8 (octal) | size 10 | "`\n"    ASCII,
//   decimal, padded with spaces
//
// Deviations: a trailing "/" of a name (System V) is dropped; the padding byte may be missing at
// the end of the file.
namespace aipack::archive {

namespace {

constexpr std::string_view magic = "!<arch>\n";
constexpr std::uint64_t header_bytes = 60;

std::string_view without_trailing_spaces(std::string_view field) noexcept {
  return field.substr(0, field.find_last_not_of(' ') + 1);
}

/// The name, or an empty one when this is no plain member ("/", "//", "/123" and "#1/20" introduce
/// long names or symbol tables).
std::string_view plain_name(std::string_view field) noexcept {
  auto name = without_trailing_spaces(field);
  if (name.size() > 1 && name.ends_with('/')) {
    name.remove_suffix(1);
  }
  const bool plain = std::all_of(name.begin(), name.end(),
                                 [](char c) { return c > ' ' && c < '\x7f' && c != '/'; });
  return plain ? name : std::string_view();
}

} // namespace

std::vector<ArMember> read_ar(const io::RandomAccess& file, std::string_view name) {
  const auto fail = [&](std::uint64_t offset, std::string_view cause) {
    throw FormatError(std::string(name), offset, cause);
  };
  const std::uint64_t end = file.size();
  std::array<char, header_bytes> buffer{};
  const auto read = [&](std::uint64_t offset, std::size_t length) {
    file.read_at(offset, std::as_writable_bytes(std::span(buffer)).first(length));
    return std::string_view(buffer.data(), length);
  };
  if (end < magic.size() || read(0, magic.size()) != magic) {
    fail(0, "it is not an ar archive");
  }
  std::vector<ArMember> members;
  std::uint64_t at = magic.size();
  while (at < end) {
    if (end - at < header_bytes) {
      fail(at, "the archive ends inside a member header");
    }
    if (members.size() == max_ar_members) {
      fail(at, "the archive has more than 64 members");
    }
    const auto header = read(at, header_bytes);
    if (header.substr(58) != "`\n") {
      fail(at, "a member header has no end mark");
    }
    const auto member_name = plain_name(header.substr(0, 16));
    if (member_name.empty()) {
      fail(at, "a member has an empty, extended or unprintable name");
    }
    if (std::any_of(members.begin(), members.end(),
                    [&](const ArMember& other) { return other.name == member_name; })) {
      fail(at, "two members have the same name");
    }
    const auto size = parse_decimal(without_trailing_spaces(header.substr(48, 10)));
    if (!size) {
      fail(at, "a member has a malformed size");
    }
    const std::uint64_t content = at + header_bytes;
    if (*size > end - content) {
      fail(at, "a member ends past the end of the file");
    }
    members.push_back({.name = std::string(member_name), .offset = content, .size = *size});
    at = checked_add(content, *size) + *size % 2;
  }
  return members;
}

} // namespace aipack::archive
