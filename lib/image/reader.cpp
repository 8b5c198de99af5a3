#include "aipack/image/reader.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/annotation.hpp"
#include "aipack/oci/media_type.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::image {
namespace {

constexpr std::string_view created_by_prefix = "aipack: ";

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

} // namespace

ImageSource ImageSource::open(std::string name, const oci::Descriptor& root, const FindBlob& find,
                              const Operation& op, const ReadLimits& limits) {
  Resolver resolver(name, find, limits, op);
  resolver.visit(root);
  ImageSource source(std::move(name), root);
  source.index_ = std::move(resolver.index);
  source.images_ = std::move(resolver.images);
  source.absent_ = std::move(resolver.absent);
  return source;
}

ImageSource ImageSource::open(const Location& location, const Operation& op,
                              const ReadLimits& limits) {
  const auto storage = open_storage(location, op, limits);
  return open(location.to_string(), storage.root, storage.find, op, limits);
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
