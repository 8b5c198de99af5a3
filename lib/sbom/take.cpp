#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/image/annotation.hpp"
#include "aipack/rootfs/rootfs.hpp"
#include "aipack/sbom/sbom.hpp"

#include "installed.hpp"
#include "layer_reader.hpp"
#include "models.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>

namespace aipack::sbom {
namespace {

using image::Purpose;
using image::StoredImage;
using image::StoredLayer;

// OCI image-spec 1.1, annotations.md, "Pre-Defined Annotation Keys".
constexpr const char* title_key = "org.opencontainers.image.title";
constexpr const char* base_digest_key = "org.opencontainers.image.base.digest";
constexpr const char* base_name_key = "org.opencontainers.image.base.name";
// aipack's own, on configs and manifests.
constexpr const char* runtime_key = "dev.aipack.runtime";
constexpr const char* suite_key = "dev.aipack.suite";

constexpr std::string_view unnamed = "image";

/// What one layer holds that matters here.
struct LayerContent {
  std::optional<rootfs::Record> record{};
  std::vector<File> files{}; ///< of the server's and the user's layers
  std::vector<FoundModelFile> models{};
};

/// A layer that is read, with an image that has it.
struct Wanted {
  const StoredImage* image;
  const StoredLayer* layer;
};

std::string value_of(const std::map<std::string, std::string>& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string() : found->second;
}

/// Annotation of the manifest, or else label of the config.
std::string fact_of(const StoredImage& image, const std::string& key) {
  auto value = value_of(image.manifest->annotations, key);
  return value.empty() ? value_of(image.config->labels, key) : value;
}

/// RFC 3339 with whole seconds in UTC; what others wrote with fractions loses them. Empty for
/// anything else.
std::string whole_seconds(const std::string& created) {
  constexpr std::string_view shape = "0000-00-00T00:00:00";
  if (created.size() <= shape.size() || !created.ends_with('Z')) {
    return {};
  }
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool is_digit = created[i] >= '0' && created[i] <= '9';
    if (shape[i] == '0' ? !is_digit : created[i] != shape[i]) {
      return {};
    }
  }
  return created.substr(0, shape.size()) + "Z";
}

std::vector<Wanted> wanted_layers(const image::ImageSource& source) {
  std::vector<Wanted> wanted;
  std::set<oci::Digest> seen;
  for (const auto& image : source.images()) {
    for (const auto& layer : image.layers) {
      const bool matters = layer.purpose == Purpose::server || layer.purpose == Purpose::files ||
                           layer.purpose == Purpose::model;
      if (matters && seen.insert(layer.descriptor.digest).second) {
        wanted.push_back({&image, &layer});
      }
    }
  }
  // The largest first: the longest work begins earliest.
  std::ranges::stable_sort(wanted, std::ranges::greater{},
                           [](const Wanted& item) { return item.layer->descriptor.size_bytes; });
  return wanted;
}

LayerContent read_content(const Wanted& wanted, const image::ReadLimits& limits,
                          const Operation& op) {
  const auto& layer = *wanted.layer;
  LayerContent content;
  if (layer.purpose == Purpose::model) {
    content.models = find_model_files(*wanted.image, layer, limits, op);
    return content;
  }
  const auto is_record = [](const archive::TarMember& member) {
    return member.path.text() == rootfs::record_path;
  };
  for (const auto& entry : read_layer(layer, is_record, limits, op)) {
    if (is_record(entry.member)) {
      content.record = rootfs::read_record(entry.content, entry.member.path.to_string());
    } else if (entry.member.type == fs::FileType::regular) {
      content.files.push_back({.path = entry.member.path.to_string(),
                               .size_bytes = entry.member.size,
                               .layer = layer.descriptor.digest,
                               .offset = entry.member.data_offset,
                               .checksums = entry.checksums});
    }
  }
  return content;
}

/// Layers by digest, each read once.
using Contents = std::map<oci::Digest, LayerContent>;

Contents read_contents(const image::ImageSource& source, const InventoryOptions& options,
                       const Operation& op) {
  const auto wanted = wanted_layers(source);
  const auto at_once = options.concurrency != 0 ? options.concurrency : default_concurrency();
  auto read =
      map_each<LayerContent>(wanted, at_once, op, [&](const Wanted& item, const Operation& inner) {
        return read_content(item, options.limits, inner);
      });
  Contents contents;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    contents.emplace(wanted[i].layer->descriptor.digest, std::move(read[i]));
  }
  return contents;
}

