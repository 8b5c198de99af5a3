#include "compose.hpp"

#include "aipack/core/for_each.hpp"

#include "base.hpp"
#include "labels.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace aipack::build {

namespace {

LayerReport report_of(const image::Layer& layer) {
  const auto& descriptor = layer.blob->descriptor();
  return {.purpose = layer.purpose,
          .title = layer.title,
          .diff_id = layer.diff_id,
          .digest = descriptor.digest,
          .media_type = descriptor.media_type,
          .size_bytes = descriptor.size_bytes,
          .uncompressed_bytes = layer.uncompressed_bytes,
          .files = layer.file_count};
}

void add_layers(PlatformReport& report, const image::Image& image) {
  report.digest = image.manifest.descriptor().digest;
  for (const auto& layer : image.layers) {
    report.layers.push_back(report_of(layer));
    report.image_bytes += layer.uncompressed_bytes;
    report.image_bytes_compressed += layer.blob->descriptor().size_bytes;
  }
}

Composed extend(Context& context, const Plan& plan, const WeightsPlace& weights,
                std::vector<PlatformReport>& reports, const Operation& op) {
  auto layers = seal_user_files(context, plan, op);
  auto models = seal_models(context, plan, weights, op);
  context.digests.save();
  std::ranges::copy(models, std::back_inserter(layers));
  auto extended = extend_base(context, plan, layers, op);
  std::string created;
  for (std::size_t i = 0; i < extended.images.size(); ++i) {
    const auto& image = extended.images[i];
    created = std::max(created, image.config->created);
    reports.push_back({.platform = image.platform,
                       .runtime = plan.images[i].base->reference,
                       .digest = {},
                       .packages = {},
                       .dropped = {},
                       .scripts = {},
                       .notes = {},
                       .layers = {}});
    add_layers(reports.back(), image);
  }
  return {image::make_index(std::move(extended.images), index_annotations(plan, created)),
          std::move(models), std::move(extended.origin)};
}

} // namespace

Composed compose_index(Context& context, const Plan& plan, const WeightsPlace& weights,
                       Compositions compositions, std::vector<PlatformReport>& reports,
                       const Operation& op) {
  if (plan.images.front().base) {
    return extend(context, plan, weights, reports, op);
  }
  const auto packages = context.packages(plan.request);
  std::vector<image::Layer> models;
  std::vector<PlatformLayers> platforms(plan.images.size());
  // The weights are hashed beside the composition of the platforms: neither waits for the other.
  for_each_index(plan.images.size() + 1, std::max<unsigned>(context.threads, 2), op,
                 [&](std::size_t index, const Operation& inner) {
                   if (index == 0) {
                     models = seal_models(context, plan, weights, inner);
                   } else {
                     platforms[index - 1] =
                         compose_platform(context, plan, plan.images[index - 1], *packages,
                                          compositions, context.threads, inner);
                   }
                 });
  context.digests.save();

  std::vector<image::Image> images;
  std::int64_t created = 0;
  for (std::size_t i = 0; i < platforms.size(); ++i) {
    auto layers = std::move(platforms[i].layers);
    layers.insert(layers.end(), models.begin(), models.end());
    images.push_back(
        image::make_image(std::move(layers), image_settings(plan, plan.images[i], platforms[i])));
    add_layers(platforms[i].report, images.back());
    reports.push_back(std::move(platforms[i].report));
    created = std::max(created, platforms[i].epoch);
  }
  return {image::make_index(std::move(images), index_annotations(plan, oci::rfc3339(created))),
          std::move(models)};
}

} // namespace aipack::build
