#include "stored_origin.hpp"

#include "aipack/blob/layout.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "document.hpp"

#include <fmt/format.h>

namespace aipack::transfer {
namespace {

oci::Descriptor plain(const oci::Descriptor& descriptor) {
  return {descriptor.media_type, descriptor.digest, descriptor.size_bytes};
}

std::string tag_of(const oci::Descriptor& entry) {
  const auto found = entry.annotations.find(std::string(blob::ref_name_annotation));
  return found == entry.annotations.end() ? std::string() : found->second;
}

bool is_document(const oci::Descriptor& descriptor) {
  return oci::is_index(descriptor.media_type) || oci::is_manifest(descriptor.media_type);
}

} // namespace

oci::Descriptor StoredOrigin::resolve(const Operation& /*op*/) {
  return plain(storage_.root);
}

registry::Document StoredOrigin::manifest(const oci::Descriptor& descriptor, const Operation& op) {
  if (descriptor.size_bytes > oci::max_manifest_bytes) {
    throw FormatError(name(), std::nullopt,
                      fmt::format("manifest {} has {} bytes, {} are allowed",
                                  descriptor.digest.to_string(), descriptor.size_bytes,
                                  oci::max_manifest_bytes));
  }
  const auto found = blob(descriptor, op);
  const auto source = found->open();
  return {plain(descriptor),
          io::read_text(*source, oci::max_manifest_bytes,
                        fmt::format("manifest {}", descriptor.digest.to_string()))};
}

blob::BlobPtr StoredOrigin::blob(const oci::Descriptor& descriptor, const Operation& /*op*/) {
  auto found = storage_.find(descriptor);
  if (!found) {
    throw Error(ErrorCode::not_found, fmt::format("cannot read {} of {}: it is missing",
                                                  descriptor.digest.to_string(), quoted(name())));
  }
  return found;
}

AttachmentList StoredOrigin::list_attachments(const oci::Digest& subject, const Operation& op) {
  const std::lock_guard lock(mutex_);
  if (!attached_) {
    attached_ = read_attached(op);
  }
  AttachmentList result{.failures = attached_->failures};
  const auto [first, last] = attached_->by_subject.equal_range(subject);
  for (auto at = first; at != last; ++at) {
    result.found.push_back(at->second);
  }
  return result;
}

StoredOrigin::Attached StoredOrigin::read_attached(const Operation& op) const {
  Attached result;
  for (const auto& entry : storage_.entries) {
    op.check();
    try {
      read_entry(entry, result);
    } catch (const Error& error) {
      if (!is_about_content(error)) {
        throw;
      }
      result.failures.push_back(error);
    }
  }
  return result;
}

void StoredOrigin::read_entry(const oci::Descriptor& entry, Attached& attached) const {
  const auto tag = tag_of(entry);
  if (const auto subject = blob::attachment_subject(tag)) {
    attached.by_subject.emplace(*subject, Attachment{plain(entry), tag});
    return;
  }
  const auto blob = is_document(entry) ? storage_.find(entry) : nullptr;
  if (!blob) {
    return;
  }
  const auto source = blob->open();
  const registry::Document document{
      plain(entry), io::read_text(*source, oci::max_manifest_bytes, entry.digest.to_string())};
  const auto content = read_content(document);
  if (content.subject) {
    attached.by_subject.emplace(content.subject->digest,
                                Attachment{listed_descriptor(document, content)});
  }
}

image::Storage in_memory(const image::Index& index, const std::vector<MemoryArtifact>& artifacts) {
  std::map<oci::Digest, blob::BlobPtr> blobs;
  const auto keep = [&](const blob::BlobPtr& blob) { blobs[blob->descriptor().digest] = blob; };
  const auto keep_document = [&](const auto& sealed) {
    keep(blob::memory_blob(sealed.descriptor(), sealed.bytes()));
  };
  image::Storage storage{index.document.descriptor(), {index.document.descriptor()}, {}};
  keep_document(index.document);
  for (const auto& image : index.images) {
    keep_document(image.manifest);
    keep_document(image.config);
    for (const auto& layer : image.layers) {
      keep(layer.blob);
    }
  }
  for (const auto& artifact : artifacts) {
    auto entry = artifact.document.descriptor;
    entry.annotations.clear();
    if (!artifact.tag.empty()) {
      entry.annotations[std::string(blob::ref_name_annotation)] = artifact.tag;
    }
    storage.entries.push_back(std::move(entry));
    keep(as_blob(artifact.document));
    for (const auto& blob : artifact.blobs) {
      keep(blob);
    }
  }
  storage.find = [blobs = std::move(blobs)](const oci::Descriptor& descriptor) -> blob::BlobPtr {
    const auto found = blobs.find(descriptor.digest);
    return found == blobs.end() ? nullptr : found->second;
  };
  return storage;
}

} // namespace aipack::transfer
