#include "aipack/build/engine.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/transfer/open_image.hpp"

#include "base.hpp"
#include "compose.hpp"
#include "composition_cache.hpp"
#include "context.hpp"
#include "planner.hpp"
#include "publish.hpp"
#include "rebuild.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace aipack::build {

struct Engine::Impl {
  explicit Impl(EngineOptions options) : context(std::move(options)) {}
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
  return compose_index(impl_->context, plan, {}, Compositions::remembered,
                       reports != nullptr ? *reports : ignored, op)
      .index;
}

registry::Registry& Engine::registries() const {
  return impl_->context.registry;
}

BuildReport Engine::build(const Plan& plan, const Outputs& outputs, const Operation& op) const {
  try {
    return publish(impl_->context, plan, outputs, op);
  } catch (const Error& error) {
    // A layer in the cache may have been damaged since it was sealed: it goes, and is made again.
    if (error.code() != ErrorCode::corrupt || !drop_damaged_layers(impl_->context, op)) {
      throw;
    }
  }
  return publish(impl_->context, plan, outputs, op);
}

RebuildReport Engine::verify_rebuild(const image::Location& image, const RebuildRequest& request,
                                     const Operation& op) const {
  return rebuild(impl_->context, image, request, op);
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
