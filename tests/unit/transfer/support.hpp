#pragma once

#include "aipack/blob/layout.hpp"
#include "aipack/core/error.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/registry/registry.hpp"
#include "aipack/transfer/copy.hpp"
#include "aipack/transfer/open_image.hpp"

#include "../image/support.hpp"
#include "stored_origin.hpp"

#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace aipack::transfer::test {

using namespace aipack::image::test;

/// Blobs in memory, as an origin whose index.json a test writes itself, hostile ones included:
/// nothing is checked.
class MemoryPlace {
public:
  oci::Descriptor put(std::string_view media_type, const std::string& bytes) {
    return put_as({std::string(media_type), oci::Digest::of(bytes), bytes.size()}, bytes);
  }
  /// Under a descriptor that may lie.
  oci::Descriptor put_as(const oci::Descriptor& descriptor, const std::string& bytes) {
    blobs_[descriptor.digest] = bytes;
    return descriptor;
  }
  void remove(const oci::Digest& digest) { blobs_.erase(digest); }
  /// Adds an entry of index.json.
  void list(oci::Descriptor entry, const std::string& tag = {}) {
    if (!tag.empty()) {
      entry.annotations[std::string(blob::ref_name_annotation)] = tag;
    }
    entries_.push_back(std::move(entry));
  }
  [[nodiscard]] std::unique_ptr<Origin> open(const oci::Descriptor& root) const {
    return std::make_unique<StoredOrigin>(
        "memory", image::Storage{root, entries_, [this](const oci::Descriptor& descriptor) {
                                   return find(descriptor);
                                 }});
  }
  [[nodiscard]] const std::map<oci::Digest, std::string>& blobs() const { return blobs_; }

private:
  /// Gives out what it has, whatever its descriptor says.
  class Unchecked final : public blob::BlobSource {
  public:
    Unchecked(oci::Descriptor descriptor, std::string bytes)
        : descriptor_(std::move(descriptor)),
          bytes_(std::make_shared<const std::string>(std::move(bytes))) {}
    [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override {
      return descriptor_;
    }
    [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
      return std::make_unique<io::MemorySource>(
          bytes_, io::as_bytes(std::string_view(*bytes_).substr(offset)));
    }

  private:
    oci::Descriptor descriptor_;
    std::shared_ptr<const std::string> bytes_;
  };

  [[nodiscard]] blob::BlobPtr find(const oci::Descriptor& descriptor) const {
    const auto found = blobs_.find(descriptor.digest);
    return found == blobs_.end() ? nullptr : std::make_shared<Unchecked>(descriptor, found->second);
  }

