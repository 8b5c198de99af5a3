#include "aipack/codec/compression.hpp"
#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/reader.hpp"

#include "tar_walk.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace aipack::image {
namespace {

using Files = std::map<fs::RootPath, StoredFile>;

// OCI image-spec 1.1, layer.md, "Whiteouts".
constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_whiteout = ".wh..wh..opq";

const blob::BlobSource& open_layer(const StoredLayer& layer) {
  if (!layer.blob) {
    throw Error(ErrorCode::not_found, fmt::format("cannot read the layer {}: its blob is missing",
                                                  layer.descriptor.digest.to_string()));
  }
  return *layer.blob;
}

std::string layer_name(const StoredLayer& layer) {
  return fmt::format("layer {}", layer.descriptor.digest.to_string());
}

bool is_plain(const blob::BlobSource& blob) {
  std::array<std::byte, 8> head{};
  const auto source = blob.open();
  const auto filled = io::fill(*source, head);
  return codec::detect_encoding(std::span(head).first(filled)) == codec::Encoding::plain;
}

/// Reads what is left: the end is where sources verify.
void drain(io::ByteSource& source, const Operation& op) {
  io::NullSink nowhere;
  io::copy(source, nowhere, op);
}

/// A source that someone else owns.
class Borrowed final : public io::ByteSource {
public:
  explicit Borrowed(io::ByteSource& source) noexcept : source_(source) {}
  std::size_t read(std::span<std::byte> into) override { return source_.read(into); }

private:
  io::ByteSource& source_;
};

void check_ends(const std::vector<archive::TarMember>& members, std::uint64_t tar_bytes,
                const std::string& name) {
  for (const auto& member : members) {
    if (checked_add(member.data_offset, member.size) > tar_bytes) {
      throw FormatError(name, tar_bytes,
                        fmt::format("{} ends behind it", quoted(member.path.text())));
    }
  }
}

std::vector<archive::TarMember> read_members(const StoredLayer& layer, const ReadLimits& limits,
                                             const Operation& op) {
  std::vector<archive::TarMember> members;
  const auto name = layer_name(layer);
  const auto& blob = open_layer(layer);
  if (is_plain(blob)) {
    const auto open_at = [&](std::uint64_t offset) {
      return std::make_unique<CompletedTar>(blob.open(offset));
    };
    walk_headers(open_at, name, limits.tar, op,
                 [&](const archive::TarMember& member) { members.push_back(member); });
    check_ends(members, blob.descriptor().size_bytes, name);
    return members;
  }
  CompletedTar tar(codec::make_decompressor(blob.open(), limits.tar.max_total_bytes, name));
  archive::TarReader reader(std::make_unique<Borrowed>(tar), name, limits.tar);
  while (auto member = reader.next()) {
    op.check();
    members.push_back(std::move(*member));
  }
  drain(tar, op);
  check_ends(members, tar.real_bytes(), name);
  return members;
}

void erase_below(Files& files, const fs::RootPath& directory) {
  auto at = files.upper_bound(directory);
  while (at != files.end() && at->first.is_within(directory)) {
    at = files.erase(at);
  }
}

void erase_with_content(Files& files, const fs::RootPath& path) {
  erase_below(files, path);
  files.erase(path);
}

/// Whiteouts hide what is below their layer, never what is in it, wherever they stand in the tar.
void apply_whiteouts(Files& files, const std::vector<archive::TarMember>& members) {
  for (const auto& member : members) {
    const auto base = member.path.filename();
    if (base == opaque_whiteout) {
      erase_below(files, member.path.parent());
    } else if (base.starts_with(whiteout_prefix)) {
      const auto hidden = base.substr(whiteout_prefix.size());
      if (const auto path = fs::RootPath::try_parse(hidden); path && !path->is_root()) {
        erase_with_content(files, member.path.parent() / hidden);
      }
    }
  }
}

void apply_member(Files& files, const archive::TarMember& member, std::size_t layer) {
  StoredFile file{member.type, member.mode,        member.uid, member.gid,        member.mtime,
                  member.size, member.link_target, layer,      member.data_offset};
  if (member.type == fs::FileType::hard_link) {
    // The content is the target's as it is now; a later layer that replaces the target does not
    // change this name.
    const auto target = files.find(fs::RootPath::parse(member.link_target));
    if (target == files.end() || target->second.type == fs::FileType::directory) {
      throw FormatError(
          member.path.text(), std::nullopt,
          fmt::format("it is a hard link to {}, which is missing", quoted(member.link_target)));
    }
    file.size = target->second.size;
    file.layer = target->second.layer;
    file.data_offset = target->second.data_offset;
  }
  if (member.type != fs::FileType::directory) {
    erase_below(files, member.path);
  }
  files.insert_or_assign(member.path, std::move(file));
}

/// The path that holds the content which `path` leads to.
std::optional<fs::RootPath> resolve(const Files& files, const fs::RootPath& path) {
  fs::FileTree tree;
  for (const auto& [name, file] : files) {
    fs::FileEntry entry;
    entry.type = file.type == fs::FileType::hard_link ? fs::FileType::regular : file.type;
    entry.link_target = file.link_target;
    tree.put(name, std::move(entry));
  }
  tree.add_missing_parents(0);
  return tree.resolve(path);
}

void skip(io::ByteSource& source, std::uint64_t bytes, const std::string& name,
          const Operation& op) {
  std::vector<std::byte> buffer(io::copy_buffer_bytes);
  while (bytes > 0) {
    op.check();
    const auto want = std::min<std::uint64_t>(bytes, buffer.size());
    const auto count = source.read(std::span(buffer).first(static_cast<std::size_t>(want)));
    if (count == 0) {
      throw FormatError(name, std::nullopt, "it ends early");
    }
    bytes -= count;
  }
}

/// A part of a source that someone else owns.
class Part final : public io::ByteSource {
public:
  Part(io::ByteSource& source, std::uint64_t bytes, const std::string& name) noexcept
      : source_(source), rest_(bytes), name_(name) {}
  [[nodiscard]] std::uint64_t rest() const noexcept { return rest_; }

