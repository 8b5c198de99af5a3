#include "aipack/transfer/attach.hpp"

#include "aipack/blob/layout.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"

#include "document.hpp"
#include "registry_place.hpp"
#include "stored_origin.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace aipack::transfer {
namespace {

/// Requests to one registry are limited where they are sent. Whoever waits for a listing to settle
/// sends none, so there may be many.
constexpr unsigned attached_at_once = 64;

/// Every blob once: the empty config is part of each artifact.
std::vector<blob::BlobPtr> distinct_blobs(const std::vector<MemoryArtifact>& artifacts) {
  std::map<oci::Digest, blob::BlobPtr> blobs;
  for (const auto& artifact : artifacts) {
    for (const auto& blob : artifact.blobs) {
      blobs.emplace(blob->descriptor().digest, blob);
    }
  }
  std::vector<blob::BlobPtr> result;
  for (auto& [digest, blob] : blobs) {
    result.push_back(std::move(blob));
  }
  return result;
}

/// A place may be read several times until what was merged stands in it. What was made of one state
/// is good for as long as that is what is read: a token signs once, an authority is asked once.
class MergedOnce {
public:
  explicit MergedOnce(const MergeArtifact& merge) : merge_(merge) {}

  const std::optional<MemoryArtifact>& of(const registry::Document* now) {
    const auto digest = now != nullptr ? std::optional(now->descriptor.digest) : std::nullopt;
    if (is_first_ || digest != made_from_) {
      made_ = merge_(now);
      made_from_ = digest;
      is_first_ = false;
    }
    return made_;
  }

private:
  const MergeArtifact& merge_;
  bool is_first_ = true;
  std::optional<oci::Digest> made_from_;
  std::optional<MemoryArtifact> made_;
};

class RegistryAnnex final : public Annex {
public:
  RegistryAnnex(image::Location location, registry::Registry& registry)
      : location_(std::move(location)), registry_(registry),
        repository_(registry.open(location_.reference.value(), registry::Access::push)) {}

  void attach(const std::vector<MemoryArtifact>& artifacts, const Operation& op) override {
    for_each(distinct_blobs(artifacts), attached_at_once, op,
             [&](const blob::BlobPtr& blob, const Operation& inner) {
               repository_.upload(*blob, {}, inner);
             });
    for_each(artifacts, attached_at_once, op,
             [&](const MemoryArtifact& artifact, const Operation& inner) {
               repository_.put_manifest(artifact.document, {}, inner);
             });
  }

  void merge(std::string_view tag, const MergeArtifact& merge, const Operation& op) override {
    MergedOnce merged(merge);
    repository_.update_tag(
        tag,
        [&](const registry::Document* now) -> std::optional<registry::Document> {
          const auto& artifact = merged.of(now);
          if (!artifact) {
            return std::nullopt;
          }
          for (const auto& blob : artifact->blobs) {
            repository_.upload(*blob, {}, op);
          }
          return artifact->document;
        },
        op);
  }

  std::unique_ptr<Origin> read(const oci::Descriptor& root, const Operation& /*op*/) override {
    return std::make_unique<RegistryOrigin>(
        image::Location{.kind = image::Location::Kind::registry,
                        .reference = location_.reference->with_digest(root.digest)},
        registry_, registry::Access::push);
  }

private:
  image::Location location_;
  registry::Registry& registry_;
  registry::Repository repository_;
};

class LayoutAnnex final : public Annex {
public:
  explicit LayoutAnnex(const image::Location& location)
      : name_(location.to_string()), layout_(blob::Layout::open(location.path)) {}

  void attach(const std::vector<MemoryArtifact>& artifacts, const Operation& op) override {
    if (artifacts.empty()) {
      return;
    }
    store(artifacts, op);
    std::vector<blob::Layout::Entry> entries;
    for (const auto& artifact : artifacts) {
      entries.push_back({listed_descriptor(artifact.document, read_content(artifact.document))});
    }
    layout_.update([&](const oci::Index&) { return entries; }, op);
  }

  void merge(std::string_view tag, const MergeArtifact& merge, const Operation& op) override {
    MergedOnce merged(merge);
    layout_.update(
        [&](const oci::Index& index) -> std::vector<blob::Layout::Entry> {
          const auto now = find(index, tag);
          const auto& artifact = merged.of(now ? &*now : nullptr);
          if (!artifact) {
            return {};
          }
          store({*artifact}, op);
          return {{artifact->document.descriptor, std::string(tag)}};
        },
        op);
  }

  std::unique_ptr<Origin> read(const oci::Descriptor& root, const Operation& /*op*/) override {
    image::Storage storage{
        root, layout_.index()->manifests,
        [this](const oci::Descriptor& descriptor) { return layout_.blobs().find(descriptor); }};
    return std::make_unique<StoredOrigin>(name_, std::move(storage));
  }

private:
  void store(const std::vector<MemoryArtifact>& artifacts, const Operation& op) {
    auto blobs = distinct_blobs(artifacts);
    for (const auto& artifact : artifacts) {
      blobs.push_back(as_blob(artifact.document));
    }
    for_each(blobs, attached_at_once, op, [&](const blob::BlobPtr& blob, const Operation& inner) {
      layout_.blobs().place(*blob, inner);
    });
  }

  [[nodiscard]] std::optional<registry::Document> find(const oci::Index& index,
                                                       std::string_view tag) const {
    const auto entry = std::ranges::find_if(index.manifests, [&](const auto& candidate) {
      const auto name = candidate.annotations.find(std::string(blob::ref_name_annotation));
      return name != candidate.annotations.end() && name->second == tag;
    });
    if (entry == index.manifests.end()) {
      return std::nullopt;
    }
    const auto blob = layout_.blobs().find(*entry);
    if (!blob) {
      return std::nullopt; // a listing that outlived its content is replaced
    }
    const auto source = blob->open();
    return registry::Document{
        {entry->media_type, entry->digest, entry->size_bytes},
        io::read_text(*source, oci::max_manifest_bytes, entry->digest.to_string())};
  }

  std::string name_;
  blob::Layout layout_;
};

} // namespace

std::unique_ptr<Annex> open_annex(const image::Location& location, registry::Registry& registry) {
  switch (location.kind) {
  case image::Location::Kind::registry:
    return std::make_unique<RegistryAnnex>(location, registry);
  case image::Location::Kind::layout:
    return std::make_unique<LayoutAnnex>(location);
  case image::Location::Kind::oci_archive:
  case image::Location::Kind::docker_archive:
    break;
  }
  throw Error(ErrorCode::unsupported,
              fmt::format("cannot write beside {}: an archive is written once",
                          quoted(location.to_string())))
      .with_hint("copy it to a layout, work there, and copy the layout to an archive again");
}

} // namespace aipack::transfer
