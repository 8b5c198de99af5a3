#include "aipack/build/engine.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/transfer/open_image.hpp"

#include "base.hpp"
#include "composer.hpp"
#include "composition_cache.hpp"
#include "context.hpp"
#include "labels.hpp"
#include "planner.hpp"
#include "publish.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace aipack::build {

struct Engine::Impl {
  explicit Impl(EngineOptions options) : context(std::move(options)) {}
  BuildReport build(const Plan& plan, const Outputs& outputs, const Operation& op);
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
  if (request.base.empty() && request.user.empty()) {
    request.user = default_user;
  }
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

/// Images with what their blobs are read through.
struct Composed {
  image::Index index;
  std::unique_ptr<transfer::Origin> base{}; ///< of the base's layers; null without a base
};

Composed extend(Context& context, const Plan& plan, const WeightsPlace& weights,
                std::vector<PlatformReport>& reports, const Operation& op) {
  auto layers = seal_user_files(context, plan, op);
  auto models = seal_models(context, plan, weights, op);
  context.digests.save();
  std::ranges::move(models, std::back_inserter(layers));
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
          std::move(extended.origin)};
}

/// Hops 6 to 9.
Composed compose_index(Context& context, const Plan& plan, const WeightsPlace& weights,
                       std::vector<PlatformReport>& reports, const Operation& op) {
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
                     platforms[index - 1] = compose_platform(context, plan, plan.images[index - 1],
                                                             *packages, context.threads, inner);
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
  return {image::make_index(std::move(images), index_annotations(plan, oci::rfc3339(created)))};
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
  if (plan.images.front().base) {
    auto platforms = describe_base(context, plan, op);
    return {std::move(plan), std::move(platforms)};
  }
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
  if (plan.images.front().base) {
    throw Error(ErrorCode::unsupported,
                "cannot compose an image on a base without a place for it: the base's layers are "
                "read only when they are wanted")
        .with_hint("call build() with a destination");
  }
  return compose_index(impl_->context, plan, {}, reports != nullptr ? *reports : ignored, op).index;
}

registry::Registry& Engine::registries() const {
  return impl_->context.registry;
}

BuildReport Engine::build(const Plan& plan, const Outputs& outputs, const Operation& op) const {
  try {
    return impl_->build(plan, outputs, op);
  } catch (const Error& error) {
    // A layer in the cache may have been damaged since it was sealed: it goes, and is made again.
    if (error.code() != ErrorCode::corrupt || !drop_damaged_layers(impl_->context, op)) {
      throw;
    }
  }
  return impl_->build(plan, outputs, op);
}

namespace {

using Kind = image::Location::Kind;

const image::Location* first_of(const Outputs& outputs, Kind kind) {
  const auto found = std::ranges::find(outputs.destinations, kind, &image::Location::kind);
  return found == outputs.destinations.end() ? nullptr : &*found;
}

void check(const Plan& plan, const Outputs& outputs) {
  if (outputs.destinations.empty() && outputs.engines.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot build: there is no place to write to");
  }
  for (const auto& destination : outputs.destinations) {
    if (destination.kind == Kind::docker_archive && plan.images.size() != 1) {
      throw Error(ErrorCode::invalid_input,
                  "cannot write a docker archive: it holds the image of one platform")
          .with_hint("choose one with --platform, or write an oci-archive");
    }
  }
}

/// A layout that did not exist before goes again when the build fails: an empty one is no result.
class NewLayout {
public:
  explicit NewLayout(const std::filesystem::path& directory) : directory_(directory) {
    std::error_code ignored;
    is_new_ = !std::filesystem::exists(directory, ignored);
  }
  ~NewLayout() {
    std::error_code ignored;
    if (is_new_) {
      std::filesystem::remove_all(directory_, ignored);
    }
  }
  NewLayout(const NewLayout&) = delete;
  NewLayout& operator=(const NewLayout&) = delete;
  void keep() noexcept { is_new_ = false; }

private:
  std::filesystem::path directory_;
  bool is_new_ = false;
};

std::string docker_archive_name(const image::Location& destination, const Plan& plan) {
  return destination.tag.empty() ? default_image_name(plan.models) + ":latest" : destination.tag;
}

void add(image::WriteReport& sum, const image::WriteReport& part) {
  sum.new_bytes += part.new_bytes;
  sum.reused_bytes += part.reused_bytes;
  sum.cloned_bytes += part.cloned_bytes;
}

} // namespace