  std::size_t read(std::span<std::byte> into) override {
    const auto want = std::min<std::uint64_t>(rest_, into.size());
    if (want == 0) {
      return 0;
    }
    const auto count = source_.read(into.first(static_cast<std::size_t>(want)));
    if (count == 0) {
      throw FormatError(name_, std::nullopt, "it ends early");
    }
    rest_ -= count;
    return count;
  }

private:
  io::ByteSource& source_;
  std::uint64_t rest_;
  const std::string& name_;
};

/// Of one layer: where a content is, and the files that are names of it.
using Contents =
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<std::size_t>>; // offset, size

void read_layer_contents(const StoredLayer& layer, const Contents& contents,
                         const TakeContent& take, const ReadLimits& limits, const Operation& op) {
  const auto name = layer_name(layer);
  const auto& blob = open_layer(layer);
  const bool plain = is_plain(blob);
  std::unique_ptr<io::ByteSource> source;
  if (!plain) {
    source = codec::make_decompressor(blob.open(), limits.tar.max_total_bytes, name);
  }
  std::uint64_t at = 0;
  for (const auto& [place, which] : contents) {
    op.check();
    const auto [offset, size] = place;
    if (plain) {
      source = blob.open(offset);
    } else if (offset < at) {
      throw FormatError(name, offset, "its files overlap");
    } else {
      skip(*source, offset - at, name, op);
    }
    Part content(*source, size, name);
    take(which, content);
    if (!plain) {
      skip(content, content.rest(), name, op);
      at = checked_add(offset, size);
    }
  }
  if (!plain) {
    drain(*source, op);
  }
}

std::string read_content(const StoredLayer& layer, const StoredFile& file, const ReadLimits& limits,
                         const Operation& op) {
  const auto name = layer_name(layer);
  const auto& blob = open_layer(layer);
  std::unique_ptr<io::ByteSource> source;
  if (is_plain(blob)) {
    source = blob.open(file.data_offset);
  } else {
    source = codec::make_decompressor(blob.open(), limits.tar.max_total_bytes, name);
    skip(*source, file.data_offset, name, op);
  }
  std::string content(static_cast<std::size_t>(file.size), '\0');
  auto rest = std::as_writable_bytes(std::span(content));
  while (!rest.empty()) {
    op.check();
    const auto count = source->read(rest);
    if (count == 0) {
      throw FormatError(name, std::nullopt, "it ends early");
    }
    rest = rest.subspan(count);
  }
  return content;
}

} // namespace

std::map<fs::RootPath, StoredFile> list_files(const StoredImage& image, const Operation& op,
                                              const ReadLimits& limits) {
  return with_context(
      [&] {
        Files files;
        for (std::size_t layer = 0; layer < image.layers.size(); ++layer) {
          const auto members = read_members(image.layers[layer], limits, op);
          apply_whiteouts(files, members);
          for (const auto& member : members) {
            if (!member.path.is_root() && !member.path.filename().starts_with(whiteout_prefix)) {
              apply_member(files, member, layer);
            }
          }
          if (files.size() > limits.tar.max_entries) {
            throw FormatError(image.name, std::nullopt, "it has more files than the limits allow");
          }
        }
        return files;
      },
      fmt::format("while listing the files of {}", image.name));
}

std::optional<std::string> find_file(const StoredImage& image, const fs::RootPath& path,
                                     const Operation& op, const ReadLimits& limits) {
  const auto files = list_files(image, op, limits);
  const auto resolved = resolve(files, path);
  const auto found = resolved ? files.find(*resolved) : files.end();
  if (found == files.end() || (found->second.type != fs::FileType::regular &&
                               found->second.type != fs::FileType::hard_link)) {
    return std::nullopt;
  }
  const auto& file = found->second;
  if (file.size > limits.max_file_bytes) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot read {} of {}: it is larger than {} bytes",
                            quoted(path.to_string()), image.name, limits.max_file_bytes));
  }
  return read_content(image.layers[file.layer], file, limits, op);
}

void read_contents(const StoredImage& image, const std::vector<StoredFile>& files,
                   const TakeContent& take, const Operation& op, const ReadLimits& limits) {
  std::map<std::size_t, Contents> by_layer;
  for (std::size_t i = 0; i < files.size(); ++i) {
    by_layer[files[i].layer][{files[i].data_offset, files[i].size}].push_back(i);
  }
  with_context(
      [&] {
        for (const auto& [layer, contents] : by_layer) {
          read_layer_contents(image.layers.at(layer), contents, take, limits, op);
        }
      },
      fmt::format("while reading files of {}", image.name));
}

} // namespace aipack::image
