#pragma once

#include "aipack/core/error.hpp"
#include "aipack/oci/document.hpp"
#include "aipack/registry/registry.hpp"

#include <optional>
#include <string>
#include <vector>

namespace aipack::transfer {

/// What a document says about the graph, whatever its kind.
struct Content {
  bool is_index = false;
  std::vector<oci::Descriptor> manifests{}; ///< of an index
  std::vector<oci::Descriptor> blobs{};     ///< of a manifest: its layers, then its config
  std::optional<oci::Descriptor> subject{};
  /// How listings of referrers call it: `artifactType`, else the config's media type; empty for an
  /// index that does not say. Source: distribution-spec 1.1, "Listing Referrers".
  std::string artifact_type{};
  oci::Annotations annotations{};
};

/// Throws FormatError{corrupt}; Error{unsupported} for a media type that cannot be followed.
[[nodiscard]] Content read_content(const registry::Document& document);

/// Layers that their makers do not let others store; they stay where the manifest's URLs point.
/// Sources: OCI image-spec 1.1, layer.md, "Non-Distributable Layers"; Docker's "foreign" layers.
[[nodiscard]] bool may_be_distributed(std::string_view media_type) noexcept;

/// The descriptor of a referrer as listings have it: with artifact type and annotations.
[[nodiscard]] oci::Descriptor listed_descriptor(const registry::Document& document,
                                                const Content& content);

/// Whether the error is about what is there (damaged, of another kind, not for us), and not about
/// the way to it: asking again changes nothing, and the rest can be read all the same.
[[nodiscard]] bool is_about_content(const Error& error) noexcept;

/// The document as a blob.
[[nodiscard]] blob::BlobPtr as_blob(const registry::Document& document);

} // namespace aipack::transfer
