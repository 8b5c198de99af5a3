#include "aipack/archive/tar_reader.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "pax.hpp"
#include "tar_format.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

// A strict reader of ustar, old (v7), GNU and PAX archives: tar_format.hpp and pax.hpp hold the
// formats. Where tar programs differ in what they read into the same bytes, it refuses, because
// what one tool checks must be what the next one unpacks: two names for one member, content behind
// a link or a directory, a member behind a link, bytes after the end.
//
// Deviations: one "./" in front is normal (dpkg-deb writes it); a "g" header may not name or size
// members; extended attributes are dropped.
namespace aipack::archive {

namespace {

constexpr std::uint64_t block_bytes = 512;
/// Body of a PAX header: names and attributes, and aipack's own filler of up to 4.6 KiB.
constexpr std::uint64_t max_pax_bytes = std::uint64_t{1} << 20;
/// Body of a GNU long name: PATH_MAX with room for the "./" and the NUL.
constexpr std::uint64_t max_long_name_bytes = 8192;
/// Extended headers before one member: GNU tar needs two ("K" and "L"), PAX one, a "g" header one
/// more.
constexpr unsigned max_extensions = 8;

bool is_zero(std::string_view bytes) noexcept {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

std::string_view until_nul(std::string_view field) noexcept {
  return field.substr(0, field.find('\0'));
}

/// Octal digits, led by spaces and ended by NUL or space; empty field: 0. Or GNU base-256: first
/// byte 0x80 or 0xFF, the rest is a two's complement number, most significant byte first.
std::optional<std::int64_t> parse_number(std::string_view field) {
  const auto first = static_cast<unsigned char>(field.front());
  if (first == 0x80 || first == 0xFF) {
    const auto low = field.substr(field.size() - std::min<std::size_t>(8, field.size() - 1));
    const auto high = field.substr(1, field.size() - 1 - low.size());
    const char sign = first == 0xFF ? '\xff' : '\0';
    std::uint64_t value = first == 0xFF ? UINT64_MAX : 0;
    for (const char c : low) {
      value = (value << 8) | static_cast<unsigned char>(c);
    }
    const auto result = static_cast<std::int64_t>(value);
    const bool fits = std::all_of(high.begin(), high.end(), [&](char c) { return c == sign; });
    return fits && (result < 0) == (first == 0xFF) ? std::optional(result) : std::nullopt;
  }
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  std::int64_t value = 0; // 11 octal digits at most (12 in an unterminated field): no overflow
  std::size_t used = 0;
  while (used < field.size() && field[used] >= '0' && field[used] <= '7') {
    value = value * 8 + (field[used] - '0');
    ++used;
  }
  const bool ended =
      field.find_first_not_of(std::string_view("\0 ", 2), used) == std::string_view::npos;
  return ended ? std::optional(value) : std::nullopt;
}

/// The archive's bytes with a position; reads ahead, so that headers do not cost a call each.
class Input {
public:
  Input(std::unique_ptr<io::ByteSource> source, std::string name, std::uint64_t max_total)
      : source_(std::move(source)), name_(std::move(name)), max_total_(max_total),
        buffer_(std::size_t{64} << 10) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }

  /// Up to into.size() bytes; 0 only at the end.
  std::size_t read_some(std::span<std::byte> into) {
    if (begin_ == end_) {
      if (into.size() >= buffer_.size()) {
        return count(source_->read(into)); // content: no second copy
      }
      begin_ = 0;
      end_ = source_->read(buffer_);
    }
    const std::size_t length = std::min(into.size(), end_ - begin_);
    std::memcpy(into.data(), buffer_.data() + begin_, length);
    begin_ += length;
    return count(length);
  }

  void read_exactly(std::span<std::byte> into) {
    while (!into.empty()) {
      const std::size_t length = read_some(into);
      if (length == 0) {
        fail("the archive ends too early");
      }
      into = into.subspan(length);
    }
  }

  void skip(std::uint64_t length) {
    std::array<std::byte, 4096> dropped;
    while (length != 0) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(length, dropped.size()));
      read_exactly(std::span(dropped).first(part));
      length -= part;
    }
  }

  [[noreturn]] void fail(std::string_view cause) const { fail_at(position_, cause); }
  [[noreturn]] void fail_at(std::uint64_t offset, std::string_view cause) const {
    throw FormatError(name_, offset, cause);
  }

private:
  std::size_t count(std::size_t length) {
    position_ += length;
    if (position_ > max_total_) {
      fail(fmt::format("the archive is larger than {} bytes", max_total_));
    }
    return length;
  }

  std::unique_ptr<io::ByteSource> source_;
  std::string name_;
  std::uint64_t max_total_;
  std::uint64_t position_ = 0;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// The content of one member.
class MemberSource final : public io::ByteSource {
public:
  explicit MemberSource(Input& input) : input_(input) {}

