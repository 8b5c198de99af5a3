#pragma once

#include "aipack/transfer/place.hpp"

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace aipack::transfer {

/// An OCI layout as one tar file. Until finish() it only remembers what goes into it: blobs stream
/// from the origin into the file.
class ArchiveTarget final : public Target {
public:
  explicit ArchiveTarget(const image::Location& location);

  [[nodiscard]] std::optional<oci::Descriptor> find(const Operation& op) override;
  [[nodiscard]] Presence look(const registry::Document& document, std::string_view tag,
                              const Operation& op) override;
  registry::UploadReport put_blob(Origin& origin, const oci::Descriptor& descriptor,
                                  const Operation& op) override;
  void put_manifest(const registry::Document& document, std::string_view tag,
                    const Operation& op) override;
  void finish(const registry::Document& root, const Operation& op) override;

private:
  struct Part {
    Origin* origin;
    oci::Descriptor descriptor;
  };
  std::filesystem::path file_;
  std::string tag_;
  std::mutex mutex_;
  std::map<oci::Digest, Part> parts_;
  std::map<oci::Digest, blob::BlobPtr> documents_;
  std::vector<oci::Descriptor> entries_; ///< of index.json, behind the image's
};

} // namespace aipack::transfer
