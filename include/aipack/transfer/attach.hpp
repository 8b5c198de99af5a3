#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/image/location.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/registry/registry.hpp"
#include "aipack/transfer/place.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::transfer {

/// Gives the artifact that a tag shall stand for, out of what it stands for now (null: nothing).
/// Empty: what is there will do. May be called several times, when others write at the same time.
using MergeArtifact = std::function<std::optional<MemoryArtifact>(const registry::Document* now)>;

/// Writes beside an image: signatures, attestations, SBOMs. Threads: any number may call side by
/// side.
class AIPACK_API Annex {
public:
  virtual ~Annex() = default;
  /// Blobs first, then manifests; what has a subject can be found from it afterwards, and those of
  /// one subject join one update of its listing. Artifacts with a tag are for merge().
  virtual void attach(const std::vector<MemoryArtifact>& artifacts, const Operation& op) = 0;
  /// Makes `tag` stand for what `merge` gives, and loses nothing that others put there meanwhile.
  virtual void merge(std::string_view tag, const MergeArtifact& merge, const Operation& op) = 0;
  /// What is there of `root`, whatever name it has or has not yet; of a registry, no mirror of it.
  [[nodiscard]] virtual std::unique_ptr<Origin> read(const oci::Descriptor& root,
                                                     const Operation& op) = 0;
};

/// Of a registry's repository or of a layout that exists; `registry` must outlive it. Throws
/// Error{unsupported} for archives, which are written once.
[[nodiscard]] AIPACK_API std::unique_ptr<Annex> open_annex(const image::Location& location,
                                                           registry::Registry& registry);

} // namespace aipack::transfer
