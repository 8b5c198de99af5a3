#pragma once

#include "aipack/transfer/place.hpp"

#include <optional>
#include <string>
#include <vector>

namespace aipack::transfer {

/// What of an image is copied.
struct Selection {
  registry::Document root;
  bool is_part = false; ///< `root` is an index that was made for it
};

/// The index of `platforms` only: entries, annotations and unknown fields are kept word for word,
/// BuildKit's attestations go with their image, and what nested indexes hold is lifted out of them.
/// When nothing is left out the root stays what it was. Throws Error{not_found} with the platforms
/// that exist.
[[nodiscard]] Selection select(Origin& origin, const oci::Descriptor& root,
                               const std::vector<oci::Platform>& platforms, const Operation& op);

/// The manifest of one platform's image: of `platform`, or else of the host's, or else the only
/// one. Throws Error{not_found} with the platforms that exist.
[[nodiscard]] oci::Descriptor select_one(Origin& origin, const oci::Descriptor& root,
                                         const std::optional<oci::Platform>& platform,
                                         const Operation& op);

} // namespace aipack::transfer
