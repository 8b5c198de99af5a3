#pragma once

#include "aipack/image/reader.hpp"
#include "aipack/transfer/place.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace aipack::transfer {

/// A layout, an archive or an image in memory: what has an index.json and blobs by digest.
class StoredOrigin final : public Origin {
public:
  StoredOrigin(std::string name, image::Storage storage)
      : Origin(std::move(name), Distance::local), storage_(std::move(storage)) {}

  [[nodiscard]] oci::Descriptor resolve(const Operation& op) override;
  [[nodiscard]] registry::Document manifest(const oci::Descriptor& descriptor,
                                            const Operation& op) override;
  [[nodiscard]] blob::BlobPtr blob(const oci::Descriptor& descriptor, const Operation& op) override;
  /// What is listed in index.json and has this subject, as oras stores it, or one of cosign's tags.
  [[nodiscard]] std::vector<Attachment> attachments(const oci::Digest& subject,
                                                    const Operation& op) override;

private:
  using Attachments = std::multimap<oci::Digest, Attachment>;
  [[nodiscard]] Attachments read_attachments(const Operation& op) const;

  image::Storage storage_;
  std::mutex mutex_;
  std::optional<Attachments> attachments_; ///< by subject; read when it is first asked for
};

/// A composed index as a storage.
[[nodiscard]] image::Storage in_memory(const image::Index& index,
                                       const std::vector<MemoryArtifact>& artifacts);

} // namespace aipack::transfer
