#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/image/image.hpp"
#include "aipack/image/location.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/registry/registry.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::transfer {

/// Something that is about a manifest and travels with it: a signature, an attestation, an SBOM.
struct Attachment {
  oci::Descriptor descriptor; ///< annotations and artifact type are the listing's claims
  /// How cosign before 3 names it, "sha256-<hex>.sig", ".att" or ".sbom"; empty: by `subject`.
  std::string tag{};
};

/// What is attached to a manifest, as far as it can be told.
struct AttachmentList {
  std::vector<Attachment> found{};
  /// Listings, tags and entries that are there and damaged, foreign or refused. What they would
  /// have named is not known; all the rest was found nevertheless.
  std::vector<Error> failures{};
};

/// Whether bytes come from this machine. From afar a blob that is needed twice is kept on disk.
enum class Distance { local, remote };

/// A place that one image is read from: a registry, a layout, an archive, memory. What comes out
/// are the exact bytes that the descriptor promises, or an exception. Threads: any number may call
/// side by side.
class AIPACK_API Origin {
public:
  virtual ~Origin() = default;
  /// What errors and reports call it, "oci:./digits.oci:1".
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] Distance distance() const noexcept { return distance_; }

  /// What the name stands for: an index or a manifest. Throws Error{not_found}.
  [[nodiscard]] virtual oci::Descriptor resolve(const Operation& op) = 0;
  /// Throws Error{not_found} when it is not there (a sparse copy), Error{corrupt}.
  [[nodiscard]] virtual registry::Document manifest(const oci::Descriptor& descriptor,
                                                    const Operation& op) = 0;
  /// May ask only when it is opened; `op` must outlive what it returns.
  [[nodiscard]] virtual blob::BlobPtr blob(const oci::Descriptor& descriptor,
                                           const Operation& op) = 0;
  /// Brings a blob into a directory by the best way there is: a reflink, several ranges at once.
  virtual registry::DownloadReport place(const oci::Descriptor& descriptor,
                                         blob::DirectoryStore& store, const Operation& op);
  /// What is about this manifest, directly; what a listing says is not verified. Throws when the
  /// way there fails (the network, a disk, missing credentials): that is no empty list.
  [[nodiscard]] virtual AttachmentList list_attachments(const oci::Digest& subject,
                                                        const Operation& op) = 0;
  /// The same for those who need all of it: the first failure is thrown.
  [[nodiscard]] std::vector<Attachment> attachments(const oci::Digest& subject,
                                                    const Operation& op);

protected:
  Origin(std::string name, Distance distance) : name_(std::move(name)), distance_(distance) {}

private:
  std::string name_;
  Distance distance_;
};

/// What a target has of a manifest.
struct Presence {
  bool is_complete =
      false; ///< it and all that it names is known to be there: nothing is to be sent
  std::optional<oci::Digest> other{}; ///< what the tag that was asked for stands for instead
};

/// A place that one image is written to. The caller keeps the order: blobs, manifests after what
/// they name, what is attached, finish() last. Threads: any number may call side by side, finish()
/// excepted.
class AIPACK_API Target {
public:
  virtual ~Target() = default;
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The only content that the name can stand for; empty: any.
  [[nodiscard]] const std::optional<oci::Digest>& digest() const noexcept { return digest_; }

  /// What the name stands for there now. Empty: nothing, or an archive, which is always new.
  [[nodiscard]] virtual std::optional<oci::Descriptor> find(const Operation& op) = 0;
  /// What is there of this manifest, under `tag` unless that is empty.
  [[nodiscard]] virtual Presence look(const registry::Document& document, std::string_view tag,
                                      const Operation& op) = 0;
  /// `origin` must stay until finish(): an archive reads its blobs only then.
  virtual registry::UploadReport put_blob(Origin& origin, const oci::Descriptor& descriptor,
                                          const Operation& op) = 0;
  /// Under its digest, and under `tag` unless it is empty. One with a subject is made discoverable.
  virtual void put_manifest(const registry::Document& document, std::string_view tag,
                            const Operation& op) = 0;
  /// Puts `root` and makes the target's name stand for it: the tag, or the archive's file. Until
  /// here nothing that was there has changed its meaning.
  virtual void finish(const registry::Document& root, const Operation& op) = 0;

protected:
  explicit Target(std::string name, std::optional<oci::Digest> digest = std::nullopt)
      : name_(std::move(name)), digest_(digest) {}

private:
  std::string name_;
  std::optional<oci::Digest> digest_;
};

/// Opens what `location` names for reading; asks a registry nothing yet. `registry` must outlive
/// it. Throws Error{not_found}, Error{corrupt} for layouts and archives.
[[nodiscard]] AIPACK_API std::unique_ptr<Origin>
open_origin(const image::Location& location, registry::Registry& registry, const Operation& op);

/// An artifact beside an image that exists in memory only: a signature that was just made.
struct MemoryArtifact {
  registry::Document document;
  std::vector<blob::BlobPtr> blobs{};
  std::string tag{}; ///< as Attachment's
};
/// A composed index, with blobs wherever they are (weights: in their model file).
[[nodiscard]] AIPACK_API std::unique_ptr<Origin>
open_origin(image::Index index, std::vector<MemoryArtifact> artifacts = {});

struct TargetOptions {
  /// Repositories of the same registry whose blobs may be mounted, "team/base".
  std::vector<std::string> mount_sources{};
};
/// Opens a registry, a layout (made when it is missing) or an OCI archive for writing. A registry
/// reference without tag and digest means the tag "latest"; one with a digest takes nothing else.
/// Throws Error{unsupported} for a docker archive, which holds no manifests: write_docker_archive()
/// and copy() of locations make one.
[[nodiscard]] AIPACK_API std::unique_ptr<Target> open_target(const image::Location& location,
                                                             registry::Registry& registry,
                                                             const TargetOptions& options = {});

} // namespace aipack::transfer
