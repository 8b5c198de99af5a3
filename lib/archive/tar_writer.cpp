#include "aipack/archive/tar_writer.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "pax.hpp"
#include "tar_format.hpp"

#include <algorithm>
#include <cassert>
#include <vector>

#include <fmt/format.h>

namespace aipack::archive {

namespace {

/// Largest numbers of the octal fields: 7 digits for ids, 11 for size and time.
constexpr std::uint64_t max_octal_id = 07777777;
constexpr std::uint64_t max_octal_long = 077777777777;

char type_flag(fs::FileType type) noexcept {
  switch (type) {
  case fs::FileType::regular:
    return '0';
  case fs::FileType::hard_link:
    return '1';
  case fs::FileType::symlink:
    return '2';
  case fs::FileType::directory:
    return '5';
  }
  return '0';
}

/// A header block under construction.
class Block {
public:
  void text(tar::Field field, std::string_view value) {
    assert(value.size() <= field.length);
    bytes_.replace(field.offset, value.size(), value);
  }
  /// Octal digits over the whole field, NUL at its end.
  void number(tar::Field field, std::uint64_t value) {
    text(field, fmt::format("{:0{}o}", value, field.length - 1));
  }
  void type(char flag) { bytes_[tar::type_offset] = flag; }
  [[nodiscard]] std::string finish() {
    text(tar::magic, tar::posix_magic);
    number(tar::dev_major, 0);
    number(tar::dev_minor, 0);
    // "NNNNNN" NUL space, the form that every tar writes.
    text(tar::checksum, fmt::format("{:06o}", tar::checksum_of(bytes_)));
    text({tar::checksum.offset + 6, 2}, {"\0 ", 2});
    return std::move(bytes_);
  }

private:
  std::string bytes_ = std::string(tar_block_bytes, '\0');
};

/// A path as ustar's two fields; empty where it does not fit.
struct SplitName {
  std::string_view prefix;
  std::string_view name;
};

std::optional<SplitName> split_name(std::string_view path) {
  if (path.size() <= tar::name.length) {
    return SplitName{{}, path};
  }
  // The last slash that leaves a name (a directory's own trailing slash does not) and a prefix that
  // fits.
  const auto slash = path.rfind('/', std::min(tar::prefix.length, path.size() - 2));
  if (slash == std::string_view::npos || slash == 0 || path.size() - slash - 1 > tar::name.length) {
    return std::nullopt;
  }
  return SplitName{path.substr(0, slash), path.substr(slash + 1)};
}

/// The first `length` bytes at most, cut between UTF-8 sequences.
std::string_view head_of(std::string_view text, std::size_t length) {
  if (text.size() <= length) {
    return text;
  }
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80) {
    --length;
  }
  return text.substr(0, length);
}

/// The extended header that carries `records`: a block named after the member (never after a
/// process or a time) and the padded records.
std::string pax_header(std::string_view member_name, std::string_view records) {
  constexpr std::string_view directory = "PaxHeaders/";
  Block block;
  block.text(tar::name, fmt::format("{}{}", directory,
                                    head_of(member_name, tar::name.length - directory.size())));
  block.number(tar::mode, 0644);
  block.number(tar::uid, 0);
  block.number(tar::gid, 0);
  block.number(tar::size, records.size());
  block.number(tar::mtime, 0);
  block.type('x');
  std::string header = block.finish();
  header += records;
  header.append(tar_padding(records.size()), '\0');
  return header;
}

/// The filler record that puts the payload at a multiple of payload_alignment, when `records`
/// (sorted behind it) are written at `offset`; empty: it stands right without.
std::string filler_for(std::uint64_t offset, std::uint64_t records_bytes) {
  const std::uint64_t extended =
      records_bytes == 0 ? 0 : tar_block_bytes + records_bytes + tar_padding(records_bytes);
  if ((offset + extended + tar_block_bytes) % payload_alignment == 0) {
    return {};
  }
  // The records fill whole blocks up to an aligned place, two header blocks before it; a shorter
  // rest than the smallest record moves to the next aligned place.
  const std::uint64_t smallest =
      checked_add(checked_add(offset, 2 * tar_block_bytes), records_bytes + min_pax_filler_bytes);
  const std::uint64_t payload = align_up(smallest, payload_alignment);
  return pax_filler(payload - offset - 2 * tar_block_bytes - records_bytes);
}

void check_entry(const fs::RootPath& path, const fs::FileEntry& entry) {
  const auto refuse = [&](std::string_view cause) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot archive {}: {}", quoted(path.to_string()), cause));
  };
  // OCI image-spec, layer.md, "Whiteouts": such a name would delete a file of a lower layer.
  if (path.filename().starts_with(".wh.")) {
    refuse("names that start with '.wh.' mean deleted files in image layers");
  }
  if (path.is_root() && entry.type != fs::FileType::directory) {
    refuse("the root is a directory");
  }
  const bool is_link = entry.type == fs::FileType::symlink || entry.type == fs::FileType::hard_link;
  if (is_link && (entry.link_target.empty() || entry.link_target.size() > fs::RootPath::max_bytes ||
                  entry.link_target.find('\0') != std::string::npos)) {
    refuse("its link target is empty, longer than 4096 bytes, or contains a NUL byte");
  }
}