BuildReport Engine::Impl::build(const Plan& plan, const Outputs& outputs, const Operation& op) {
  check(plan, outputs);
  // The weights go in one pass to the place that needs their bytes: a layout on disk, else a
  // registry. The other places read them again from the model files.
  const auto* layout_place = first_of(outputs, Kind::layout);
  const auto* registry_place = first_of(outputs, Kind::registry);
  std::optional<NewLayout> new_layout;
  std::optional<blob::Layout> layout;
  std::optional<RegistryWeights> sender;
  WeightsPlace weights;
  if (layout_place != nullptr) {
    new_layout.emplace(layout_place->path);
    layout = blob::Layout::create(layout_place->path);
    weights.into = &layout->blobs();
  } else if (registry_place != nullptr) {
    sender.emplace(context.registry, registry_place->reference.value());
    weights = {.into = &*sender, .concurrency = context.options.registry.concurrency};
  }
  auto requests_before = context.registry.requests();
  BuildReport report{.reference = outputs.destinations.empty()
                                      ? outputs.engine_tag
                                      : outputs.destinations.front().to_string(),
                     .digest = oci::Digest::of(""),
                     .platforms = {}};
  const auto composed = compose_index(context, plan, weights, report.platforms, op);
  const auto& index = composed.index;
  report.digest = index.digest();

  const auto origin = transfer::open_origin(index);
  for (const auto& destination : outputs.destinations) {
    switch (destination.kind) {
    case Kind::layout: {
      if (&destination != layout_place) {
        layout = blob::Layout::create(destination.path);
      }
      add(report.written,
          image::write_layout(index, *layout, destination.tag, context.threads, op));
      if (&destination == layout_place) {
        new_layout->keep(); // it is whole, whatever becomes of the places after it
      }
      break;
    }
    case Kind::oci_archive:
      add(report.written, image::write_oci_archive(index, destination.path, destination.tag, op));
      break;
    case Kind::docker_archive:
      report.written.new_bytes +=
          transfer::write_docker_archive(*origin, destination.path,
                                         docker_archive_name(destination, plan), {}, op)
              .sent_bytes;
      break;
    case Kind::registry: {
      transfer::CopyOptions options{.concurrency = context.options.registry.concurrency};
      options.target.mount_sources = mount_sources(plan, destination);
      auto pushed = transfer::copy(*origin, destination, context.registry, options, op);
      if (&destination == registry_place && sender) {
        sender->add_to(pushed);
      }
      const auto requests = context.registry.requests();
      pushed.requests = requests - std::exchange(requests_before, requests);
      report.pushed.push_back(std::move(pushed));
      break;
    }
    }
  }
  for (const auto& engine : outputs.engines) {
    report.loaded.push_back(transfer::load(*origin, engine, {.tag = outputs.engine_tag}, op));
    if (report.reference.empty()) {
      report.reference = report.loaded.back().reference;
    }
  }
  return report;
}

rootfs::Record Engine::composition(const image::Location& image, const oci::Platform& platform,
                                   const Operation& op) const {
  const auto origin = transfer::open_origin(image, impl_->context.registry, op);
  const auto source = transfer::open_image(*origin, op);
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
  const auto origin = transfer::open_origin(image, impl_->context.registry, op);
  const auto files = image::list_files(transfer::open_image(*origin, op).image(platform), op);
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
