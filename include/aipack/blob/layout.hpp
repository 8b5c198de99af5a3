#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aipack/blob/blob.hpp"
#include "aipack/core/export.hpp"
#include "aipack/oci/document.hpp"

namespace aipack::blob {

/// An OCI image layout on disk. Source: OCI image-spec 1.1, image-layout.md.
class AIPACK_API Layout {
public:
    /// Opens a layout; throws Error{not_found} or Error{corrupt} ("imageLayoutVersion").
    [[nodiscard]] static Layout open(const std::filesystem::path& directory);
    /// Opens or creates. A non-empty directory that is no layout is refused: Error{already_exists}.
    [[nodiscard]] static Layout create(const std::filesystem::path& directory, io::Durability durability = io::Durability::synced);

    [[nodiscard]] DirectoryStore& blobs() noexcept { return *store_; }
    [[nodiscard]] const DirectoryStore& blobs() const noexcept { return *store_; }
    [[nodiscard]] oci::Sealed<oci::Index> index() const;
    /// The descriptor with this `org.opencontainers.image.ref.name`; with an empty tag the only manifest. Throws Error{not_found} with
    /// the tags that exist.
    [[nodiscard]] oci::Descriptor resolve(std::string_view tag) const;
    /// Makes `descriptor` known under `tag` (empty: without a name), replacing what had that name; index.json is replaced atomically
    /// under a lock, last of all writes. Says whether anything changed.
    bool tag(const oci::Descriptor& descriptor, std::string_view tag, const Operation& op);
    [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }

private:
    Layout(std::filesystem::path directory, io::Durability durability);
    std::filesystem::path directory_;
    io::Durability durability_;
    std::unique_ptr<DirectoryStore> store_;
};

} // namespace aipack::blob
