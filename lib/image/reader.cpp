#include "aipack/image/reader.hpp"

#include "aipack/blob/layout.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/annotation.hpp"
#include "aipack/oci/media_type.hpp"

#include "archive_index.hpp"
#include "docker_archive.hpp"

#include <algorithm>
#include <functional>
#include <memory>

#include <fmt/format.h>

namespace aipack::image {
namespace {

constexpr std::string_view created_by_prefix = "aipack: ";

/// Gives the blob of a descriptor, or null.
using FindBlob = std::function<blob::BlobPtr(const oci::Descriptor&)>;

std::string read_document(const blob::BlobSource& blob, std::uint64_t limit,
                          std::string_view what) {
  const auto source = blob.open();
  return io::read_text(*source, limit, what);
}

std::optional<Purpose> purpose_from(std::string_view text) {
  try {
    return parse_purpose(text);
  } catch (const Error&) {
    return std::nullopt; // a later aipack's word
  }
}

/// History entries that stand for a layer, bottom first.
std::vector<const oci::HistoryEntry*> layer_history(const oci::Config& config) {
  std::vector<const oci::HistoryEntry*> result;
  for (const auto& entry : config.history) {
    if (!entry.empty_layer) {
      result.push_back(&entry);
    }
  }
  return result;
}

/// Annotations say what a layer is for; formats that drop them keep the history, which says it too.
void describe(StoredLayer& layer, const oci::HistoryEntry* history) {
  const auto& notes = layer.descriptor.annotations;
  const auto note = [&](std::string_view key) -> const std::string* {
    const auto found = notes.find(std::string(key));
    return found == notes.end() ? nullptr : &found->second;
  };
  if (const auto* purpose = note(annotation::layer_purpose)) {
    layer.purpose = purpose_from(*purpose);
  }
  if (const auto* title = note(annotation::layer_title)) {
    layer.title = *title;
  }
  if (const auto* files = note(annotation::layer_files)) {
    layer.file_count = parse_decimal(*files);
  }
  if (history == nullptr) {
    return;
  }
  const std::string_view created_by = history->created_by;
  const bool is_ours = created_by.starts_with(created_by_prefix);
  if (!layer.purpose && is_ours) {
    layer.purpose = purpose_from(created_by.substr(created_by_prefix.size()));
  }
  if (layer.title.empty()) {
    layer.title = is_ours ? history->comment : history->created_by;
  }
}

StoredImage make_stored(std::string name, oci::Sealed<oci::Manifest> manifest,
                        oci::Sealed<oci::Config> config,
                        const std::optional<oci::Platform>& platform, const FindBlob& find,
                        const ReadLimits& limits) {
  const auto& descriptors = manifest->layers;
  const auto& diff_ids = config->diff_ids;
  if (descriptors.size() > limits.max_layers) {
    throw FormatError(
        name, std::nullopt,
        fmt::format("it has {} layers, {} are allowed", descriptors.size(), limits.max_layers));
  }
  if (descriptors.size() != diff_ids.size()) {
    throw FormatError(name, std::nullopt,
                      fmt::format("its manifest has {} layers and its config {} diff IDs",
                                  descriptors.size(), diff_ids.size()));
  }
  const auto history = layer_history(config.value());
  std::vector<StoredLayer> layers;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    StoredLayer layer{descriptors[i], diff_ids[i], find(descriptors[i])};
    describe(layer, history.size() == descriptors.size() ? history[i] : nullptr);
    layers.push_back(std::move(layer));
  }
  // An index that names no architecture leaves it to the config.
  auto known = platform && !platform->architecture.empty() ? *platform : config->platform;
  return StoredImage{std::move(name), std::move(known), std::move(manifest), std::move(config),
                     std::move(layers)};
}

/// Attestations (platform unknown/unknown) and other artifacts are stored as manifests as well.
bool is_container_image(const oci::Manifest& manifest,
                        const std::optional<oci::Platform>& platform) {
  if (platform && platform->os == "unknown") {
    return false;
  }
  const auto& type = manifest.config.media_type;
  return manifest.artifact_type.empty() &&
         (type == oci::media_type::config ||
          type == "application/vnd.docker.container.image.v1+json");
}

/// Walks from a root descriptor to every image under it.
class Resolver {
public:
  Resolver(std::string name, FindBlob find, const ReadLimits& limits, const Operation& op)
      : name_(std::move(name)), find_(std::move(find)), limits_(limits), op_(op) {}

  std::optional<oci::Sealed<oci::Index>> index;
  std::vector<StoredImage> images;
  std::vector<oci::Descriptor> absent;

