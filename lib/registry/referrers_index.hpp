#pragma once

#include "aipack/oci/descriptor.hpp"
#include "aipack/registry/registry.hpp"

#include "json.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

/// A listing of referrers: an image index whose entries are the manifests that refer to one
/// subject. Answer of the referrers API, and content of the tag that stands in for it. Entries that
/// others wrote are kept as they are, unknown fields included; no digest stands twice.
/// Source: distribution-spec 1.1, "Listing Referrers" and "Referrers Tag Schema".
class ReferrersIndex {
public:
  ReferrersIndex(); ///< nothing refers to the subject
  /// Throws FormatError{corrupt} for what is no index; `name` is what it calls the document.
  [[nodiscard]] static ReferrersIndex parse(std::string_view bytes, std::string_view name);

  /// Adds `referrer`, or puts it in the place of what stands there for its digest. False: it is
  /// there already, just so.
  bool add(const Referrer& referrer);
  /// Adds what only `other` has. False: there was nothing.
  bool add_all(const ReferrersIndex& other);

  /// Those whose digest aipack can verify (sha256). Entries without an artifact type have an empty
  /// one.
  [[nodiscard]] std::vector<Referrer> referrers() const;
  [[nodiscard]] std::string bytes() const;

private:
  [[nodiscard]] Json& entries() { return json_["manifests"]; }
  [[nodiscard]] const Json& entries() const { return json_.at("manifests"); }
  Json json_;
};

/// How a listing names this manifest: with its artifact type, or else the media type of its config,
/// and with all its annotations.
[[nodiscard]] Referrer referrer_of(const Document& document);

/// The `subject` of a manifest or index; empty: it has none. Throws FormatError.
[[nodiscard]] std::optional<oci::Descriptor> subject_of(const Document& document);

/// The tag that stands in for the referrers API: "sha256-…".
[[nodiscard]] std::string referrers_tag(const oci::Digest& subject);

} // namespace aipack::registry
