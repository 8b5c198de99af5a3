#include "aipack/image/archive.hpp"

#include "aipack/archive/tar_writer.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/oci/media_type.hpp"

#include "blob_content.hpp"
#include "packed_tar.hpp"

#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::image {
namespace {

/// A file of an archive. Times are 0: an archive says nothing about when it was written.
fs::FileEntry member(fs::ContentPtr content) {
  fs::FileEntry entry;
  entry.content = std::move(content);
  return entry;
}

fs::RootPath blob_path(const oci::Digest& digest) {
  return fs::RootPath::parse("blobs/sha256/" + digest.hex());
}

/// The tar while it is read, and its place on the progress channel.
class ArchiveSource final : public io::ByteSource {
public:
  ArchiveSource(const std::vector<Archive::Member>& members, std::string label, std::uint64_t total,
                const Operation& op)
      : activity_(op, std::move(label), total), op_(activity_.child()),
        tar_(pointers(members), {codec::Codec::none, 0}, 1, op_, activity_) {}
  std::size_t read(std::span<std::byte> into) override { return tar_.read(into); }

private:
  static std::vector<const PlannedEntry*> pointers(const std::vector<Archive::Member>& members) {
    std::vector<const PlannedEntry*> result;
    for (const auto& member : members) {
      result.push_back(&member);
    }
    return result;
  }

  Activity activity_;
  Operation op_;
  PackedTar tar_;
};

// --- docker archives

/// A layer, from wherever it comes.
struct DockerLayer {
  blob::BlobPtr blob;
  oci::Descriptor descriptor;
  oci::Digest diff_id;
  std::uint64_t uncompressed_bytes = 0; ///< 0: not known
};

std::string name_of(const DockerLayer& layer) {
  return fmt::format("layer {}", layer.descriptor.digest.to_string());
}

/// A zstd layer as the tar that it is inside, verified against its diff ID while it is read.
class PlainLayer final : public fs::Content {
public:
  explicit PlainLayer(DockerLayer layer) : layer_(std::move(layer)) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return layer_.uncompressed_bytes; }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
    if (offset != 0) {
      throw Error(ErrorCode::internal,
                  "cannot open a decompressed layer in its middle: it is a stream");
    }
    auto plain =
        codec::make_decompressor(layer_.blob->open(), layer_.uncompressed_bytes, name_of(layer_));
    return std::make_unique<codec::VerifyingSource>(std::move(plain), layer_.diff_id,
                                                    layer_.uncompressed_bytes, name_of(layer_));
  }

private:
  DockerLayer layer_;
};

/// A tar header needs the size in front of the content, so somebody has to look.
std::uint64_t count_uncompressed(const DockerLayer& layer, const Operation& op) {
  const auto plain = codec::make_decompressor(layer.blob->open(), max_layer_bytes, name_of(layer));
  io::NullSink nowhere;
  codec::HashingSink hashed(nowhere);
  io::copy(*plain, hashed, op);
  if (hashed.digest() != layer.diff_id) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot read {}: unpacked it is {}, and the config says {}",
                            name_of(layer), hashed.digest().to_string(),
                            layer.diff_id.to_string()));
  }
  return hashed.size();
}

bool is_one_of(std::string_view media_type, std::initializer_list<std::string_view> types) {
  return std::find(types.begin(), types.end(), media_type) != types.end();
}

/// Where a layer is in a docker archive, and its bytes there: the name is the digest of what is
/// stored.
std::pair<fs::RootPath, fs::ContentPtr> place_layer(DockerLayer layer, const Operation& op) {
  using namespace oci::media_type;
  const auto& type = layer.descriptor.media_type;
  const bool is_zstd = is_one_of(type, {layer_tar_zstd, docker_layer_tar_zstd});
  if (!is_zstd &&
      !is_one_of(type, {layer_tar, layer_tar_gzip, docker_layer_tar, docker_layer_tar_gzip})) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot put {} into a docker archive: it is of the type {}",
                            name_of(layer), quoted(type)));
  }
  if (!layer.blob) {
    throw Error(
        ErrorCode::not_found,
        fmt::format("cannot put {} into a docker archive: its bytes are missing", name_of(layer)));
  }
  if (!is_zstd) {
    return {blob_path(layer.descriptor.digest), std::make_shared<BlobContent>(layer.blob)};
  }
  if (layer.uncompressed_bytes == 0) {
    layer.uncompressed_bytes = count_uncompressed(layer, op);
  }
  const auto path = blob_path(layer.diff_id);
  return {path, std::make_shared<PlainLayer>(std::move(layer))};
}

