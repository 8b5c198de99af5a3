#include "aipack/deb/package_file.hpp"

#include "aipack/archive/ar_reader.hpp"
#include "aipack/blob/blob.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

// A binary package, deb(5): an ar archive of
//
//   debian-binary     "2.0\n"; further lines are ignored, another major number is another format
//   _…                members whose names start with an underscore may follow and are ignored
//   control.tar[.*]   control, maintainer scripts, md5sums, conffiles, triggers, shlibs, symbols
//   _…
//   data.tar[.*]      the files
//   …                 whatever follows is ignored
//
// The compression is told by the bytes, not by the name: vendors have been wrong about it.

namespace aipack::deb {
namespace {

constexpr std::uint64_t max_control_tar_bytes = std::uint64_t{64} << 20;
constexpr std::uint64_t max_control_member_bytes = std::uint64_t{16} << 20;
constexpr std::uint64_t max_data_tar_bytes = std::uint64_t{32} << 30;
constexpr std::uint64_t max_format_bytes = 4096;
constexpr std::uint64_t max_sum_bytes = 4096;

constexpr std::array<std::string_view, 5> script_names{"preinst", "postinst", "prerm", "postrm",
                                                       "config"};
constexpr std::array<std::string_view, 5> metadata_names{"conffiles", "md5sums", "triggers",
                                                         "shlibs", "symbols"};

bool starts_with(std::string_view text, std::string_view start) noexcept {
  return text.substr(0, start.size()) == start;
}

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) noexcept {
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct Parts {
  archive::ArMember control;
  archive::ArMember data;
};

std::unique_ptr<io::ByteSource> open_member(const std::shared_ptr<const io::File>& file,
                                            const archive::ArMember& member) {
  return std::make_unique<io::FileSource>(file, member.offset, member.size);
}

/// The members in the order that deb(5) prescribes.
Parts find_parts(const std::shared_ptr<const io::File>& file, const std::string& name) {
  const io::FileAccess access(file);
  auto members = archive::read_ar(access, name);
  std::size_t at = 0;
  const auto bad = [&](std::string_view cause) {
    return FormatError(name, at < members.size() ? std::optional(members[at].offset) : std::nullopt,
                       cause);
  };
  if (members.empty() || members.front().name != "debian-binary") {
    throw bad("not a Debian package: its first member is not 'debian-binary'");
  }
  const std::string format =
      io::read_text(*open_member(file, members.front()), max_format_bytes, name);
  if (!starts_with(format, "2.")) {
    throw FormatError(name, members.front().offset,
                      fmt::format("format version {} is not 2.x", aipack::quoted(trim(format))),
                      ErrorCode::unsupported);
  }
  const auto next = [&](std::string_view wanted) {
    for (++at; at < members.size(); ++at) {
      const std::string_view member = members[at].name;
      if (member == wanted || starts_with(member, std::string(wanted) + ".")) {
        return members[at];
      }
      if (!starts_with(member, "_")) {
        throw bad(fmt::format("member {} stands where {} must", aipack::quoted(member),
                              aipack::quoted(wanted)));
      }
    }
    throw bad(fmt::format("it has no member {}", aipack::quoted(wanted)));
  };
  const archive::ArMember control = next("control.tar");
  const archive::ArMember data = next("data.tar");
  return {control, data};
}

void read_control(const std::shared_ptr<const io::File>& file, const archive::ArMember& member,
                  const std::string& name, PackageFile& result, const Operation& op) {
  const std::string tar_name = fmt::format("{} ({})", name, member.name);
  archive::TarReader tar(
      codec::make_decompressor(open_member(file, member), max_control_tar_bytes, tar_name),
      tar_name,
      {.max_entries = 4096,
       .max_entry_bytes = max_control_member_bytes,
       .max_total_bytes = max_control_tar_bytes});
  bool found = false;
  while (const auto entry = tar.next()) {
    op.check();
    if (entry->type != fs::FileType::regular) {
      continue;
    }
    const std::string& path = entry->path.text();
    if (path == "control") {
      found = true;
      result.control_text = io::read_text(tar.content(), max_control_bytes, tar_name);
    } else if (contains(script_names, path)) {
      result.scripts[path] = io::read_text(tar.content(), max_control_member_bytes, tar_name);
    } else if (contains(metadata_names, path)) {
      result.metadata[path] = io::read_text(tar.content(), max_control_member_bytes, tar_name);
    }
  }
  if (!found) {
    throw FormatError(tar_name, std::nullopt, "it has no file 'control'");
  }
  auto paragraphs = parse_control(result.control_text, fmt::format("{} (control)", name));
  if (paragraphs.size() != 1) {
    throw FormatError(tar_name, std::nullopt,
                      fmt::format("control has {} paragraphs instead of one", paragraphs.size()));
  }
  result.control = std::move(paragraphs.front());
  for (const char* field : {"Package", "Version", "Architecture"}) {
    if (result.control.find(field).value_or("").empty()) {
      throw FormatError(tar_name, std::nullopt, fmt::format("control has no field '{}'", field));
    }
  }
}

/// Where the digest of an unpacked data.tar stands, in the format of sha256sum(1): written after
/// the tar, when all of it was hashed on its way.
std::filesystem::path sum_file(const std::filesystem::path& tar) {
  return std::filesystem::path(tar) += ".sha256";
}

std::string sum_line(const std::filesystem::path& tar, const oci::Digest& digest) {
  return fmt::format("{}  {}\n", digest.hex(), tar.filename().string());
}

/// Whether the tar is there with the bytes that were unpacked. A state of it that was hashed before
/// is not hashed again.
bool is_intact(const std::filesystem::path& tar, blob::DigestCache& hashed, const Operation& op) {
  try {
    const std::string sum = io::read_text_file(sum_file(tar), max_sum_bytes);
    return sum == sum_line(tar, blob::file_digest(tar, hashed, op));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) {
      throw;
    }
    return false; // absent, as a rule
  }
}

/// The uncompressed data.tar in the cache, made when it is not there as it was made before. Of
/// several calls at once one makes it.
std::filesystem::path unpack_data(const std::shared_ptr<const io::File>& file,
                                  const archive::ArMember& member, const std::string& name,
                                  const oci::Digest& digest, const std::filesystem::path& cache_dir,
                                  const Operation& op) {
  auto target = cache_dir / (digest.hex() + ".tar");
  blob::DigestCache hashed(cache_dir / "hashed");
  if (is_intact(target, hashed, op)) {
    hashed.save();
    return target;
  }
  std::error_code error;
  std::filesystem::create_directories(cache_dir, error);
  if (error) {
    throw_errno(fmt::format("create {}", aipack::quoted(cache_dir.string())), error.value());
  }
  const io::FileLock lock(std::filesystem::path(target) += ".lock", op,
                          io::FileLock::Afterwards::remove);
  if (is_intact(target, hashed, op)) {
    return target; // Somebody else was faster.
  }
  const auto source = codec::make_decompressor(open_member(file, member), max_data_tar_bytes,
                                               fmt::format("{} ({})", name, member.name));
  io::TempFile temp(cache_dir);
  codec::HashingSink sink(temp);
  io::copy(*source, sink, op);
  temp.commit(target, io::TempFile::IfExists::replace, io::Durability::cached, 0644);
  io::write_file_atomically(sum_file(target), io::as_bytes(sum_line(target, sink.digest())));
  return target;
}

void list_data(const std::filesystem::path& tar_path, const std::string& name, PackageFile& result,
               const Operation& op) {
  const auto file = std::make_shared<const io::File>(io::File::open(tar_path));
  const io::FileIdentity identity = file->identity();
  archive::TarReader tar(std::make_unique<io::FileSource>(file),
                         fmt::format("{} (data.tar)", name));
  while (auto entry = tar.next()) {
    op.check();
    fs::ContentPtr content;
    if (entry->type == fs::FileType::regular) {
      content =
          std::make_shared<fs::FileExtent>(tar_path, entry->data_offset, entry->size, identity);
    }
    result.members.push_back({std::move(*entry), std::move(content)});
  }
}

} // namespace

PackageFile open_package(const std::filesystem::path& deb_file, const oci::Digest& digest,
                         const std::filesystem::path& cache_dir, const Operation& op) {
  const std::string name = deb_file.filename().string();
  return with_context(
      [&] {
        const auto file = std::make_shared<const io::File>(io::File::open(deb_file));
        const Parts parts = find_parts(file, name);
        PackageFile result;
        read_control(file, parts.control, name, result, op);
        list_data(unpack_data(file, parts.data, name, digest, cache_dir, op), name, result, op);
        return result;
      },
      fmt::format("while opening package {}", aipack::quoted(deb_file.string())));
}

} // namespace aipack::deb