/// The packages as the record has them, or as the image's dpkg database does. Images of other tools
/// that were built upon one of ours keep the record where it was.
void add_packages(ImageContent& content, const StoredImage& image, const Contents& contents,
                  const image::ReadLimits& limits, const Operation& op) {
  std::optional<rootfs::Record> elsewhere;
  const rootfs::Record* record = nullptr;
  bool is_ours = std::ranges::any_of(image.config->labels, [](const auto& label) {
    return label.first.starts_with(image::annotation::prefix);
  });
  for (const auto& layer : image.layers) {
    is_ours = is_ours || layer.purpose.has_value();
    const auto found = contents.find(layer.descriptor.digest);
    if (found != contents.end() && found->second.record) {
      record = &*found->second.record;
    }
  }
  if (record == nullptr && is_ours && !content.base) {
    const auto path = fs::RootPath::parse(rootfs::record_path);
    if (const auto text = image::find_file(image, path, op, limits)) {
      elsewhere = rootfs::read_record(*text, path.to_string());
      record = &*elsewhere;
    }
  }
  if (record == nullptr) {
    if (!is_ours) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot list what is in {}: aipack did not build it", image.name))
          .with_hint("a scanner of file systems (syft, trivy) lists images of any tool");
    }
    return; // models upon a base that others made
  }
  content.packages = record->packages ? *record->packages : installed_packages(image, limits, op);
  content.is_complete = true;
}

void add_files(ImageContent& content, const StoredImage& image, const Contents& contents) {
  const auto& entrypoint = image.config->entrypoint;
  for (const auto& layer : image.layers) {
    const auto found = contents.find(layer.descriptor.digest);
    if (found == contents.end()) {
      continue;
    }
    for (const auto& file : found->second.files) {
      if (layer.purpose == Purpose::server && !entrypoint.empty() &&
          file.path == entrypoint.front()) {
        content.server = file;
      } else {
        content.files.push_back(file);
      }
    }
  }
  std::ranges::sort(content.files, {}, &File::path);
}

std::optional<BaseImage> base_of(const StoredImage& image) {
  const auto& annotations = image.manifest->annotations;
  BaseImage base{.name = value_of(annotations, base_name_key),
                 .digest = oci::Digest::try_parse(value_of(annotations, base_digest_key))};
  return base.name.empty() && !base.digest ? std::nullopt : std::optional(std::move(base));
}

/// Digests of an image's model layers: images with the same have the same models.
std::vector<oci::Digest> model_layers(const StoredImage& image) {
  std::vector<oci::Digest> digests;
  for (const auto& layer : image.layers) {
    if (layer.purpose == Purpose::model) {
      digests.push_back(layer.descriptor.digest);
    }
  }
  return digests;
}

ImageContent describe(const StoredImage& image, const Contents& contents,
                      const image::ReadLimits& limits, const Operation& op) {
  ImageContent content{.name = fact_of(image, title_key),
                       .platform = image.platform,
                       .manifest = {.media_type = image.manifest.descriptor().media_type,
                                    .digest = image.manifest.descriptor().digest,
                                    .size_bytes = image.manifest.descriptor().size_bytes},
                       .created = whole_seconds(image.config->created),
                       .runtime = fact_of(image, runtime_key),
                       .suite = fact_of(image, suite_key),
                       .base = base_of(image)};
  if (content.name.empty()) {
    content.name = unnamed;
  }
  add_packages(content, image, contents, limits, op);
  add_files(content, image, contents);
  return content;
}

/// Gives every image its models; images that share their model layers share them.
void add_models(Inventory& inventory, const std::vector<StoredImage>& images,
                const Contents& contents, const Operation& op) {
  std::map<std::vector<oci::Digest>, std::vector<std::size_t>> known;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto layers = model_layers(images[i]);
    const auto [slot, is_new] = known.try_emplace(layers);
    if (is_new) {
      std::vector<FoundModelFile> files;
      for (const auto& digest : layers) {
        std::ranges::copy(contents.at(digest).models, std::back_inserter(files));
      }
      for (auto& model : make_models(files, op)) {
        slot->second.push_back(inventory.models.size());
        inventory.models.push_back(std::move(model));
      }
    }
    inventory.images[i].models = slot->second;
  }
}

} // namespace

Inventory take_inventory(const image::ImageSource& source, const Operation& op,
                         const InventoryOptions& options) {
  const auto& images = source.images();
  if (images.empty()) {
    throw Error(ErrorCode::not_found, "cannot list what is in the image: it holds none");
  }
  const auto contents = read_contents(source, options, op);
  Inventory inventory{.name = {},
                      .subject = {.media_type = source.descriptor().media_type,
                                  .digest = source.descriptor().digest,
                                  .size_bytes = source.descriptor().size_bytes},
                      .images = {},
                      .models = {}};
  for (const auto& image : images) {
    inventory.images.push_back(describe(image, contents, options.limits, op));
    inventory.created = std::max(inventory.created, inventory.images.back().created);
  }
  const auto title =
      source.index() ? value_of(source.index()->value().annotations, title_key) : std::string();
  inventory.name = title.empty() ? inventory.images.front().name : title;
  add_models(inventory, images, contents, op);
  return inventory;
}

} // namespace aipack::sbom
