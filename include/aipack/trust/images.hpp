#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/transfer/place.hpp"

#include <chrono>
#include <vector>

namespace aipack::trust {

/// The documents of an image that are worth a signature of their own: the root, and when that is an
/// index, the images that it names, each with its platform, in the index's order. What registries
/// keep among them for other reasons (attestations, artifacts) is left out. Indexes in indexes are
/// followed. Reads documents, no configs and no layers.
[[nodiscard]] AIPACK_API std::vector<oci::Descriptor> images_of(transfer::Origin& origin,
                                                                const Operation& op);
/// The same of a part of it.
[[nodiscard]] AIPACK_API std::vector<oci::Descriptor>
images_of(transfer::Origin& origin, const oci::Descriptor& root, const Operation& op);

/// When the root's annotations, or the config of its first image, say that it was made; the epoch
/// when neither does. What is written beside an image takes its time from here, not from the clock.
[[nodiscard]] AIPACK_API std::chrono::sys_seconds
created_of(transfer::Origin& origin, const oci::Descriptor& root, const Operation& op);

} // namespace aipack::trust
