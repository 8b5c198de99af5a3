#pragma once

#include "aipack/build/engine.hpp"
#include "aipack/transfer/place.hpp"

#include "context.hpp"

#include <memory>
#include <vector>

namespace aipack::build {

/// The platforms of the request's base image, each pinned by its manifest's digest. Throws
/// Error{not_found} for a platform that the base does not have, Error{invalid_input} for options
/// that belong to a composed image, Error{corrupt} when none of the request's keys signed it.
[[nodiscard]] std::vector<ImagePlan> plan_base(Context& context, const BuildRequest& request,
                                               const Operation& op);

/// What a lock pins must be signed as well when the request names keys: each image itself, or the
/// index that the base's name stands for and that names it.
void check_locked_base(Context& context, const Plan& plan, const Operation& op);

/// An index of base images with layers on top. `origin` is where the base's layers are opened: it
/// must outlive the images, and so must `op` of the call that made them.
struct ExtendedImages {
  std::unique_ptr<transfer::Origin> origin;
  std::vector<image::Image> images;
};
/// Hops 6 to 9 on a base: `layers` go on top of each platform's image. Of the base only manifests
/// and configs are fetched.
[[nodiscard]] ExtendedImages extend_base(Context& context, const Plan& plan,
                                         const std::vector<image::Layer>& layers,
                                         const Operation& op);

/// What the images would hold: the base's layers, and what goes on top.
[[nodiscard]] std::vector<PlatformReport> describe_base(Context& context, const Plan& plan,
                                                        const Operation& op);

/// The base's repository when it lies in the registry of `target`, so that its layers can be
/// mounted there; else empty.
[[nodiscard]] std::vector<std::string> mount_sources(const Plan& plan,
                                                     const image::Location& target);

} // namespace aipack::build