  std::map<oci::Digest, std::string> blobs_;
  std::vector<oci::Descriptor> entries_;
};

/// A signature-like artifact with one blob of its own.
inline oci::Manifest artifact(MemoryPlace& place, const oci::Descriptor& subject,
                              const std::string& payload,
                              const std::string& type = "application/vnd.example.signature") {
  oci::Manifest manifest{.artifact_type = type,
                         .config = place.put(oci::media_type::empty, "{}"),
                         .layers = {place.put("application/octet-stream", payload)}};
  manifest.subject = oci::Descriptor{subject.media_type, subject.digest, subject.size_bytes};
  manifest.annotations = {{"org.example.payload", payload}};
  return manifest;
}

template <class Document>
oci::Descriptor put_document(MemoryPlace& place, Document document) {
  const auto sealed = oci::seal(std::move(document));
  return place.put(sealed.descriptor().media_type, sealed.bytes());
}

/// The sample index of image::test, with its blobs.
inline oci::Descriptor put_index(MemoryPlace& place, const image::Index& index) {
  for (const auto& image : index.images) {
    place.put(image.config.descriptor().media_type, image.config.bytes());
    place.put(image.manifest.descriptor().media_type, image.manifest.bytes());
    for (const auto& layer : image.layers) {
      place.put(layer.blob->descriptor().media_type, read_blob(*layer.blob));
    }
  }
  return place.put(index.document.descriptor().media_type, index.document.bytes());
}

/// An index of two platforms, signed in every way that there is: referrers of the index and of an
/// image, a referrer of a referrer, and cosign's tags.
struct Signed {
  MemoryPlace place;
  oci::Descriptor root = oci::Descriptor{{}, oci::Digest::of(std::string_view())};
  std::vector<oci::Digest> manifests; ///< of the images, in order
  std::vector<oci::Descriptor> referrers;
  std::map<std::string, oci::Descriptor> tagged;
};

inline Signed signed_sample(std::size_t divisor = 100) {
  Signed result;
  MemoryStore store;
  const auto index = sample_index(store, zstd, {"amd64", "arm64"}, divisor);
  auto& place = result.place;
  result.root = put_index(place, index);
  place.list(result.root, "v1");
  for (const auto& image : index.images) {
    result.manifests.push_back(image.manifest.descriptor().digest);
  }
  const auto add = [&](oci::Manifest manifest) {
    const auto descriptor = put_document(place, std::move(manifest));
    place.list(descriptor);
    result.referrers.push_back(descriptor);
    return descriptor;
  };
  const auto signature = add(artifact(place, result.root, "a signature"));
  add(artifact(place, signature, "a signature of the signature"));
  add(artifact(place, index.images[1].manifest.descriptor(), "an SBOM of arm64",
               "application/spdx+json"));
  for (const auto* suffix : {".sig", ".att"}) {
    const auto tag = "sha256-" + result.root.digest.hex() + suffix;
    oci::Manifest manifest{
        .config = place.put(oci::media_type::config, std::string("{\"n\":\"") + suffix + "\"}"),
        .layers = {place.put("application/vnd.dev.cosign.simplesigning.v1+json", tag)}};
    const auto descriptor = put_document(place, std::move(manifest));
    place.list(descriptor, tag);
    result.tagged.emplace(tag, descriptor);
  }
  return result;
}

/// Every byte below `root` is in `origin`, as it is in `place`.
inline std::set<oci::Digest> reachable(Origin& origin, const oci::Descriptor& root) {
  std::set<oci::Digest> result{root.digest};
  const auto bytes = origin.manifest(root, {}).bytes;
  if (oci::is_index(root.media_type)) {
    const auto index = oci::parse_index(bytes, "index");
    for (const auto& child : index->manifests) {
      result.merge(reachable(origin, child));
    }
    return result;
  }
  const auto manifest = oci::parse_manifest(bytes, "manifest");
  auto blobs = manifest->layers;
  blobs.push_back(manifest->config);
  for (const auto& blob : blobs) {
    const Operation op;
    const auto opened = origin.blob(blob, op);
    if (oci::Digest::of(read_blob(*opened)) != blob.digest) {
      throw Error(ErrorCode::corrupt, "cannot trust a test: wrong bytes");
    }
    result.insert(blob.digest);
  }
  return result;
}

/// What is attached to `subject` and to that in turn: digests, and tags where there are.
inline std::set<std::string> attachments_of(Origin& origin, const oci::Digest& subject) {
  std::set<std::string> result;
  for (const auto& item : origin.attachments(subject, {})) {
    result.insert(item.tag.empty() ? item.descriptor.digest.to_string() : item.tag);
    result.merge(attachments_of(origin, item.descriptor.digest));
    static_cast<void>(reachable(origin, item.descriptor));
  }
  return result;
}

/// All that signed_sample() has, attached to the index and its images.
inline std::set<std::string> all_attachments(Origin& origin, const Signed& sample) {
  auto result = attachments_of(origin, sample.root.digest);
  for (const auto& manifest : sample.manifests) {
    result.merge(attachments_of(origin, manifest));
  }
  return result;
}

inline std::set<std::string> expected_attachments(const Signed& sample) {
  std::set<std::string> result;
  for (const auto& referrer : sample.referrers) {
    result.insert(referrer.digest.to_string());
  }
  for (const auto& [tag, descriptor] : sample.tagged) {
    result.insert(tag);
  }
  return result;
}

} // namespace aipack::transfer::test
