#include "base.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/transfer/open_image.hpp"
#include "aipack/trust/images.hpp"
#include "aipack/trust/verification.hpp"

#include "composer.hpp"
#include "labels.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace aipack::build {

namespace {

image::Location base_location(const std::string& text) {
  return with_context([&] { return image::Location::parse(text); }, "while reading --base");
}

/// Options that choose packages say nothing about an image that is complete.
void refuse_package_options(const BuildRequest& request) {
  const auto refuse = [](std::string_view what) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot extend a base image with {}: it brings its own", what))
        .with_hint("leave one of the two options away");
  };
  if (!request.runtime.empty()) {
    refuse("a runtime");
  }
  if (!request.packages.empty()) {
    refuse("Debian packages");
  }
}

/// The same question for a plan that is made and for one out of a lock: each image must be signed
/// by one of the request's keys, itself or as part of the index that the base's name stands for.
void check_base_signatures(transfer::Origin& origin, const std::optional<oci::Descriptor>& root,
                           const std::vector<ImagePlan>& images, const Context& context,
                           const BuildRequest& request, const Operation& op) {
  const sign::Policy policy{
      .keys = request.base_keys,
      .image = images.front().base->manifest, // filled in anew for each that is judged
      .time = std::chrono::sys_seconds(std::chrono::seconds(context.options.now))};
  const auto judge = [&](const oci::Descriptor& image) {
    return trust::verify_image(origin, image, {.policy = policy}, op);
  };
  std::optional<trust::VerifyReport> whole;
  std::vector<oci::Descriptor> parts;
  if (root) {
    whole = judge(*root);
    parts = trust::images_of(origin, *root, op);
  }
  for (const auto& image : images) {
    const auto& manifest = image.base->manifest;
    const bool is_part =
        std::ranges::find(parts, manifest.digest, &oci::Descriptor::digest) != parts.end();
    if (is_part && whole->verified) {
      continue;
    }
    const auto own = judge(manifest);
    // Where the base as a whole has no good signature either, that is what its user must hear.
    trust::require_verified(own.verified || !is_part ? own : *whole, origin.name());
  }
}

/// A lock stays good when the name that it was made from has gone, or stands for something else.
std::optional<oci::Descriptor> find_root(transfer::Origin& origin, const Operation& op) {
  try {
    return origin.resolve(op);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) {
      throw;
    }
    return std::nullopt;
  }
}

} // namespace

std::vector<ImagePlan> plan_base(Context& context, const BuildRequest& request,
                                 const Operation& op) {
  refuse_package_options(request);
  const auto origin = transfer::open_origin(base_location(request.base), context.registry, op);
  const auto root = origin->resolve(op);
  const auto source = transfer::open_image(*origin, root, op);
  std::vector<ImagePlan> plans;
  const auto add = [&](const image::StoredImage& stored) {
    auto manifest = stored.manifest.descriptor();
    manifest.platform = stored.platform;
    plans.push_back({.platform = stored.platform,
                     .runtime = {},
                     .releases = {},
                     .indexes = {},
                     .choices = {},
                     .assumed = {},
                     .base = PinnedBase{request.base, std::move(manifest)}});
  };
  if (request.every_platform) {
    std::ranges::for_each(source.images(), add);
  } else {
    for (const auto& platform : request.platforms) {
      add(source.image(platform));
    }
  }
  if (plans.empty()) {
    throw Error(ErrorCode::not_found,
                fmt::format("cannot extend {}: it holds no image", quoted(request.base)));
  }
  if (!request.base_keys.empty()) {
    check_base_signatures(*origin, root, plans, context, request, op);
  }
  return plans;
}

namespace {

std::unique_ptr<transfer::Origin> open_pinned(Context& context, const Plan& plan,
                                              const Operation& op) {
  return transfer::open_origin(base_location(plan.images.front().base->reference), context.registry,
                               op);
}

image::StoredImage stored_base(transfer::Origin& origin, const PinnedBase& base,
                               const Operation& op) {
  const auto source = transfer::open_image(origin, base.manifest, op);
  if (source.images().size() != 1) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot extend {}: {} is no container image", quoted(base.reference),
                            base.manifest.digest.to_string()));
  }
  return source.images().front();
}

} // namespace

void check_locked_base(Context& context, const Plan& plan, const Operation& op) {
  if (plan.request.base_keys.empty() || plan.images.empty()) {
    return;
  }
  const auto origin = open_pinned(context, plan, op);
  check_base_signatures(*origin, find_root(*origin, op), plan.images, context, plan.request, op);
}

std::vector<PlatformReport> describe_base(Context& context, const Plan& plan, const Operation& op) {
  const auto origin = open_pinned(context, plan, op);
  const auto on_top = layers_on_base(plan, op);
  std::vector<PlatformReport> reports;
  for (const auto& pinned : plan.images) {
    PlatformReport report{.platform = pinned.platform,
                          .runtime = pinned.base->reference,
                          .digest = {},
                          .packages = {},
                          .dropped = {},
                          .scripts = {},
                          .notes = {},
                          .layers = {}};
    for (const auto& layer : stored_base(*origin, *pinned.base, op).layers) {
      report.layers.push_back({.purpose = layer.purpose.value_or(image::Purpose::base),
                               .title = layer.title,
                               .diff_id = layer.diff_id,
                               .digest = layer.descriptor.digest,
                               .media_type = layer.descriptor.media_type,
                               .size_bytes = layer.descriptor.size_bytes,
                               .files = layer.file_count.value_or(0)});
    }
    for (const auto& layer : on_top) {
      report.layers.push_back(planned_layer(layer));
      report.image_bytes += layer.content_bytes();
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

ExtendedImages extend_base(Context& context, const Plan& plan,
                           const std::vector<image::Layer>& layers, const Operation& op) {
  ExtendedImages result;
  result.origin = open_pinned(context, plan, op);
  for (const auto& pinned : plan.images) {
    const auto base = stored_base(*result.origin, *pinned.base, op);
    auto extension = base_extension(plan, pinned, base);
    extension.layers = layers;
    auto image = image::extend_image(base, std::move(extension));
    image.platform = pinned.platform; // as the base's index has it, with its variant
    result.images.push_back(std::move(image));
  }
  return result;
}

std::vector<std::string> mount_sources(const Plan& plan, const image::Location& target) {
  if (plan.images.empty() || !plan.images.front().base || !target.reference) {
    return {};
  }
  const auto base = base_location(plan.images.front().base->reference);
  if (!base.reference || base.reference->registry() != target.reference->registry()) {
    return {};
  }
  return {base.reference->repository()};
}

} // namespace aipack::build