std::string name_of(const fs::RootPath& path, const fs::FileEntry& entry) {
  if (path.is_root()) {
    return "./";
  }
  return entry.type == fs::FileType::directory ? path.text() + "/" : path.text();
}

} // namespace

std::string tar_header(const fs::RootPath& path, const fs::FileEntry& entry,
                       std::optional<std::uint64_t> align_payload_at) {
  check_entry(path, entry);
  const bool is_link = entry.type == fs::FileType::symlink || entry.type == fs::FileType::hard_link;
  const bool is_regular = entry.type == fs::FileType::regular;
  const std::uint64_t size = is_regular ? entry.size() : 0;
  const std::string name = name_of(path, entry);

  Block block;
  std::string records; // in the order of their keys: gid, linkpath, mtime, path, size, uid
  // A number that does not fit its field goes into a record, and the field holds zero.
  const auto number = [&](tar::Field field, std::string_view key, std::uint64_t value,
                          std::uint64_t most) {
    if (value > most) {
      records += pax_record(key, fmt::format("{}", value));
    }
    block.number(field, value > most ? 0 : value);
  };
  number(tar::gid, "gid", entry.gid, max_octal_id);
  if (is_link) {
    const bool fits = entry.link_target.size() <= tar::link_name.length;
    if (!fits) {
      records += pax_record("linkpath", entry.link_target);
    }
    block.text(tar::link_name, head_of(entry.link_target, tar::link_name.length));
  }
  if (entry.mtime < 0) {
    records += pax_record("mtime", fmt::format("{}", entry.mtime));
    block.number(tar::mtime, 0);
  } else {
    number(tar::mtime, "mtime", static_cast<std::uint64_t>(entry.mtime), max_octal_long);
  }
  const auto fitting = split_name(name);
  if (!fitting) {
    records += pax_record("path", name);
  }
  block.text(tar::prefix, fitting ? fitting->prefix : std::string_view());
  block.text(tar::name, fitting ? fitting->name : head_of(name, tar::name.length));
  number(tar::size, "size", size, max_octal_long);
  number(tar::uid, "uid", entry.uid, max_octal_id);
  block.number(tar::mode, is_link ? 0777 : entry.mode & 07777U);
  block.type(type_flag(entry.type));

  if (align_payload_at && is_regular) {
    assert(*align_payload_at % tar_block_bytes == 0);
    records.insert(0, filler_for(*align_payload_at, records.size())); // "comment" sorts first
  }
  std::string header;
  if (!records.empty()) {
    header = pax_header(path.filename(), records);
  }
  header += block.finish();
  return header;
}

std::uint64_t tar_padding(std::uint64_t size) noexcept {
  return (tar_block_bytes - size % tar_block_bytes) % tar_block_bytes;
}

void TarWriter::write(std::string_view bytes) {
  sink_.write(io::as_bytes(bytes));
  offset_ += bytes.size();
}

void TarWriter::add(const fs::RootPath& path, const fs::FileEntry& entry, const Operation& op) {
  op.check();
  write(tar_header(path, entry));
  if (entry.type != fs::FileType::regular || entry.size() == 0) {
    return;
  }
  // Not io::copy: the header has promised a size, and content that does not keep to it must not
  // shift the members behind it.
  const std::uint64_t size = entry.size();
  const auto source = entry.content->open();
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min<std::uint64_t>(io::copy_buffer_bytes, size + 1)));
  std::uint64_t rest = size;
  for (;;) {
    op.check();
    const std::size_t count = source->read(buffer);
    if (count > rest || (count == 0 && rest != 0)) {
      throw Error(ErrorCode::io,
                  fmt::format("cannot archive {}: its content is {} than the {} bytes it should be",
                              quoted(path.to_string()), count > rest ? "longer" : "shorter", size));
    }
    if (count == 0) {
      break;
    }
    sink_.write(std::span(buffer).first(count));
    offset_ += count;
    rest -= count;
  }
  write(std::string(tar_padding(size), '\0'));
}

void TarWriter::finish() {
  write(std::string(tar_trailer_bytes, '\0'));
}

} // namespace aipack::archive
