#pragma once

#include "session.hpp"
#include "upload_content.hpp"
#include "upload_facts.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::registry {

/// What an uploader learns and asks. EndpointMemory does both; all may be called from any thread.
struct UploadMemory {
  virtual ~UploadMemory() = default;
  [[nodiscard]] virtual UploadFacts upload_facts() const = 0;
  virtual void remember(const UploadFacts& facts) = 0;
  /// Repositories of the same endpoint where this blob was seen, the newest first; never the one
  /// that is uploaded to.
  [[nodiscard]] virtual std::vector<std::string>
  repositories_with(const oci::Digest& digest) const = 0;
  /// The blob is in the repository that is uploaded to.
  virtual void saw_blob(const oci::Digest& digest) = 0;
  /// It is not, or no longer, in `repository`.
  virtual void missed_blob(const std::string& repository, const oci::Digest& digest) = 0;
};

/// Where to upload to, and with what means: `session.endpoint()` names the repository.
struct UploadPlace {
  Session& session;
  UploadMemory& memory;
  std::filesystem::path journal_dir{}; ///< of open uploads; empty: nothing is kept
  Patience patience{};
  Reading reading = Reading::ahead;
};

/// Repository::upload().
[[nodiscard]] UploadReport upload_blob(const UploadPlace& place, const blob::BlobSource& blob,
                                       const std::vector<std::string>& mount_sources,
                                       const Operation& op);

/// Repository::upload_hashing(). `report` is filled in also when it throws.
[[nodiscard]] std::shared_ptr<const blob::DerivedBlob>
upload_recipe(const UploadPlace& place, std::string_view media_type, const blob::Recipe& recipe,
              UploadReport& report, const Operation& op);

} // namespace aipack::registry
