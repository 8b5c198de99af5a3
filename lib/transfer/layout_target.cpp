#include "layout_target.hpp"

#include "aipack/core/error.hpp"
#include "aipack/transfer/copy.hpp"

#include "document.hpp"

#include <algorithm>

namespace aipack::transfer {
namespace {

/// One that is there, or none yet. What is no layout is refused before anything is fetched for it.
std::optional<blob::Layout> open_existing(const std::filesystem::path& directory) {
  std::error_code error;
  if (std::filesystem::exists(directory / "oci-layout", error)) {
    return blob::Layout::create(directory); // completes one whose making was interrupted
  }
  if (std::filesystem::exists(directory, error) &&
      !(std::filesystem::is_directory(directory, error) &&
        std::filesystem::is_empty(directory, error))) {
    return blob::Layout::create(directory); // which says what is wrong with it
  }
  return std::nullopt;
}

std::string_view name_of(const oci::Descriptor& entry) {
  const auto found = entry.annotations.find(std::string(blob::ref_name_annotation));
  return found == entry.annotations.end() ? std::string_view() : std::string_view(found->second);
}

/// A manifest with all that it names.
bool holds(const blob::Layout& layout, const oci::Descriptor& descriptor, unsigned depth,
           const Operation& op) {
  op.check();
  const auto blob = layout.blobs().find(descriptor);
  const bool is_document =
      oci::is_index(descriptor.media_type) || oci::is_manifest(descriptor.media_type);
  if (!blob || !is_document || depth > max_index_depth) {
    return false;
  }
  const auto source = blob->open();
  const auto content = read_content(
      {descriptor, io::read_text(*source, oci::max_manifest_bytes, descriptor.digest.to_string())});
  return std::ranges::all_of(
             content.manifests,
             [&](const auto& child) { return holds(layout, child, depth + 1, op); }) &&
         std::ranges::all_of(content.blobs, [&](const auto& part) {
           return !may_be_distributed(part.media_type) || layout.blobs().contains(part);
         });
}

} // namespace

LayoutTarget::LayoutTarget(const image::Location& location)
    : Target(location.to_string()), directory_(location.path), tag_(location.tag),
      layout_(open_existing(location.path)) {}

blob::Layout& LayoutTarget::layout() {
  const std::lock_guard lock(mutex_);
  if (!layout_) {
    layout_ = blob::Layout::create(directory_);
  }
  return *layout_;
}

const blob::Layout* LayoutTarget::existing() {
  const std::lock_guard lock(mutex_);
  return layout_ ? &*layout_ : nullptr;
}

std::optional<oci::Descriptor> LayoutTarget::find(const Operation& op) {
  const auto* const layout = existing();
  if (layout == nullptr) {
    return std::nullopt;
  }
  const auto index = layout->index();
  for (const auto& entry : index->manifests) {
    const bool is_it = tag_.empty() ? name_of(entry).empty() && entry.artifact_type.empty()
                                    : name_of(entry) == tag_;
    if (is_it) {
      return holds(*layout, entry, 0, op) ? std::optional(entry) : std::nullopt;
    }
  }
  return std::nullopt;
}

Presence LayoutTarget::look(const registry::Document& document, std::string_view tag,
                            const Operation& op) {
  const auto* const layout = existing();
  if (layout == nullptr) {
    return {};
  }
  const auto& digest = document.descriptor.digest;
  const auto index = layout->index();
  const auto is_here = [&](const oci::Descriptor& entry) { return entry.digest == digest; };
  bool is_listed = true;
  if (!tag.empty()) {
    const auto named = std::ranges::find(index->manifests, tag, name_of);
    if (named != index->manifests.end() && !is_here(*named)) {
      return {.other = named->digest};
    }
    is_listed = named != index->manifests.end();
  } else if (read_content(document).subject) {
    is_listed = std::ranges::any_of(index->manifests, is_here);
  }
  return {.is_complete = is_listed && holds(*layout, document.descriptor, 0, op)};
}

registry::UploadReport LayoutTarget::put_blob(Origin& origin, const oci::Descriptor& descriptor,
                                              const Operation& op) {
  const auto report = origin.place(descriptor, layout().blobs(), op);
  registry::UploadReport result{.sent_bytes = report.received_bytes};
  if (!report.present) {
    result.arrival =
        report.resumed_bytes != 0 ? registry::Arrival::resumed : registry::Arrival::uploaded;
  }
  return result;
}

void LayoutTarget::put_manifest(const registry::Document& document, std::string_view tag,
                                const Operation& op) {
  auto& layout = this->layout();
  layout.blobs().place(*as_blob(document), op);
  const auto content = read_content(document);
  // The lock between processes is one to wait for; threads of this one take turns without it.
  const std::lock_guard turn(index_mutex_);
  if (!tag.empty()) {
    layout.tag(document.descriptor, tag, op);
  } else if (content.subject) {
    // As oras does it: what has a subject is found through index.json.
    layout.tag(listed_descriptor(document, content), {}, op);
  }
}

void LayoutTarget::finish(const registry::Document& root, const Operation& op) {
  layout().blobs().place(*as_blob(root), op);
  layout().tag(root.descriptor, tag_, op);
}

} // namespace aipack::transfer
