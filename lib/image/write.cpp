#include "aipack/archive/tar_writer.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/annotation.hpp"
#include "aipack/image/image.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/oci/media_type.hpp"

#include "blob_content.hpp"

#include <map>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::image {
namespace {

template <class T>
blob::BlobPtr document_blob(const oci::Sealed<T>& document) {
  return blob::memory_blob(document.descriptor(), document.bytes());
}

/// Every layer once, whichever platforms share it, in digest order.
std::vector<blob::BlobPtr> distinct_layers(const Index& index) {
  std::map<oci::Digest, blob::BlobPtr> blobs;
  for (const auto& image : index.images) {
    for (const auto& layer : image.layers) {
      blobs.emplace(layer.blob->descriptor().digest, layer.blob);
    }
  }
  std::vector<blob::BlobPtr> result;
  for (auto& [digest, blob] : blobs) {
    result.push_back(std::move(blob));
  }
  return result;
}

std::uint64_t total_bytes(const std::vector<blob::BlobPtr>& blobs) {
  std::uint64_t bytes = 0;
  for (const auto& blob : blobs) {
    bytes += blob->descriptor().size_bytes;
  }
  return bytes;
}

void count(WriteReport& report, blob::Placement placement, std::uint64_t bytes) {
  switch (placement) {
  case blob::Placement::present:
    report.reused_bytes += bytes;
    return;
  case blob::Placement::linked:
  case blob::Placement::cloned:
    report.cloned_bytes += bytes;
    return;
  case blob::Placement::copied:
    report.new_bytes += bytes;
    return;
  }
}

/// A file of an archive. Times are 0: an archive says nothing about when it was written.
fs::FileEntry member(fs::ContentPtr content) {
  fs::FileEntry entry;
  entry.content = std::move(content);
  return entry;
}

fs::RootPath blob_path(const oci::Digest& digest) {
  return fs::RootPath::parse("blobs/sha256/" + digest.hex());
}

/// Shows bytes on the progress channel as they pass.
class CountingSink final : public io::ByteSink {
public:
  CountingSink(io::ByteSink& next, Activity& activity) : next_(next), activity_(activity) {}
  void write(std::span<const std::byte> bytes) override {
    next_.write(bytes);
    activity_.advance(bytes.size());
  }

private:
  io::ByteSink& next_;
  Activity& activity_;
};

/// Writes `tree` as a tar that appears whole or not at all.
WriteReport write_archive(fs::FileTree tree, const std::filesystem::path& file,
                          const Operation& op) {
  tree.add_missing_parents(0);
  std::uint64_t total = archive::tar_trailer_bytes;
  for (const auto& [path, entry] : tree.entries()) {
    total += archive::tar_block_bytes + entry.size() + archive::tar_padding(entry.size());
  }
  Activity activity(op, fmt::format("write {}", file.filename().string()), total);
  const auto directory = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  io::TempFile temp(directory);
  CountingSink counted(temp, activity);
  archive::TarWriter tar(counted);
  for (const auto& [path, entry] : tree.entries()) {
    if (path.is_root()) {
      continue;
    }
    op.check();
    tar.add(path, entry, activity.child());
  }
  tar.finish();
  op.check();
  temp.commit(file, io::TempFile::IfExists::replace, io::Durability::synced);
  WriteReport report;
  report.new_bytes = tar.offset();
  return report;
}

/// A zstd layer as the tar that it is inside, verified against its diff ID while it is read.
class PlainLayer final : public fs::Content {
public:
  explicit PlainLayer(const Layer& layer) : layer_(layer) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return layer_.uncompressed_bytes; }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
    if (offset != 0) {
      throw Error(ErrorCode::internal,
                  "cannot open a decompressed layer in its middle: it is a stream");
    }
    const auto name = fmt::format("layer {}", layer_.diff_id.to_string());
    auto plain = codec::make_decompressor(layer_.blob->open(), layer_.uncompressed_bytes, name);
    return std::make_unique<codec::VerifyingSource>(std::move(plain), layer_.diff_id,
                                                    layer_.uncompressed_bytes, name);
  }

private:
  Layer layer_;
};

/// Where a layer is in a docker archive, and its bytes there: the name is the digest of what is
/// stored.
std::pair<fs::RootPath, fs::ContentPtr> docker_layer(const Layer& layer) {
  const auto& descriptor = layer.blob->descriptor();
  if (descriptor.media_type == oci::media_type::layer_tar_zstd) {
    return {blob_path(layer.diff_id), std::make_shared<PlainLayer>(layer)};
  }
  return {blob_path(descriptor.digest), std::make_shared<BlobContent>(layer.blob)};
}

