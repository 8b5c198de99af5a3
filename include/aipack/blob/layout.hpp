#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/core/export.hpp"
#include "aipack/oci/document.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::blob {

/// The annotation that names an entry of index.json. Source: OCI image-spec 1.1, annotations.md.
inline constexpr std::string_view ref_name_annotation = "org.opencontainers.image.ref.name";

/// What cosign before version 3 attaches by name: the manifest that "sha256-<hex>.sig", ".att" and
/// ".sbom" are about. Empty for other tags.
[[nodiscard]] AIPACK_API std::optional<oci::Digest> attachment_subject(std::string_view tag);

/// The entry of an index.json that has this tag; with an empty one its only image, beside which
/// signatures and other artifacts may stand. `where` is what errors call the place, "layout 'x'".
/// Throws Error{not_found} with the tags that exist.
[[nodiscard]] AIPACK_API const oci::Descriptor&
choose_entry(const oci::Index& index, std::string_view tag, std::string_view where);

/// An OCI image layout on disk. Source: OCI image-spec 1.1, image-layout.md.
/// Threads and processes: any number may add blobs and tags side by side.
class AIPACK_API Layout {
public:
  /// Opens a layout; throws Error{not_found} or Error{corrupt} ("imageLayoutVersion").
  [[nodiscard]] static Layout open(const std::filesystem::path& directory);
  /// Opens or creates. A non-empty directory that is no layout is refused: Error{already_exists}.
  [[nodiscard]] static Layout create(const std::filesystem::path& directory,
                                     io::Durability durability = io::Durability::synced);

  [[nodiscard]] DirectoryStore& blobs() noexcept { return *store_; }
  [[nodiscard]] const DirectoryStore& blobs() const noexcept { return *store_; }
  [[nodiscard]] oci::Sealed<oci::Index> index() const;
  /// The descriptor with this `org.opencontainers.image.ref.name`; with an empty tag the only
  /// manifest. Throws Error{not_found} with the tags that exist.
  [[nodiscard]] oci::Descriptor resolve(std::string_view tag) const;
  /// Makes `descriptor` known under `tag`, replacing what had that name; index.json is replaced
  /// atomically under a lock, last of all writes. With an empty tag: the layout's one image without
  /// a name is replaced, whereas an artifact (one with `artifact_type`) is added to those that are
  /// there. Fields that aipack does not know, in other entries, are kept. Says whether anything
  /// changed; writes nothing otherwise.
  bool tag(const oci::Descriptor& descriptor, std::string_view tag, const Operation& op);
  /// What `tag()` is told, several at once: what a descriptor shall be known as.
  struct Entry {
    oci::Descriptor descriptor;
    std::string tag{};
  };
  /// The entries to make known, out of what index.json holds. Asked twice when there is something
  /// to write, the second time under the lock: what others write meanwhile is seen and kept.
  using Change = std::function<std::vector<Entry>(const oci::Index& current)>;
  /// One write of index.json for all entries. Says whether anything changed.
  bool update(const Change& change, const Operation& op);
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

private:
  Layout(std::filesystem::path directory, io::Durability durability);
  std::filesystem::path directory_;
  io::Durability durability_;
  std::unique_ptr<DirectoryStore> store_;
};

} // namespace aipack::blob