  void visit(const oci::Descriptor& descriptor, unsigned depth = 0) {
    op_.check();
    if (++visited_ > limits_.max_manifests) {
      throw FormatError(name_, std::nullopt,
                        fmt::format("it names more than {} manifests", limits_.max_manifests));
    }
    const auto blob = find_(descriptor);
    if (!blob) {
      if (depth == 0) {
        throw Error(ErrorCode::not_found,
                    fmt::format("cannot open {}: the blob {} is missing", quoted(name_),
                                descriptor.digest.to_string()));
      }
      absent.push_back(descriptor);
      return;
    }
    const auto what = fmt::format("{} of {}", descriptor.digest.to_string(), quoted(name_));
    if (oci::is_index(descriptor.media_type)) {
      visit_index(oci::parse_index(read_document(*blob, oci::max_manifest_bytes, what), what),
                  depth);
    } else if (oci::is_manifest(descriptor.media_type)) {
      visit_manifest(oci::parse_manifest(read_document(*blob, oci::max_manifest_bytes, what), what),
                     descriptor.platform, what);
    } else if (depth == 0) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot open {}: {} is no image", quoted(name_),
                              quoted(descriptor.media_type)));
    }
  }

private:
  void visit_index(oci::Sealed<oci::Index> document, unsigned depth) {
    if (depth >= max_index_depth) {
      throw FormatError(name_, std::nullopt, "its indexes are nested too deeply");
    }
    const auto manifests = document->manifests;
    if (depth == 0) {
      index = std::move(document);
    }
    for (const auto& descriptor : manifests) {
      visit(descriptor, depth + 1);
    }
  }

  void visit_manifest(oci::Sealed<oci::Manifest> manifest,
                      const std::optional<oci::Platform>& platform, const std::string& what) {
    if (!is_container_image(manifest.value(), platform)) {
      return;
    }
    const auto config_blob = find_(manifest->config);
    if (!config_blob) {
      throw Error(ErrorCode::not_found, fmt::format("cannot open {}: its config {} is missing",
                                                    what, manifest->config.digest.to_string()));
    }
    const auto config_name = fmt::format("the config of {}", what);
    auto config = oci::parse_config(read_document(*config_blob, oci::max_config_bytes, config_name),
                                    config_name);
    images.push_back(
        make_stored(what, std::move(manifest), std::move(config), platform, find_, limits_));
  }

  std::string name_;
  FindBlob find_;
  const ReadLimits& limits_;
  const Operation& op_;
  std::size_t visited_ = 0;
};

std::string tag_of(const oci::Descriptor& descriptor) {
  const auto found = descriptor.annotations.find(std::string(annotation::ref_name));
  return found == descriptor.annotations.end() ? std::string() : found->second;
}

/// As blob::Layout::resolve does for a directory.
oci::Descriptor resolve_tag(const oci::Index& index, const std::string& tag,
                            const std::string& name) {
  if (tag.empty() && index.manifests.size() == 1) {
    return index.manifests.front();
  }
  std::string tags;
  for (const auto& descriptor : index.manifests) {
    const auto known = tag_of(descriptor);
    if (!tag.empty() && known == tag) {
      return descriptor;
    }
    if (!known.empty()) {
      tags += (tags.empty() ? "" : ", ") + quoted(known);
    }
  }
  const auto wanted = tag.empty() ? std::string("the only image") : quoted(tag);
  throw Error(ErrorCode::not_found, fmt::format("cannot find {} in {}: its tags are {}", wanted,
                                                quoted(name), tags.empty() ? "none" : tags));
}

oci::Descriptor open_layout(const Location& location, FindBlob& find) {
  const auto layout = std::make_shared<const blob::Layout>(blob::Layout::open(location.path));
  find = [layout](const oci::Descriptor& descriptor) { return layout->blobs().find(descriptor); };
  return layout->resolve(location.tag);
}

oci::Descriptor open_oci_archive(const Location& location, const ReadLimits& limits,
                                 const Operation& op, FindBlob& find) {
  const auto archive = std::make_shared<const ArchiveIndex>(location.path, limits.tar, op);
  find = [archive](const oci::Descriptor& descriptor) -> blob::BlobPtr {
    const auto* place =
        archive->find(fs::RootPath::parse("blobs/sha256/" + descriptor.digest.hex()));
    return place != nullptr ? archive->blob(descriptor, *place) : nullptr;
  };
  const auto name = fmt::format("index.json of {}", quoted(archive->name()));
  const auto index = oci::parse_index(
      archive->text(fs::RootPath::parse("index.json"), oci::max_manifest_bytes), name);
  return resolve_tag(index.value(), location.tag, archive->name());
}

std::string_view layer_media_type(codec::Encoding encoding, const std::string& name) {
  switch (encoding) {
  case codec::Encoding::plain:
    return oci::media_type::layer_tar;
  case codec::Encoding::gzip:
    return oci::media_type::layer_tar_gzip;
  case codec::Encoding::zstd:
    return oci::media_type::layer_tar_zstd;
  case codec::Encoding::xz:
  case codec::Encoding::bzip2:
  case codec::Encoding::lzma:
    break;
  }
  throw Error(
      ErrorCode::unsupported,
      fmt::format("cannot read {}: no image format has layers with its compression", quoted(name)));
}

