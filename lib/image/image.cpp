#include "aipack/image/image.hpp"

#include "aipack/core/error.hpp"
#include "aipack/image/annotation.hpp"

#include "descriptors.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::image {

oci::Descriptor annotated_descriptor(const Layer& layer) {
  auto descriptor = layer.blob->descriptor();
  descriptor.annotations[std::string(annotation::layer_purpose)] = to_string(layer.purpose);
  descriptor.annotations[std::string(annotation::layer_files)] = fmt::to_string(layer.file_count);
  if (!layer.title.empty()) {
    descriptor.annotations[std::string(annotation::layer_title)] = layer.title;
  }
  return descriptor;
}

namespace {

oci::Config make_config(const std::vector<Layer>& layers, const ImageSettings& settings) {
  oci::Config config;
  config.created = oci::rfc3339(settings.created);
  config.platform = settings.platform;
  config.user = settings.user;
  config.exposed_ports = settings.exposed_ports;
  config.env = settings.env;
  config.entrypoint = settings.entrypoint;
  config.cmd = settings.cmd;
  config.working_directory = settings.working_directory;
  config.stop_signal = settings.stop_signal;
  config.labels = settings.labels;
  for (const auto& layer : layers) {
    config.diff_ids.push_back(layer.diff_id);
    // Some tools want one entry per layer; neither host, nor clock, nor tool version may be in it.
    config.history.push_back(
        {config.created, fmt::format("aipack: {}", to_string(layer.purpose)), layer.title, false});
  }
  return config;
}

} // namespace

Image make_image(std::vector<Layer> layers, const ImageSettings& settings) {
  if (layers.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot make an image: it has no layers");
  }
  if (layers.size() > max_layers) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot make an image: it has {} layers, {} are allowed", layers.size(),
                            max_layers));
  }
  auto config = oci::seal(make_config(layers, settings));

  oci::Manifest manifest{.config = config.descriptor()};
  for (const auto& layer : layers) {
    manifest.layers.push_back(annotated_descriptor(layer));
  }
  manifest.annotations = settings.annotations;
  return Image{settings.platform, oci::seal(std::move(manifest)), std::move(config),
               std::move(layers)};
}

Index make_index(std::vector<Image> images, oci::Annotations annotations) {
  if (images.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot make an index: it has no images");
  }
  std::stable_sort(images.begin(), images.end(),
                   [](const Image& a, const Image& b) { return a.platform < b.platform; });
  const auto twice =
      std::adjacent_find(images.begin(), images.end(),
                         [](const Image& a, const Image& b) { return a.platform == b.platform; });
  if (twice != images.end()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot make an index: it has two images for '{}'",
                            twice->platform.to_string()));
  }
  oci::Index index;
  for (const auto& image : images) {
    auto descriptor = image.manifest.descriptor();
    descriptor.platform = image.platform;
    index.manifests.push_back(std::move(descriptor));
  }
  index.annotations = std::move(annotations);
  return Index{oci::seal(std::move(index)), std::move(images)};
}

} // namespace aipack::image
