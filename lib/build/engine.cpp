#include "aipack/build/engine.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"

#include "composer.hpp"
#include "composition_cache.hpp"
#include "context.hpp"
#include "labels.hpp"
#include "planner.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace aipack::build {

struct Engine::Impl {
  explicit Impl(EngineOptions options) : context(std::move(options)) {}
  BuildReport build(const Plan& plan, const image::Location& destination, const Operation& op);
  Context context;
};

Engine::Engine(EngineOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;

model::Model Engine::analyze(const std::filesystem::path& model, const Operation& op) const {
  return model::inspect(model, op);
}

const runtime::RuntimeCatalog& Engine::catalog() const {
  return *impl_->context.catalog;
}

std::vector<RuntimeVerdict> Engine::verdicts(const model::Model& model,
                                             const oci::Platform& platform) const {
  std::vector<RuntimeVerdict> verdicts;
  for (const auto& runtime : catalog().runtimes()) {
    const auto reasons = catalog().reasons_against(runtime, model, platform);
    verdicts.push_back({.name = runtime.name,
                        .supported = reasons.empty(),
                        .reason = fmt::format("{}", fmt::join(reasons, "; "))});
  }
  return verdicts;
}

namespace {

/// An empty platform list means the host's, for callers that fill the request by hand.
BuildRequest completed(BuildRequest request) {
  if (request.models.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot build: no model was given");
  }
  if (request.platforms.empty()) {
    request.platforms = {oci::Platform::host()};
  }
  std::ranges::sort(request.platforms);
  const auto repeated = std::ranges::unique(request.platforms);
  request.platforms.erase(repeated.begin(), repeated.end());
  return request;
}

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

/// Hops 6 to 9. `weights` takes the bytes of the model layers in the pass that hashes them; null:
/// they stay where they are.
image::Index compose_index(Context& context, const Plan& plan, blob::DirectoryStore* weights,
                           std::vector<PlatformReport>& reports, const Operation& op) {
  const auto packages = context.packages(plan.request);
  std::vector<image::Layer> models;
  std::vector<PlatformLayers> platforms(plan.images.size());
  // The weights are hashed beside the composition of the platforms: neither waits for the other.
  for_each_index(plan.images.size() + 1, std::max<unsigned>(context.threads, 2), op,
                 [&](std::size_t index, const Operation& inner) {
                   if (index == 0) {
                     models = seal_models(context, plan, weights, inner);
                   } else {
                     platforms[index - 1] = compose_platform(context, plan, plan.images[index - 1],
                                                             *packages, context.threads, inner);
                   }
                 });
  context.digests.save();

  std::vector<image::Image> images;
  for (std::size_t i = 0; i < platforms.size(); ++i) {
    auto layers = std::move(platforms[i].layers);
    layers.insert(layers.end(), models.begin(), models.end());
    images.push_back(
        image::make_image(std::move(layers), image_settings(plan, plan.images[i], platforms[i])));
    add_layers(platforms[i].report, images.back());
    reports.push_back(std::move(platforms[i].report));
  }
  return image::make_index(std::move(images), index_annotations(plan, platforms));
}

} // namespace

Plan Engine::plan(const BuildRequest& request, const Operation& op) const {
  return make_plan(impl_->context, completed(request), op);
}

Plan Engine::plan_locked(const BuildRequest& request, std::string_view lock,
                         std::string_view lock_name, const Operation& op) const {
  return make_locked_plan(impl_->context, completed(request), lock, lock_name, op);
}

PlanReport Engine::describe(Plan plan, const Operation& op) const {
  auto& context = impl_->context;
  const auto packages = context.packages(plan.request);
  auto platforms = map_each<PlatformReport>(
      plan.images, context.threads, op, [&](const ImagePlan& image, const Operation& inner) {
        return describe_platform(context, plan, image, *packages, inner);
      });
  return {std::move(plan), std::move(platforms)};
}

image::Index Engine::compose(const Plan& plan, const Operation& op,
                             std::vector<PlatformReport>* reports) const {
  std::vector<PlatformReport> ignored;
  return compose_index(impl_->context, plan, nullptr, reports != nullptr ? *reports : ignored, op);
}

BuildReport Engine::build(const Plan& plan, const image::Location& destination,
                          const Operation& op) const {
  try {
    return impl_->build(plan, destination, op);
  } catch (const Error& error) {
    // A layer in the cache may have been damaged since it was sealed: it goes, and is made again.
    if (error.code() != ErrorCode::corrupt || !drop_damaged_layers(impl_->context, op)) {
      throw;
    }
  }
  return impl_->build(plan, destination, op);
}

BuildReport Engine::Impl::build(const Plan& plan, const image::Location& destination,
                                const Operation& op) {
  std::vector<PlatformReport> reports;
  const auto finish = [&](const image::Index& index, image::WriteReport written) {
    return BuildReport{.reference = destination.to_string(),
                       .digest = index.digest(),
                       .platforms = std::move(reports),
                       .written = written};
  };
  switch (destination.kind) {
  case image::Location::Kind::layout: {
    std::error_code ignored;
    const bool is_new = !std::filesystem::exists(destination.path, ignored);
    try {
      auto layout = blob::Layout::create(destination.path);
      const auto index = compose_index(context, plan, &layout.blobs(), reports, op);
      return finish(index,
                    image::write_layout(index, layout, destination.tag, context.threads, op));
    } catch (...) {
      if (is_new) { // An empty layout is no result: it goes with what was put into it.
        std::filesystem::remove_all(destination.path, ignored);
      }
      throw;
    }
  }
  case image::Location::Kind::oci_archive: {
    const auto index = compose_index(context, plan, nullptr, reports, op);
    return finish(index, image::write_oci_archive(index, destination.path, destination.tag, op));
  }
  case image::Location::Kind::docker_archive: {
    if (plan.images.size() != 1) {
      throw Error(ErrorCode::invalid_input,
                  "cannot write a docker archive: it holds the image of one platform")
          .with_hint("choose one with --platform, or write an oci-archive");
    }
    const auto index = compose_index(context, plan, nullptr, reports, op);
    const auto name =
        destination.tag.empty() ? default_image_name(plan.models) + ":latest" : destination.tag;
    return finish(index,
                  image::write_docker_archive(index.images.front(), destination.path, {name}, op));
  }
  case image::Location::Kind::registry:
    break;
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("cannot push to {}: this version writes layouts and archives",
                          quoted(destination.to_string())))
      .with_hint("write 'oci:DIR' and push it with skopeo");
}

rootfs::Record Engine::composition(const image::Location& image, const oci::Platform& platform,
                                   const Operation& op) const {
  const auto source = image::ImageSource::open(image, op);
  const auto& stored = source.image(platform);
  const auto record = image::find_file(stored, fs::RootPath::parse(rootfs::record_path), op);
  if (!record) {
    throw Error(ErrorCode::not_found,
                fmt::format("cannot explain {}: it holds no record of a composition",
                            quoted(image.to_string())))
        .with_hint("only images that aipack built have one");
  }
  return rootfs::read_record(*record, rootfs::record_path);
}

std::vector<rootfs::ChainLink> Engine::why(const image::Location& image,
                                           const oci::Platform& platform, const fs::RootPath& path,
                                           const Operation& op) const {
  const auto record = composition(image, platform, op);
  if (std::ranges::any_of(record.kept, [&](const auto& entry) { return entry.path == path; })) {
    return rootfs::why(record, path);
  }
  const auto dropped = std::ranges::find(record.dropped, path.to_string(), &rootfs::Dropped::what);
  if (dropped != record.dropped.end()) {
    throw Error(ErrorCode::not_found, fmt::format("cannot explain '{}': it is not in the image: {}",
                                                  path.to_string(), dropped->reason));
  }
  // Models and the record itself came after the composition.
  const auto files = image::list_files(image::ImageSource::open(image, op).image(platform), op);
  if (!files.contains(path)) {
    throw Error(ErrorCode::not_found,
                fmt::format("cannot explain '{}': it is not in the image", path.to_string()));
  }
  const bool is_record = path.text() == rootfs::record_path;
  return {{path,
           {.rule = is_record ? "generated" : "model",
            .detail = is_record ? "record of the composition" : "a file of the model",
            .from = {}},
           ""}};
}

std::string default_image_name(const std::vector<PlannedModel>& models) {
  std::string name;
  for (const char c : models.empty() ? std::string("model") : models.front().name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (c >= 'A' && c <= 'Z') {
      name += static_cast<char>(c - 'A' + 'a');
    } else if (plain) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && name.back() == '-') {
    name.pop_back();
  }
  return name.empty() ? "model" : name;
}

} // namespace aipack::build