  void begin(std::uint64_t size) {
    rest_ = size;
    padding_ = (block_bytes - size % block_bytes) % block_bytes;
  }

  std::size_t read(std::span<std::byte> into) override {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), rest_));
    if (length == 0) {
      return 0;
    }
    const std::size_t count = input_.read_some(into.first(length));
    if (count == 0) {
      input_.fail(fmt::format("the archive ends {} bytes before a member does", rest_));
    }
    rest_ -= count;
    return count;
  }

  /// To the next header.
  void finish() {
    input_.skip(std::exchange(rest_, 0));
    input_.skip(std::exchange(padding_, 0));
  }

private:
  Input& input_;
  std::uint64_t rest_ = 0;
  std::uint64_t padding_ = 0;
};

/// What the extension headers before a member said.
struct Extensions {
  std::optional<std::string> gnu_path{};
  std::optional<std::string> gnu_link_path{};
  std::optional<PaxValues> pax{};
  unsigned count = 0;
};

} // namespace

struct TarReader::State {
  State(std::unique_ptr<io::ByteSource> source, std::string name, TarLimits tar_limits)
      : input(std::move(source), std::move(name), tar_limits.max_total_bytes), content(input),
        limits(tar_limits) {}

  std::optional<TarMember> next();

private:
  bool read_header();
  void finish_archive();
  void read_extension(char type, std::uint64_t size);
  TarMember read_member(char flag, std::uint64_t size);
  [[nodiscard]] std::string choose(const std::optional<std::string>& gnu,
                                   const std::optional<std::string>& pax, std::string header) const;
  [[nodiscard]] std::string header_name() const;
  [[nodiscard]] fs::RootPath checked_path(const std::string& name, std::string_view what) const;
  [[nodiscard]] fs::FileType type_of(char flag, const std::string& name) const;
  void check_place(TarMember& member) const;
  void check_parents(const TarMember& member, const fs::RootPath& path) const;
  [[nodiscard]] std::int64_t number(tar::Field field, std::string_view what) const;
  [[nodiscard]] std::uint32_t id(tar::Field field, std::optional<std::uint64_t> PaxValues::*key,
                                 std::string_view what) const;
  template <class T>
  [[nodiscard]] std::optional<T> from_pax(std::optional<T> PaxValues::*key) const;
  /// Errors about a member name its header's offset.
  [[noreturn]] void fail(std::string_view cause) const { input.fail_at(header_offset, cause); }

public:
  Input input;
  MemberSource content;
  TarLimits limits;

private:
  std::string block = std::string(block_bytes, '\0');
  std::uint64_t header_offset = 0;
  bool finished = false;
  Extensions extensions;
  PaxValues globals;
  /// Everything seen so far: the rules about places need it.
  std::map<fs::RootPath, fs::FileType> seen;
};

/// False at the first block of the end mark.
bool TarReader::State::read_header() {
  header_offset = input.position();
  input.read_exactly(std::as_writable_bytes(std::span(block)));
  if (is_zero(block)) {
    return false;
  }
  const auto stored = parse_number(tar::checksum.in(block));
  if (!stored || *stored < 0 || static_cast<std::uint64_t>(*stored) != tar::checksum_of(block)) {
    fail("a member header has a wrong checksum");
  }
  const auto magic = tar::magic.in(block);
  const bool known = magic == tar::posix_magic || magic == tar::gnu_magic || is_zero(magic);
  if (!known) {
    fail("a member header is of an unknown tar dialect");
  }
  return true;
}

/// Two zero blocks end an archive; GNU tar fills its last record of 10 KiB with more of them.
/// Reading to the end lets a verifying source have its say.
void TarReader::State::finish_archive() {
  if (extensions.count != 0) {
    fail("the archive ends after an extended header");
  }
  input.read_exactly(std::as_writable_bytes(std::span(block)));
  for (;;) {
    if (!is_zero(block)) {
      fail("there are bytes behind the end of the archive");
    }
    const std::size_t length = input.read_some(std::as_writable_bytes(std::span(block)));
    if (length == 0) {
      break;
    }
    std::fill(block.begin() + static_cast<std::ptrdiff_t>(length), block.end(), '\0');
  }
  finished = true;
}

std::optional<TarMember> TarReader::State::next() {
  content.finish();
  if (finished) {
    return std::nullopt;
  }
  extensions = {};
  for (;;) {
    if (!read_header()) {
      finish_archive();
      return std::nullopt;
    }
    const char flag = block[tar::type_offset];
    const auto size = number(tar::size, "size");
    if (size < 0) {
      fail("a member has a negative size");
    }
    if (flag == 'x' || flag == 'g' || flag == 'L' || flag == 'K') {
      read_extension(flag, static_cast<std::uint64_t>(size));
    } else {
      return read_member(flag, static_cast<std::uint64_t>(size));
    }
  }
}