void check_docker_tag(const std::string& tag) {
  const auto reference = oci::Reference::parse(tag);
  if (reference.tag().empty() || reference.digest()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot name a docker image {}: it must read NAME:TAG", quoted(tag)));
  }
}

Archive make_docker_archive(const oci::Sealed<oci::Config>& config, std::vector<DockerLayer> layers,
                            const std::vector<std::string>& tags, const Operation& op) {
  auto repo_tags = nlohmann::ordered_json::array();
  for (const auto& tag : tags) {
    check_docker_tag(tag);
    repo_tags.push_back(tag);
  }
  fs::FileTree tree;
  const auto config_name = config.descriptor().digest.hex() + ".json";
  tree.put(fs::RootPath::parse(config_name), member(fs::memory_content(config.bytes())));

  auto names = nlohmann::ordered_json::array();
  for (auto& layer : layers) {
    auto [path, content] = place_layer(std::move(layer), op);
    names.push_back(path.text());
    tree.put(path, member(std::move(content)));
  }
  // Source: moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format".
  auto images = nlohmann::ordered_json::array();
  images.push_back(
      {{"Config", config_name}, {"RepoTags", std::move(repo_tags)}, {"Layers", std::move(names)}});
  tree.put(fs::RootPath::parse("manifest.json"), member(fs::memory_content(images.dump())));
  return Archive(std::move(tree));
}

} // namespace

Archive::Archive(fs::FileTree members) : size_bytes_(archive::tar_trailer_bytes) {
  members.add_missing_parents(0);
  for (const auto& [path, entry] : members.entries()) {
    if (path.is_root()) {
      continue;
    }
    const auto frame = archive::tar_header(path, entry).size() + archive::tar_padding(entry.size());
    size_bytes_ = checked_add(size_bytes_, checked_add(entry.size(), frame));
    members_.emplace_back(path, entry);
  }
}

std::unique_ptr<io::ByteSource> Archive::open(std::string label, const Operation& op) const {
  return std::make_unique<ArchiveSource>(members_, std::move(label), size_bytes_, op);
}

WriteReport Archive::write(const std::filesystem::path& file, const Operation& op) const {
  const auto directory = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  io::TempFile temp(directory);
  io::copy(*open(fmt::format("write {}", file.filename().string()), op), temp, op);
  op.check();
  temp.commit(file, io::TempFile::IfExists::replace, io::Durability::synced);
  WriteReport report;
  report.new_bytes = size_bytes_;
  return report;
}

Archive oci_archive(const std::vector<blob::BlobPtr>& blobs, std::vector<oci::Descriptor> entries) {
  fs::FileTree tree;
  for (const auto& blob : blobs) {
    tree.put(blob_path(blob->descriptor().digest), member(std::make_shared<BlobContent>(blob)));
  }
  oci::Index entry_point;
  entry_point.manifests = std::move(entries);
  tree.put(fs::RootPath::parse("index.json"),
           member(fs::memory_content(oci::seal(std::move(entry_point)).bytes())));
  tree.put(fs::RootPath::parse("oci-layout"),
           member(fs::memory_content(R"({"imageLayoutVersion":"1.0.0"})")));
  return Archive(std::move(tree));
}

Archive docker_archive(const Image& image, const std::vector<std::string>& tags,
                       const Operation& op) {
  std::vector<DockerLayer> layers;
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const auto& layer = image.layers[i];
    // The manifest's word on the type: a base's blob keeps the name that its own manifest gives it.
    layers.push_back(
        {layer.blob, image.manifest->layers.at(i), layer.diff_id, layer.uncompressed_bytes});
  }
  return make_docker_archive(image.config, std::move(layers), tags, op);
}

Archive docker_archive(const StoredImage& image, const std::vector<std::string>& tags,
                       const Operation& op) {
  std::vector<DockerLayer> layers;
  for (const auto& layer : image.layers) {
    layers.push_back({layer.blob, layer.descriptor, layer.diff_id});
  }
  return make_docker_archive(image.config, std::move(layers), tags, op);
}

} // namespace aipack::image
