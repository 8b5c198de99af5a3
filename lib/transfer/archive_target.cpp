#include "archive_target.hpp"

#include "aipack/blob/layout.hpp"
#include "aipack/image/archive.hpp"

#include "document.hpp"

namespace aipack::transfer {
namespace {

oci::Descriptor named(oci::Descriptor descriptor, std::string_view tag) {
  if (!tag.empty()) {
    descriptor.annotations[std::string(blob::ref_name_annotation)] = tag;
  }
  return descriptor;
}

bool is_named(const oci::Descriptor& entry) {
  return entry.annotations.contains(std::string(blob::ref_name_annotation));
}

} // namespace

ArchiveTarget::ArchiveTarget(const image::Location& location)
    : Target(location.to_string()), file_(location.path), tag_(location.tag) {}

std::optional<oci::Descriptor> ArchiveTarget::find(const Operation& /*op*/) {
  return std::nullopt;
}

Presence ArchiveTarget::look(const registry::Document& /*document*/, std::string_view /*tag*/,
                             const Operation& /*op*/) {
  return {};
}

registry::UploadReport ArchiveTarget::put_blob(Origin& origin, const oci::Descriptor& descriptor,
                                               const Operation& /*op*/) {
  const std::lock_guard lock(mutex_);
  parts_.insert_or_assign(descriptor.digest, Part{&origin, descriptor});
  return {.arrival = registry::Arrival::uploaded, .sent_bytes = descriptor.size_bytes};
}

void ArchiveTarget::put_manifest(const registry::Document& document, std::string_view tag,
                                 const Operation& /*op*/) {
  const auto content = read_content(document);
  const std::lock_guard lock(mutex_);
  documents_[document.descriptor.digest] = as_blob(document);
  if (!tag.empty()) {
    entries_.push_back(named(document.descriptor, tag));
  } else if (content.subject) {
    entries_.push_back(listed_descriptor(document, content));
  }
}

void ArchiveTarget::finish(const registry::Document& root, const Operation& op) {
  documents_[root.descriptor.digest] = as_blob(root);
  std::vector<blob::BlobPtr> blobs;
  for (const auto& [digest, part] : parts_) {
    blobs.push_back(part.origin->blob(part.descriptor, op));
  }
  for (const auto& [digest, document] : documents_) {
    blobs.push_back(document);
  }
  // An artifact that is copied by itself has its place already.
  std::erase_if(entries_, [&](const oci::Descriptor& entry) {
    return entry.digest == root.descriptor.digest && !is_named(entry);
  });
  std::vector<oci::Descriptor> entries{named(root.descriptor, tag_)};
  entries.insert(entries.end(), entries_.begin(), entries_.end());
  image::oci_archive(blobs, std::move(entries)).write(file_, op);
}

} // namespace aipack::transfer