void TarReader::State::read_extension(char type, std::uint64_t size) {
  const bool is_pax = type == 'x' || type == 'g';
  if (++extensions.count > max_extensions) {
    fail("a member has too many extended headers");
  }
  if (size > (is_pax ? max_pax_bytes : max_long_name_bytes)) {
    fail(fmt::format("an extended header of {} bytes is too large", size));
  }
  const std::uint64_t body_offset = input.position();
  std::string body(static_cast<std::size_t>(size), '\0');
  input.read_exactly(std::as_writable_bytes(std::span(body)));
  input.skip((block_bytes - size % block_bytes) % block_bytes);

  if (type == 'g') {
    auto values = parse_pax(body, input.name(), body_offset);
    if (values.path || values.link_path || values.size) {
      fail("a global header names or sizes members");
    }
    globals = std::move(values);
    return;
  }
  if (type == 'x') {
    if (extensions.pax) {
      fail("a member has two extended headers");
    }
    extensions.pax = parse_pax(body, input.name(), body_offset);
    return;
  }
  auto& slot = type == 'L' ? extensions.gnu_path : extensions.gnu_link_path;
  if (slot) {
    fail("a member has two long names");
  }
  // GNU tar ends the name with a NUL that the size counts.
  if (body.ends_with('\0')) {
    body.pop_back();
  }
  if (body.empty() || body.find('\0') != std::string::npos) {
    fail("a long name is empty or contains a NUL byte");
  }
  slot = std::move(body);
}

template <class T>
std::optional<T> TarReader::State::from_pax(std::optional<T> PaxValues::*key) const {
  if (extensions.pax && (*extensions.pax).*key) {
    return (*extensions.pax).*key;
  }
  return globals.*key;
}

std::int64_t TarReader::State::number(tar::Field field, std::string_view what) const {
  const auto value = parse_number(field.in(block));
  if (!value) {
    fail(fmt::format("a member has a malformed {}", what));
  }
  return *value;
}

std::uint32_t TarReader::State::id(tar::Field field, std::optional<std::uint64_t> PaxValues::*key,
                                   std::string_view what) const {
  const auto pax = from_pax(key);
  const std::int64_t value =
      pax ? static_cast<std::int64_t>(std::min<std::uint64_t>(*pax, INT64_MAX))
          : number(field, what);
  if (value < 0 || value > std::int64_t{UINT32_MAX}) {
    fail(fmt::format("a member has a {} that does not fit 32 bits", what));
  }
  return static_cast<std::uint32_t>(value);
}

TarMember TarReader::State::read_member(char flag, std::uint64_t size) {
  if (seen.size() == limits.max_entries) {
    fail(fmt::format("the archive has more than {} members", limits.max_entries));
  }
  TarMember member;
  member.size = from_pax(&PaxValues::size).value_or(size);
  const std::string name = choose(extensions.gnu_path, from_pax(&PaxValues::path), header_name());
  member.path = checked_path(name, "a member's name");
  member.type = type_of(flag, name);
  if (member.type == fs::FileType::symlink || member.type == fs::FileType::hard_link) {
    member.link_target = choose(extensions.gnu_link_path, from_pax(&PaxValues::link_path),
                                std::string(until_nul(tar::link_name.in(block))));
  }
  const std::string shown = quoted(member.path.to_string());
  if (member.type != fs::FileType::regular && member.size != 0) {
    fail(fmt::format("the member {} has content although it is no regular file", shown));
  }
  if (member.size > limits.max_entry_bytes) {
    fail(fmt::format("the member {} is larger than {} bytes", shown, limits.max_entry_bytes));
  }
  const auto mode = number(tar::mode, "mode");
  member.mode =
      static_cast<std::uint32_t>(mode) & 07777U; // old writers put the type above the permissions
  member.setuid_or_setgid = (member.mode & 06000U) != 0;
  member.uid = id(tar::uid, &PaxValues::uid, "user id");
  member.gid = id(tar::gid, &PaxValues::gid, "group id");
  const auto mtime = from_pax(&PaxValues::mtime);
  member.mtime = mtime ? *mtime : number(tar::mtime, "time");
  if (!is_zero(tar::magic.in(block))) {
    member.user_name =
        from_pax(&PaxValues::user_name).value_or(std::string(until_nul(tar::user_name.in(block))));
    member.group_name = from_pax(&PaxValues::group_name)
                            .value_or(std::string(until_nul(tar::group_name.in(block))));
  }
  check_place(member);
  seen.emplace(member.path, member.type);
  member.data_offset = input.position();
  content.begin(member.size);
  return member;
}

