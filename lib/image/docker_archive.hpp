#pragma once

#include <string>
#include <vector>

namespace aipack::image {

/// One image of a docker archive's manifest.json.
struct DockerImage {
  std::string config;              ///< path of the config in the archive
  std::vector<std::string> tags;   ///< "name:tag"
  std::vector<std::string> layers; ///< paths, bottom first
};

/// Parses a docker archive's manifest.json. Source: moby, image/spec/v1.2.md, "Combined Image JSON
/// + Filesystem Changeset Format". Throws FormatError{corrupt}; `name` is what it calls the
/// document.
[[nodiscard]] std::vector<DockerImage> parse_docker_manifest(const std::string& text,
                                                             const std::string& name);

/// The image with this tag ("name:tag" or only the name), or the only one. Throws Error{not_found}
/// with the tags that exist.
[[nodiscard]] const DockerImage& choose_docker_image(const std::vector<DockerImage>& images,
                                                     const std::string& tag,
                                                     const std::string& name);

} // namespace aipack::image
