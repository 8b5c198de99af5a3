#pragma once

#include "aipack/transfer/place.hpp"

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace aipack::transfer {

/// An image of a registry.
class RegistryOrigin final : public Origin {
public:
  /// With Access::push only the registry itself is asked, no mirror.
  RegistryOrigin(const image::Location& location, registry::Registry& registry,
                 registry::Access access = registry::Access::pull);

  [[nodiscard]] oci::Descriptor resolve(const Operation& op) override;
  [[nodiscard]] registry::Document manifest(const oci::Descriptor& descriptor,
                                            const Operation& op) override;
  [[nodiscard]] blob::BlobPtr blob(const oci::Descriptor& descriptor, const Operation& op) override;
  registry::DownloadReport place(const oci::Descriptor& descriptor, blob::DirectoryStore& store,
                                 const Operation& op) override;
  [[nodiscard]] AttachmentList list_attachments(const oci::Digest& subject,
                                                const Operation& op) override;

private:
  registry::Repository repository_;
  std::string tag_or_digest_;
};

/// A tag, or a digest, of a registry's repository.
class RegistryTarget final : public Target {
public:
  RegistryTarget(const image::Location& location, registry::Registry& registry,
                 TargetOptions options);

  [[nodiscard]] std::optional<oci::Descriptor> find(const Operation& op) override;
  [[nodiscard]] Presence look(const registry::Document& document, std::string_view tag,
                              const Operation& op) override;
  registry::UploadReport put_blob(Origin& origin, const oci::Descriptor& descriptor,
                                  const Operation& op) override;
  void put_manifest(const registry::Document& document, std::string_view tag,
                    const Operation& op) override;
  void finish(const registry::Document& root, const Operation& op) override;

private:
  [[nodiscard]] std::optional<oci::Descriptor> find_there(std::string_view tag_or_digest,
                                                          const Operation& op) const;
  [[nodiscard]] bool lists(const oci::Digest& subject, const oci::Digest& referrer,
                           const Operation& op);

  std::vector<std::string> mount_sources_;
  registry::Repository repository_;
  std::string tag_; ///< empty: the digest alone
  std::mutex mutex_;
  std::map<oci::Digest, std::set<oci::Digest>> listed_; ///< referrers by subject, as first asked
};

} // namespace aipack::transfer
