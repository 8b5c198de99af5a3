#pragma once

#include "aipack/build/engine.hpp"
#include "aipack/transfer/copy.hpp"

#include "context.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace aipack::build {

/// Sends model layers whose digest is not known yet to the registry while they are hashed: one read
/// of the weights, no copy. Layers of known digest wait for the copy, which first asks what is
/// there. Asks nothing of the registry before the first such layer. Threads: any number may place.
class RegistryWeights final : public blob::BlobPlacer {
public:
  RegistryWeights(registry::Registry& registry, oci::Reference repository)
      : registry_(registry), reference_(std::move(repository)) {}
  blob::Placement place(const blob::BlobSource& blob, const Operation& op) override;
  std::shared_ptr<const blob::DerivedBlob> place_hashing(std::string_view media_type,
                                                         const blob::Recipe& recipe,
                                                         const Operation& op) override;
  /// Adds what was sent here to the report of the copy that found it there.
  void add_to(transfer::CopyReport& report) const;

private:
  struct Sent {
    registry::UploadReport upload;
    std::uint64_t size_bytes = 0;
  };
  registry::Repository repository();

  registry::Registry& registry_;
  oci::Reference reference_;
  mutable std::mutex mutex_;
  std::optional<registry::Repository> repository_;
  std::vector<Sent> sent_;
};

} // namespace aipack::build