void check_docker_tag(const std::string& tag) {
  const auto reference = oci::Reference::parse(tag);
  if (reference.tag().empty() || reference.digest()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot name a docker image {}: it must read NAME:TAG", quoted(tag)));
  }
}

} // namespace

WriteReport write_layout(const Index& index, blob::Layout& layout, std::string_view tag,
                         unsigned concurrency, const Operation& op) {
  const auto layers = distinct_layers(index);
  std::vector<blob::BlobPtr> configs;
  std::vector<blob::BlobPtr> manifests;
  std::set<oci::Digest> seen;
  for (const auto& image : index.images) {
    if (seen.insert(image.config.descriptor().digest).second) {
      configs.push_back(document_blob(image.config));
    }
    if (seen.insert(image.manifest.descriptor().digest).second) {
      manifests.push_back(document_blob(image.manifest));
    }
  }
  Activity activity(op, fmt::format("write {}", layout.directory().filename().string()),
                    total_bytes(layers));
  WriteReport report;
  std::mutex mutex;
  const auto place_all = [&](const std::vector<blob::BlobPtr>& blobs) {
    for_each(blobs, concurrency, activity.child(),
             [&](const blob::BlobPtr& blob, const Operation& inner) {
               inner.check();
               const auto placement = layout.blobs().place(*blob, inner);
               const auto bytes = blob->descriptor().size_bytes;
               activity.advance(bytes);
               const std::lock_guard lock(mutex);
               count(report, placement, bytes);
             });
  };
  // Whatever is named is there already: layers and configs, then manifests, then the index, and the
  // tag last.
  place_all(layers);
  place_all(configs);
  place_all(manifests);
  place_all({document_blob(index.document)});
  op.check();
  layout.tag(index.document.descriptor(), tag, op);
  return report;
}

WriteReport write_oci_archive(const Index& index, const std::filesystem::path& file,
                              std::string_view tag, const Operation& op) {
  fs::FileTree tree;
  const auto put = [&](const blob::BlobPtr& blob) {
    tree.put(blob_path(blob->descriptor().digest), member(std::make_shared<BlobContent>(blob)));
  };
  for (const auto& image : index.images) {
    put(document_blob(image.config));
    put(document_blob(image.manifest));
  }
  for (const auto& layer : distinct_layers(index)) {
    put(layer);
  }
  put(document_blob(index.document));

  auto root = index.document.descriptor();
  if (!tag.empty()) {
    root.annotations[std::string(annotation::ref_name)] = tag;
  }
  oci::Index entry_point;
  entry_point.manifests.push_back(std::move(root));
  tree.put(fs::RootPath::parse("index.json"),
           member(fs::memory_content(oci::seal(std::move(entry_point)).bytes())));
  tree.put(fs::RootPath::parse("oci-layout"),
           member(fs::memory_content(R"({"imageLayoutVersion":"1.0.0"})")));
  return write_archive(std::move(tree), file, op);
}

WriteReport write_docker_archive(const Image& image, const std::filesystem::path& file,
                                 const std::vector<std::string>& tags, const Operation& op) {
  fs::FileTree tree;
  const auto config_name = image.config.descriptor().digest.hex() + ".json";
  tree.put(fs::RootPath::parse(config_name), member(fs::memory_content(image.config.bytes())));

  auto layers = nlohmann::ordered_json::array();
  for (const auto& layer : image.layers) {
    auto [path, content] = docker_layer(layer);
    layers.push_back(path.text());
    tree.put(path, member(std::move(content)));
  }
  auto repo_tags = nlohmann::ordered_json::array();
  for (const auto& tag : tags) {
    check_docker_tag(tag);
    repo_tags.push_back(tag);
  }
  // Source: moby, image/spec/v1.2.md, "Combined Image JSON + Filesystem Changeset Format".
  auto images = nlohmann::ordered_json::array();
  images.push_back(
      {{"Config", config_name}, {"RepoTags", std::move(repo_tags)}, {"Layers", std::move(layers)}});
  tree.put(fs::RootPath::parse("manifest.json"), member(fs::memory_content(images.dump())));
  return write_archive(std::move(tree), file, op);
}

} // namespace aipack::image
