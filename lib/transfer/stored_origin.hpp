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
  /// An entry that cannot be read may be about anything: it is a failure for every subject.
  [[nodiscard]] AttachmentList list_attachments(const oci::Digest& subject,
                                                const Operation& op) override;

private:
  struct Attached {
    std::multimap<oci::Digest, Attachment> by_subject{};
    std::vector<Error> failures{};
  };
  [[nodiscard]] Attached read_attached(const Operation& op) const;
  void read_entry(const oci::Descriptor& entry, Attached& attached) const;

  image::Storage storage_;
  std::mutex mutex_;
  std::optional<Attached> attached_; ///< read when it is first asked for
};

/// A composed index as a storage.
[[nodiscard]] image::Storage in_memory(const image::Index& index,
                                       const std::vector<MemoryArtifact>& artifacts);

} // namespace aipack::transfer
