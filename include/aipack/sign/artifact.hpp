#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/document.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sign {

/// A manifest and the content that it names, ready to be pushed: blobs first.
struct Artifact {
  struct Blob {
    oci::Descriptor descriptor;
    std::string bytes;
  };
  std::vector<Blob> blobs;
  oci::Sealed<oci::Manifest> manifest;
  std::string tag{}; ///< where it stands; empty: it is pushed by digest and found by its subject
};

/// A document that refers to an image: one layer, the empty config, `subject`, the artifact type.
/// `created` is the only time in it. Source: OCI image-spec 1.1, manifest.md, "Guidelines for
/// Artifact Usage".
[[nodiscard]] AIPACK_API Artifact make_referrer(const oci::Descriptor& subject,
                                                std::string_view artifact_type,
                                                std::string_view media_type, std::string document,
                                                oci::Annotations annotations,
                                                std::chrono::sys_seconds created);

/// A bundle with a statement as cosign 3 attaches it; type and annotations are read off the bundle.
[[nodiscard]] AIPACK_API Artifact make_bundle_referrer(const oci::Descriptor& subject,
                                                       std::string bundle_json,
                                                       std::chrono::sys_seconds created);
/// The same of a bundle that was just made, with a statement of this type.
[[nodiscard]] AIPACK_API Artifact make_bundle_referrer(const oci::Descriptor& subject,
                                                       std::string bundle_json,
                                                       std::string predicate_type,
                                                       std::chrono::sys_seconds created);

} // namespace aipack::sign