/// The descriptor of a layer of a docker archive, which has none: a plain layer's digest is its
/// diff ID, another's is computed.
oci::Descriptor describe_docker_layer(const ArchiveIndex& archive, const MemberPlace& place,
                                      const oci::Digest& diff_id, const std::string& path,
                                      const Operation& op) {
  std::array<std::byte, 8> head{};
  const auto count = place.size_bytes == 0 ? 0 : archive.open(place)->read(head);
  const auto encoding = codec::detect_encoding(std::span(head).first(count));
  const auto media_type = std::string(layer_media_type(encoding, path));
  const auto digest =
      encoding == codec::Encoding::plain ? diff_id : codec::sha256(*archive.open(place), op);
  return {media_type, digest, place.size_bytes};
}

const MemberPlace& get_member(const ArchiveIndex& archive, const std::string& path) {
  const auto parsed = fs::RootPath::try_parse(path);
  const auto* place = parsed ? archive.find(*parsed) : nullptr;
  if (place == nullptr) {
    throw FormatError(archive.name(), std::nullopt,
                      fmt::format("its manifest names {}, which is missing", quoted(path)));
  }
  return *place;
}

StoredImage open_docker_archive(const Location& location, const ReadLimits& limits,
                                const Operation& op) {
  const ArchiveIndex archive(location.path, limits.tar, op);
  const auto name = fmt::format("manifest.json of {}", quoted(archive.name()));
  const auto images = parse_docker_manifest(
      archive.text(fs::RootPath::parse("manifest.json"), oci::max_manifest_bytes), name);
  const auto& chosen = choose_docker_image(images, location.tag, archive.name());

  const auto config_name = fmt::format("the config of {}", quoted(archive.name()));
  const auto config_source = archive.open(get_member(archive, chosen.config));
  auto config = oci::parse_config(io::read_text(*config_source, oci::max_config_bytes, config_name),
                                  config_name);
  if (chosen.layers.size() != config->diff_ids.size() || chosen.layers.size() > limits.max_layers) {
    throw FormatError(archive.name(), std::nullopt,
                      fmt::format("it has {} layers and {} diff IDs", chosen.layers.size(),
                                  config->diff_ids.size()));
  }
  std::map<oci::Digest, blob::BlobPtr> blobs;
  oci::Manifest manifest{.config = {std::string(oci::media_type::config),
                                    config.descriptor().digest, config.descriptor().size_bytes}};
  for (std::size_t i = 0; i < chosen.layers.size(); ++i) {
    const auto& place = get_member(archive, chosen.layers[i]);
    auto descriptor =
        describe_docker_layer(archive, place, config->diff_ids[i], chosen.layers[i], op);
    blobs[descriptor.digest] = archive.blob(descriptor, place);
    manifest.layers.push_back(std::move(descriptor));
  }
  const auto find = [&](const oci::Descriptor& descriptor) { return blobs.at(descriptor.digest); };
  return make_stored(archive.name(), oci::seal(std::move(manifest)), std::move(config),
                     std::nullopt, find, limits);
}

} // namespace

ImageSource ImageSource::open(const Location& location, const Operation& op,
                              const ReadLimits& limits) {
  FindBlob find;
  const auto name = location.to_string();
  const auto from_descriptor = [&](const oci::Descriptor& descriptor) {
    Resolver resolver(name, find, limits, op);
    resolver.visit(descriptor);
    ImageSource source(name, descriptor);
    source.index_ = std::move(resolver.index);
    source.images_ = std::move(resolver.images);
    source.absent_ = std::move(resolver.absent);
    return source;
  };
  switch (location.kind) {
  case Location::Kind::layout:
    return from_descriptor(open_layout(location, find));
  case Location::Kind::oci_archive:
    return from_descriptor(open_oci_archive(location, limits, op, find));
  case Location::Kind::docker_archive: {
    auto image = open_docker_archive(location, limits, op);
    ImageSource source(name, image.manifest.descriptor());
    source.images_.push_back(std::move(image));
    return source;
  }
  case Location::Kind::registry:
    break;
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("cannot open {}: registries are not in this version", quoted(name)))
      .with_hint("copy the image to a layout first, for example with 'skopeo copy --all'");
}

const StoredImage& ImageSource::image(const std::optional<oci::Platform>& platform) const {
  const auto find = [&](const oci::Platform& wanted) {
    return std::find_if(images_.begin(), images_.end(),
                        [&](const StoredImage& image) { return image.platform == wanted; });
  };
  if (platform) {
    if (const auto found = find(*platform); found != images_.end()) {
      return *found;
    }
  } else if (!images_.empty()) {
    const auto found = find(oci::Platform::host());
    return found != images_.end() ? *found : images_.front();
  }
  std::string platforms;
  for (const auto& image : images_) {
    platforms += (platforms.empty() ? "" : ", ") + image.platform.to_string();
  }
  const auto wanted =
      platform ? fmt::format("an image for {}", platform->to_string()) : std::string("an image");
  throw Error(ErrorCode::not_found,
              fmt::format("cannot find {} in {}: it has {}", wanted, quoted(name_),
                          platforms.empty() ? "none" : platforms));
}

} // namespace aipack::image
