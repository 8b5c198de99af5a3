#include "aipack/transfer/place.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "archive_target.hpp"
#include "layout_target.hpp"
#include "registry_place.hpp"
#include "stored_origin.hpp"

#include <utility>

#include <fmt/format.h>

namespace aipack::transfer {

registry::DownloadReport Origin::place(const oci::Descriptor& descriptor,
                                       blob::DirectoryStore& store, const Operation& op) {
  if (store.contains(descriptor)) {
    return {.present = true};
  }
  store.place(*blob(descriptor, op), op);
  return {.received_bytes = descriptor.size_bytes};
}

std::vector<Attachment> Origin::attachments(const oci::Digest& subject, const Operation& op) {
  auto list = list_attachments(subject, op);
  if (!list.failures.empty()) {
    throw std::move(list.failures.front());
  }
  return std::move(list.found);
}

std::unique_ptr<Origin> open_origin(const image::Location& location, registry::Registry& registry,
                                    const Operation& op) {
  if (location.kind == image::Location::Kind::registry) {
    return std::make_unique<RegistryOrigin>(location, registry);
  }
  return std::make_unique<StoredOrigin>(location.to_string(), image::open_storage(location, op));
}

std::unique_ptr<Origin> open_origin(image::Index index, std::vector<MemoryArtifact> artifacts) {
  return std::make_unique<StoredOrigin>("the image", in_memory(index, artifacts));
}

std::unique_ptr<Target> open_target(const image::Location& location, registry::Registry& registry,
                                    const TargetOptions& options) {
  switch (location.kind) {
  case image::Location::Kind::registry:
    return std::make_unique<RegistryTarget>(location, registry, options);
  case image::Location::Kind::layout:
    return std::make_unique<LayoutTarget>(location);
  case image::Location::Kind::oci_archive:
    return std::make_unique<ArchiveTarget>(location);
  case image::Location::Kind::docker_archive:
    break;
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("cannot write manifests to {}: a docker archive holds none",
                          quoted(location.to_string())));
}

} // namespace aipack::transfer
