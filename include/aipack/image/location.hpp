#pragma once

#include "aipack/core/export.hpp"
#include "aipack/oci/reference.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace aipack::image {

/// Where an image can be, in the transport syntax of skopeo and podman:
///
///     oci:DIR[:TAG]            an OCI image layout
///     oci-archive:FILE[:TAG]   the same as one tar file
///     docker-archive:FILE      what `docker save` writes; ":NAME:TAG" picks one of several images
///     docker://HOST/REPO[:TAG|@DIGEST], HOST/REPO[:TAG]   a registry
///
/// As in those tools a path ends at the first ':', so it cannot hold one, and what follows is the
/// tag, colons included.
struct Location {
  enum class Kind { layout, oci_archive, docker_archive, registry };

  Kind kind = Kind::layout;
  std::filesystem::path path{};              ///< of a layout or an archive
  std::string tag{};                         ///< of a layout or an archive; empty: the only image
  std::optional<oci::Reference> reference{}; ///< of a registry

  /// Throws Error{invalid_input} with what would be right, Error{unsupported} for transports of
  /// other tools ("containers-storage:").
  [[nodiscard]] AIPACK_API static Location parse(std::string_view text);
  /// Parses back to the same location; a registry is printed with "docker://".
  [[nodiscard]] AIPACK_API std::string to_string() const;
  bool operator==(const Location&) const = default;
};

} // namespace aipack::image
