#pragma once

#include "aipack/core/export.hpp"
#include "aipack/image/layer.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/oci/platform.hpp"
#include "aipack/sign/verify.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace aipack::build {

/// An image is what its provenance says: everything is fetched again by the digests in it, composed
/// again without remembered layers, and compared.
struct RebuildRequest {
  /// Who must have signed the provenance; `image` and `attestations` are filled in.
  sign::Policy policy;
  /// The models' files; empty: out of the image itself, which says whether the rest of it belongs
  /// to them.
  std::vector<std::filesystem::path> models{};
  std::string mirror{}; ///< as BuildRequest's
};

/// A layer that came out differently.
struct LayerDifference {
  oci::Platform platform;
  image::Purpose purpose = image::Purpose::base;
  std::string title{};
  std::optional<oci::Digest> expected{}; ///< diff ID in the image; empty: it has no such layer
  std::optional<oci::Digest> rebuilt{};  ///< diff ID now; empty: no such layer is made
};

struct RebuildReport {
  bool verified = false;
  std::string reason{};
  oci::Digest expected; ///< of the index
  oci::Digest rebuilt;
  std::vector<LayerDifference> layers{};
};

} // namespace aipack::build
