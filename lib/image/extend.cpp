#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/annotation.hpp"
#include "aipack/image/image.hpp"
#include "aipack/oci/media_type.hpp"

#include "descriptors.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::image {
namespace {

using Json = nlohmann::ordered_json;

/// The OCI name of a layer's format. The bytes are the same under both names.
std::string oci_layer_type(const oci::Descriptor& layer, const std::string& image) {
  using namespace oci::media_type;
  static constexpr std::array names{std::pair{docker_layer_tar, layer_tar},
                                    std::pair{docker_layer_tar_gzip, layer_tar_gzip},
                                    std::pair{docker_layer_tar_zstd, layer_tar_zstd},
                                    std::pair{layer_tar, layer_tar},
                                    std::pair{layer_tar_gzip, layer_tar_gzip},
                                    std::pair{layer_tar_zstd, layer_tar_zstd}};
  const auto* const found = std::ranges::find(names, std::string_view(layer.media_type),
                                              &decltype(names)::value_type::first);
  if (found != names.end()) {
    return std::string(found->second);
  }
  // OCI image-spec 1.1, layer.md, "Non-Distributable Layers", and Docker's "foreign" ones.
  const bool is_foreign = layer.media_type.find("nondistributable") != std::string::npos ||
                          layer.media_type.find(".foreign.") != std::string::npos;
  throw Error(ErrorCode::unsupported,
              fmt::format("cannot extend {}: its layer {} {}", quoted(image),
                          layer.digest.to_string(),
                          is_foreign ? "may not be distributed"
                                     : fmt::format("is of the type {}", quoted(layer.media_type))));
}

/// A base's layer. What the unpacked tar measures is known of plain ones only.
Layer base_layer(const StoredLayer& stored, const std::string& image) {
  auto descriptor = stored.descriptor;
  descriptor.media_type = oci_layer_type(stored.descriptor, image);
  const bool is_plain = descriptor.media_type == oci::media_type::layer_tar;
  return Layer{.purpose = stored.purpose.value_or(Purpose::base),
               .title = stored.title,
               .blob = stored.blob,
               .diff_id = stored.diff_id,
               .uncompressed_bytes = is_plain ? descriptor.size_bytes : 0,
               .file_count = stored.file_count.value_or(0)};
}

/// The member `key` of `object` as an object that can be written to.
Json& object_at(Json& object, const char* key) {
  auto& value = object[key];
  if (!value.is_object()) { // Docker writes null for what is empty
    value = Json::object();
  }
  return value;
}

Json& array_at(Json& object, const char* key) {
  auto& value = object[key];
  if (!value.is_array()) {
    value = Json::array();
  }
  return value;
}

std::string_view variable_name(std::string_view assignment) {
  return assignment.substr(0, assignment.find('='));
}

void set_variables(Json& config, const std::vector<std::string>& assignments) {
  if (assignments.empty()) {
    return;
  }
  auto& env = array_at(config, "Env");
  for (const auto& assignment : assignments) {
    const auto same = std::find_if(env.begin(), env.end(), [&](const Json& known) {
      return known.is_string() &&
             variable_name(known.get_ref<const std::string&>()) == variable_name(assignment);
    });
    if (same != env.end()) {
      *same = assignment;
    } else {
      env.push_back(assignment);
    }
  }
}

/// History entries of the layers below, where the base has none: some tools want one per layer.
void complete_history(Json& history, const StoredImage& base, const std::string& created) {
  const auto stands_for_layer = [](const Json& entry) {
    return !(entry.is_object() && entry.value("empty_layer", false));
  };
  const auto known =
      static_cast<std::size_t>(std::count_if(history.begin(), history.end(), stands_for_layer));
  for (std::size_t i = known; i < base.layers.size(); ++i) {
    history.push_back({{"created", created}, {"created_by", "layer of the base image"}});
  }
}

std::string extended_config(const StoredImage& base, const Extension& extension) {
  // Parsed and checked when it was read: it is an object, without duplicate keys, of bounded depth.
  auto json = Json::parse(base.config.bytes());
  const auto created = extension.created ? oci::rfc3339(*extension.created) : base.config->created;
  if (!created.empty()) {
    json["created"] = created;
  }
  auto& config = object_at(json, "config");
  if (extension.user) {
    config["User"] = *extension.user;
  }
  if (extension.entrypoint) {
    config["Entrypoint"] = *extension.entrypoint;
    config.erase("Cmd");
  }
  set_variables(config, extension.env);
  if (!extension.labels.empty()) {
    auto& labels = object_at(config, "Labels");
    for (const auto& [key, value] : extension.labels) {
      labels[key] = value;
    }
  }
  auto& history = array_at(json, "history");
  complete_history(history, base, created);
  auto& diff_ids = array_at(object_at(json, "rootfs"), "diff_ids");
  for (const auto& layer : extension.layers) {
    diff_ids.push_back(layer.diff_id.to_string());
    Json entry;
    if (!created.empty()) {
      entry["created"] = created;
    }
    entry["created_by"] = fmt::format("aipack: {}", to_string(layer.purpose));
    entry["comment"] = layer.title;
    history.push_back(std::move(entry));
  }
  return json.dump();
}

} // namespace

Image extend_image(const StoredImage& base, Extension extension) {
  const auto count = base.layers.size() + extension.layers.size();
  if (count > max_extended_layers) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot extend {}: the image would have {} layers, {} are allowed",
                            quoted(base.name), count, max_extended_layers))
        .with_hint("choose a base with fewer layers");
  }
  std::vector<Layer> layers;
  oci::Manifest manifest{
      .config = {std::string(oci::media_type::config), base.manifest->config.digest}};
  for (const auto& stored : base.layers) {
    layers.push_back(base_layer(stored, base.name));
    auto descriptor = stored.descriptor;
    descriptor.media_type = oci_layer_type(stored.descriptor, base.name);
    manifest.layers.push_back(std::move(descriptor));
  }
  auto config = oci::parse_config(extended_config(base, extension),
                                  fmt::format("the config of {}", base.name));
  for (auto& layer : extension.layers) {
    manifest.layers.push_back(annotated_descriptor(layer));
    layers.push_back(std::move(layer));
  }
  manifest.config = config.descriptor();
  manifest.annotations = std::move(extension.annotations);
  return Image{base.platform, oci::seal(std::move(manifest)), std::move(config), std::move(layers)};
}

} // namespace aipack::image
