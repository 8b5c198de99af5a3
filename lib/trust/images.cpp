#include "aipack/trust/images.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"
#include "aipack/transfer/copy.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::trust {
namespace {

constexpr const char* created_annotation = "org.opencontainers.image.created";

/// On the attestations that BuildKit keeps among the images of an index. Source: BuildKit,
/// docs/attestations, "Attestation storage".
constexpr const char* attested_digest = "vnd.docker.reference.digest";

bool is_image(const oci::Descriptor& entry) {
  return oci::is_manifest(entry.media_type) && entry.artifact_type.empty() &&
         !entry.annotations.contains(attested_digest) &&
         !(entry.platform && entry.platform->os == "unknown");
}

oci::Descriptor plain(const oci::Descriptor& descriptor) {
  return {.media_type = descriptor.media_type,
          .digest = descriptor.digest,
          .size_bytes = descriptor.size_bytes,
          .platform = descriptor.platform};
}

bool holds(const std::vector<oci::Descriptor>& images, const oci::Digest& digest) {
  return std::ranges::find(images, digest, &oci::Descriptor::digest) != images.end();
}

oci::Sealed<oci::Index> read_index(transfer::Origin& origin, const oci::Descriptor& descriptor,
                                   const Operation& op) {
  return oci::parse_index(origin.manifest(descriptor, op).bytes, descriptor.digest.to_string());
}

void add_images(transfer::Origin& origin, const oci::Descriptor& index, unsigned depth,
                std::vector<oci::Descriptor>& images, const Operation& op) {
  op.check();
  if (depth > transfer::max_index_depth) {
    throw FormatError(origin.name(), std::nullopt, "its indexes are nested too deeply");
  }
  const auto document = read_index(origin, index, op);
  for (const auto& entry : document->manifests) {
    if (oci::is_index(entry.media_type)) {
      add_images(origin, entry, depth + 1, images, op);
    } else if (is_image(entry) && !holds(images, entry.digest)) {
      images.push_back(plain(entry));
    }
    if (images.size() > transfer::max_manifests) {
      throw FormatError(origin.name(), std::nullopt,
                        fmt::format("it names more than {} images", transfer::max_manifests));
    }
  }
}

std::optional<std::chrono::sys_seconds> created_in(const oci::Annotations& annotations) {
  const auto found = annotations.find(created_annotation);
  return found == annotations.end() ? std::nullopt : oci::try_rfc3339(found->second);
}

} // namespace

std::vector<oci::Descriptor> images_of(transfer::Origin& origin, const Operation& op) {
  return images_of(origin, origin.resolve(op), op);
}

std::vector<oci::Descriptor> images_of(transfer::Origin& origin, const oci::Descriptor& root,
                                       const Operation& op) {
  std::vector<oci::Descriptor> images{plain(root)};
  if (oci::is_index(root.media_type)) {
    add_images(origin, root, 0, images, op);
  } else if (!oci::is_manifest(root.media_type)) {
    throw Error(ErrorCode::unsupported, fmt::format("cannot use {}: {} is no image",
                                                    quoted(origin.name()), root.media_type));
  }
  return images;
}

std::chrono::sys_seconds created_of(transfer::Origin& origin, const oci::Descriptor& root,
                                    const Operation& op) {
  constexpr std::chrono::sys_seconds epoch{};
  if (oci::is_index(root.media_type)) {
    const auto index = read_index(origin, root, op);
    if (const auto created = created_in(index->annotations)) {
      return *created;
    }
    for (const auto& entry : index->manifests) {
      if (is_image(entry)) {
        return created_of(origin, entry, op);
      }
    }
    return epoch;
  }
  const auto name = root.digest.to_string();
  const auto manifest = oci::parse_manifest(origin.manifest(root, op).bytes, name);
  if (const auto created = created_in(manifest->annotations)) {
    return *created;
  }
  if (manifest->config.media_type != oci::media_type::config &&
      manifest->config.media_type != oci::media_type::docker_config) {
    return epoch;
  }
  const auto blob = origin.blob(manifest->config, op);
  const auto source = blob->open();
  const auto config = oci::parse_config(io::read_text(*source, oci::max_config_bytes, name), name);
  return oci::try_rfc3339(config->created).value_or(epoch);
}

} // namespace aipack::trust
