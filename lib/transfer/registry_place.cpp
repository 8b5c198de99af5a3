#include "registry_place.hpp"

#include "aipack/core/error.hpp"

#include "document.hpp"

#include <array>

#include <fmt/format.h>

namespace aipack::transfer {
namespace {

constexpr std::string_view default_tag = "latest"; // as docker and podman have it

/// What cosign before version 3 attaches by name.
constexpr std::array<std::string_view, 3> attachment_suffixes{".sig", ".att", ".sbom"};

/// What a registry says about a tag that is not there: some say 403 so as not to tell, some know
/// nothing of a repository that nobody has pushed to.
bool means_absent(const Error& error) {
  return error.code() == ErrorCode::not_found || error.code() == ErrorCode::denied;
}

std::string origin_name(const oci::Reference& reference) {
  if (reference.digest()) {
    return reference.digest()->to_string();
  }
  return reference.tag().empty() ? std::string(default_tag) : reference.tag();
}

std::string target_tag(const oci::Reference& reference) {
  return reference.tag().empty() && !reference.digest() ? std::string(default_tag)
                                                        : reference.tag();
}

} // namespace

// --- origin

RegistryOrigin::RegistryOrigin(const image::Location& location, registry::Registry& registry,
                               registry::Access access)
    : Origin(location.to_string(), Distance::remote),
      repository_(registry.open(location.reference.value(), access)),
      tag_or_digest_(origin_name(*location.reference)) {}

oci::Descriptor RegistryOrigin::resolve(const Operation& op) {
  return repository_.resolve(tag_or_digest_, op);
}

registry::Document RegistryOrigin::manifest(const oci::Descriptor& descriptor,
                                            const Operation& op) {
  return repository_.fetch_manifest(descriptor, op);
}

blob::BlobPtr RegistryOrigin::blob(const oci::Descriptor& descriptor, const Operation& op) {
  return repository_.blob(descriptor, op);
}

registry::DownloadReport RegistryOrigin::place(const oci::Descriptor& descriptor,
                                               blob::DirectoryStore& store, const Operation& op) {
  return repository_.download(descriptor, store, op);
}

AttachmentList RegistryOrigin::list_attachments(const oci::Digest& subject, const Operation& op) {
  AttachmentList result;
  // The listing and each tag are written by different programs: neither speaks for the others.
  const auto apart = [&](const auto& ask) {
    try {
      ask();
    } catch (const Error& error) {
      if (!is_about_content(error)) {
        throw;
      }
      result.failures.push_back(error);
    }
  };
  apart([&] {
    for (auto& referrer : repository_.referrers(subject, {}, op)) {
      result.found.push_back({std::move(referrer)});
    }
  });
  for (const auto suffix : attachment_suffixes) {
    const auto tag = fmt::format("sha256-{}{}", subject.hex(), suffix);
    apart([&] {
      try {
        if (auto found = repository_.find(tag, op)) {
          result.found.push_back({std::move(*found), tag});
        }
      } catch (const Error& error) {
        if (!means_absent(error)) {
          throw;
        }
      }
    });
  }
  return result;
}

// --- target

RegistryTarget::RegistryTarget(const image::Location& location, registry::Registry& registry,
                               TargetOptions options)
    : Target(location.to_string(), location.reference.value().digest()),
      mount_sources_(std::move(options.mount_sources)),
      repository_(registry.open(*location.reference, registry::Access::push, mount_sources_)),
      tag_(target_tag(*location.reference)) {}

std::optional<oci::Descriptor> RegistryTarget::find_there(std::string_view tag_or_digest,
                                                          const Operation& op) const {
  try {
    return repository_.find(tag_or_digest, op);
  } catch (const Error& error) {
    // Only a question; if the right to push is missing, the push says so.
    if (!means_absent(error)) {
      throw;
    }
    return std::nullopt;
  }
}

std::optional<oci::Descriptor> RegistryTarget::find(const Operation& op) {
  return find_there(tag_.empty() ? digest()->to_string() : tag_, op);
}

Presence RegistryTarget::look(const registry::Document& document, std::string_view tag,
                              const Operation& op) {
  const auto& digest = document.descriptor.digest;
  if (!tag.empty()) {
    const auto found = find_there(tag, op);
    if (found && found->digest != digest) {
      return {.other = found->digest};
    }
    return {.is_complete = found.has_value()};
  }
  // A manifest may be there without being listed, when its push was interrupted in between.
  const auto content = read_content(document);
  return {.is_complete = content.subject ? lists(content.subject->digest, digest, op)
                                         : find_there(digest.to_string(), op).has_value()};
}

bool RegistryTarget::lists(const oci::Digest& subject, const oci::Digest& referrer,
                           const Operation& op) {
  const std::lock_guard lock(mutex_);
  auto known = listed_.find(subject);
  if (known == listed_.end()) {
    std::set<oci::Digest> digests;
    for (const auto& listed : repository_.referrers(subject, {}, op)) {
      digests.insert(listed.digest);
    }
    known = listed_.emplace(subject, std::move(digests)).first;
  }
  return known->second.contains(referrer);
}

registry::UploadReport RegistryTarget::put_blob(Origin& origin, const oci::Descriptor& descriptor,
                                                const Operation& op) {
  return repository_.upload(*origin.blob(descriptor, op), mount_sources_, op);
}

void RegistryTarget::put_manifest(const registry::Document& document, std::string_view tag,
                                  const Operation& op) {
  repository_.put_manifest(document, tag, op);
}

void RegistryTarget::finish(const registry::Document& root, const Operation& op) {
  repository_.put_manifest(root, tag_, op);
}

} // namespace aipack::transfer