/// The one text that names the member (or its link target): from an extension, else from the
/// header.
std::string TarReader::State::choose(const std::optional<std::string>& gnu,
                                     const std::optional<std::string>& pax,
                                     std::string header) const {
  if (gnu && pax) {
    fail("a member has two long names");
  }
  return gnu ? *gnu : pax ? *pax : std::move(header);
}

std::string TarReader::State::header_name() const {
  const auto name = until_nul(tar::name.in(block));
  const auto prefix = until_nul(tar::prefix.in(block));
  const bool has_prefix = tar::magic.in(block) == tar::posix_magic && !prefix.empty();
  return has_prefix ? fmt::format("{}/{}", prefix, name) : std::string(name);
}

/// A name beneath the root; `what` is how errors introduce it.
fs::RootPath TarReader::State::checked_path(const std::string& name, std::string_view what) const {
  if (name.empty()) {
    fail(fmt::format("{} is empty", what));
  }
  if (name.front() == '/') {
    fail(fmt::format("{} {} is absolute", what, quoted(name)));
  }
  const auto path = fs::RootPath::try_parse(name);
  if (!path) {
    fail(fmt::format("{} {} has '..', an empty part, or is too long", what, quoted(name)));
  }
  return *path;
}

fs::FileType TarReader::State::type_of(char flag, const std::string& name) const {
  const auto refuse = [&](std::string_view what) {
    fail(fmt::format("the member {} is {}", quoted(name), what));
  };
  const bool named_as_directory = name.ends_with('/') || name == ".";
  // v7 had no type for directories: the slash says it.
  if (flag == '\0' && named_as_directory && is_zero(tar::magic.in(block))) {
    return fs::FileType::directory;
  }
  if (flag != '5' && named_as_directory) {
    refuse("named as a directory but is none");
  }
  switch (flag) {
  case '1':
    return fs::FileType::hard_link;
  case '2':
    return fs::FileType::symlink;
  case '3':
  case '4':
    refuse("a device node");
    break;
  case '5':
    return fs::FileType::directory;
  case '6':
    refuse("a FIFO");
    break;
  case 'S':
    refuse("a sparse file");
    break;
  case '0':
  case '\0':
  case '7': // "contiguous", which every system takes for regular
    break;
  default:
    refuse("of an unknown type");
  }
  return fs::FileType::regular;
}

/// Nothing may stand behind a member that is no directory: a symlink there would lead the content
/// elsewhere.
void TarReader::State::check_parents(const TarMember& member, const fs::RootPath& path) const {
  for (fs::RootPath parent = path.parent(); !parent.is_root(); parent = parent.parent()) {
    const auto found = seen.find(parent);
    if (found == seen.end()) {
      continue;
    }
    if (found->second != fs::FileType::directory) {
      fail(fmt::format("the member {} passes through {}, which is no directory",
                       quoted(member.path.to_string()), quoted(parent.to_string())));
    }
    return; // that directory's own parents were checked when it came
  }
}

/// The rules that need the members before this one. Hard link targets become RootPath texts here.
void TarReader::State::check_place(TarMember& member) const {
  const std::string shown = quoted(member.path.to_string());
  if (seen.contains(member.path)) {
    fail(fmt::format("the member {} is there twice", shown));
  }
  check_parents(member, member.path);
  if (member.type != fs::FileType::directory) {
    const auto below = seen.upper_bound(member.path);
    if (member.path.is_root() || (below != seen.end() && below->first.is_within(member.path))) {
      fail(fmt::format("the member {} is no directory, but others are inside it", shown));
    }
  }
  if (member.type == fs::FileType::symlink &&
      (member.link_target.empty() || member.link_target.size() > fs::RootPath::max_bytes)) {
    fail(fmt::format("the symlink {} has an empty or too long target", shown));
  }
  if (member.type == fs::FileType::hard_link) {
    const auto target = checked_path(member.link_target, "a hard link's target");
    check_parents(member, target);
    const auto found = seen.find(target);
    // POSIX: the target comes first. What is not there cannot be checked, so it is no target.
    if (found == seen.end() || found->second == fs::FileType::directory) {
      fail(fmt::format("the hard link {} has no file {} before it", shown,
                       quoted(target.to_string())));
    }
    member.link_target = target.text();
  }
}

TarReader::TarReader(std::unique_ptr<io::ByteSource> source, std::string name, TarLimits limits)
    : state_(std::make_unique<State>(std::move(source), std::move(name), limits)) {}

TarReader::~TarReader() = default;

std::optional<TarMember> TarReader::next() {
  return state_->next();
}

io::ByteSource& TarReader::content() {
  return state_->content;
}

} // namespace aipack::archive
