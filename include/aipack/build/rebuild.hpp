#pragma once

#include "aipack/core/export.hpp"
#include "aipack/image/layer.hpp"
#include "aipack/oci/descriptor.hpp"
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
  /// Exactly this is rebuilt, what verifying found; empty: what the name stands for now.
  std::optional<oci::Descriptor> root{};
  /// The models' files; empty: out of the image itself, by the digests of the provenance.
  std::vector<std::filesystem::path> models{};
  std::string mirror{}; ///< as BuildRequest's
  /// Where the base image is now, as BuildRequest's; needed when it lay on the builder's disk,
  /// which provenance does not publish. Of no meaning for others.
  std::string base{};
};

/// A layer that came out differently, or that holds an input which is not the provenance's.
struct LayerDifference {
  oci::Platform platform;
  image::Purpose purpose = image::Purpose::base;
  std::string title{};
  std::optional<oci::Digest> expected{}; ///< diff ID in the image; empty: it has no such layer
  /// Diff ID now; empty: no such layer is made, or nothing was composed.
  std::optional<oci::Digest> rebuilt{};
};

struct RebuildReport {
  bool verified = false;
  std::string reason{};
  oci::Digest expected; ///< of the index, or of one platform's manifest where that was asked for
  /// Of the same, composed anew. Of no meaning unless `composed`.
  oci::Digest rebuilt;
  /// False: what the image holds of the inputs is not what its provenance names, so that there is
  /// nothing to compose from.
  bool composed = true;
  std::vector<std::string> inputs{}; ///< those: "file '/opt/own/run' is missing"
  std::vector<LayerDifference> layers{};
};

} // namespace aipack::build
