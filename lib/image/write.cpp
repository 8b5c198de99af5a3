#include "aipack/core/for_each.hpp"
#include "aipack/image/annotation.hpp"
#include "aipack/image/archive.hpp"
#include "aipack/image/image.hpp"

#include <map>
#include <mutex>
#include <set>

#include <fmt/format.h>

namespace aipack::image {
namespace {

template <class T>
blob::BlobPtr document_blob(const oci::Sealed<T>& document) {
  return blob::memory_blob(document.descriptor(), document.bytes());
}

/// Every layer once, whichever platforms share it, in digest order.
std::vector<blob::BlobPtr> distinct_layers(const Index& index) {
  std::map<oci::Digest, blob::BlobPtr> blobs;
  for (const auto& image : index.images) {
    for (const auto& layer : image.layers) {
      blobs.emplace(layer.blob->descriptor().digest, layer.blob);
    }
  }
  std::vector<blob::BlobPtr> result;
  for (auto& [digest, blob] : blobs) {
    result.push_back(std::move(blob));
  }
  return result;
}

std::uint64_t total_bytes(const std::vector<blob::BlobPtr>& blobs) {
  std::uint64_t bytes = 0;
  for (const auto& blob : blobs) {
    bytes += blob->descriptor().size_bytes;
  }
  return bytes;
}

void count(WriteReport& report, blob::Placement placement, std::uint64_t bytes) {
  switch (placement) {
  case blob::Placement::present:
    report.reused_bytes += bytes;
    return;
  case blob::Placement::linked:
  case blob::Placement::cloned:
    report.cloned_bytes += bytes;
    return;
  case blob::Placement::copied:
    report.new_bytes += bytes;
    return;
  }
}

} // namespace

WriteReport write_layout(const Index& index, blob::Layout& layout, std::string_view tag,
                         unsigned concurrency, const Operation& op,
                         const std::function<void(const Operation&)>& before_name) {
  const auto layers = distinct_layers(index);
  std::vector<blob::BlobPtr> configs;
  std::vector<blob::BlobPtr> manifests;
  std::set<oci::Digest> seen;
  for (const auto& image : index.images) {
    if (seen.insert(image.config.descriptor().digest).second) {
      configs.push_back(document_blob(image.config));
    }
    if (seen.insert(image.manifest.descriptor().digest).second) {
      manifests.push_back(document_blob(image.manifest));
    }
  }
  Activity activity(op, fmt::format("write {}", layout.directory().filename().string()),
                    total_bytes(layers));
  WriteReport report;
  std::mutex mutex;
  const auto place_all = [&](const std::vector<blob::BlobPtr>& blobs) {
    for_each(blobs, concurrency, activity.child(),
             [&](const blob::BlobPtr& blob, const Operation& inner) {
               inner.check();
               const auto placement = layout.blobs().place(*blob, inner);
               const auto bytes = blob->descriptor().size_bytes;
               activity.advance(bytes);
               const std::lock_guard lock(mutex);
               count(report, placement, bytes);
             });
  };
  // Whatever is named is there already: layers and configs, then manifests, then the index, and the
  // tag last.
  place_all(layers);
  place_all(configs);
  place_all(manifests);
  place_all({document_blob(index.document)});
  if (before_name) {
    before_name(op);
  }
  op.check();
  layout.tag(index.document.descriptor(), tag, op);
  return report;
}

WriteReport write_oci_archive(const Index& index, const std::filesystem::path& file,
                              std::string_view tag, const Operation& op) {
  auto blobs = distinct_layers(index);
  for (const auto& image : index.images) {
    blobs.push_back(document_blob(image.config));
    blobs.push_back(document_blob(image.manifest));
  }
  blobs.push_back(document_blob(index.document));
  auto root = index.document.descriptor();
  if (!tag.empty()) {
    root.annotations[std::string(annotation::ref_name)] = tag;
  }
  return oci_archive(blobs, {std::move(root)}).write(file, op);
}

WriteReport write_docker_archive(const Image& image, const std::filesystem::path& file,
                                 const std::vector<std::string>& tags, const Operation& op) {
  return docker_archive(image, tags, op).write(file, op);
}

} // namespace aipack::image
