#include "selection.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/transfer/copy.hpp"

#include "document.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::transfer {
namespace {

using Json = nlohmann::ordered_json;

/// On an attestation's entry: the image that it is about. Source: BuildKit, docs/attestations,
/// "Attestation storage".
constexpr const char* attested_digest = "vnd.docker.reference.digest";

/// An entry of an index that is no index itself.
struct Leaf {
  oci::Descriptor descriptor;
  Json json; ///< as it is written
  std::optional<oci::Platform> platform{};
};

bool is_attestation(const oci::Descriptor& descriptor) {
  return descriptor.annotations.contains(attested_digest) ||
         (descriptor.platform && descriptor.platform->os == "unknown");
}

/// The platform that a manifest's config names; empty for what is no container image.
std::optional<oci::Platform> platform_of(Origin& origin, const oci::Descriptor& manifest,
                                         const Operation& op) {
  if (!oci::is_manifest(manifest.media_type)) {
    return std::nullopt;
  }
  const auto name = manifest.digest.to_string();
  const auto parsed = oci::parse_manifest(origin.manifest(manifest, op).bytes, name);
  const auto& config = parsed->config;
  if (config.media_type != oci::media_type::config &&
      config.media_type != oci::media_type::docker_config) {
    return std::nullopt;
  }
  const auto blob = origin.blob(config, op);
  const auto source = blob->open();
  const auto what = fmt::format("the config of {}", name);
  return oci::parse_config(io::read_text(*source, oci::max_config_bytes, what), what)->platform;
}

class Leaves {
public:
  Leaves(Origin& origin, const Operation& op) : origin_(origin), op_(op) {}
  std::vector<Leaf> leaves;
  bool is_flat = true;

  void collect(const registry::Document& index, unsigned depth = 0) {
    if (depth > max_index_depth) {
      throw FormatError(origin_.name(), std::nullopt,
                        fmt::format("its indexes are nested more than {} deep", max_index_depth));
    }
    bytes_ = checked_add(bytes_, index.bytes.size());
    if (bytes_ > max_document_bytes || seen_.size() > max_manifests) {
      throw FormatError(origin_.name(), std::nullopt, "its indexes are too large");
    }
    const auto content = read_content(index); // strict; the JSON below is for what it does not keep
    const auto json = Json::parse(index.bytes);
    for (std::size_t i = 0; i < content.manifests.size(); ++i) {
      const auto& descriptor = content.manifests[i];
      if (!oci::is_index(descriptor.media_type)) {
        add({descriptor, json.at("manifests").at(i), descriptor.platform});
      } else if (seen_.insert(descriptor.digest).second) {
        is_flat = false;
        collect(origin_.manifest(descriptor, op_), depth + 1);
      }
    }
  }

private:
  void add(Leaf leaf) {
    if (leaves.size() == max_manifests) {
      throw FormatError(origin_.name(), std::nullopt,
                        fmt::format("it names more than {} manifests", max_manifests));
    }
    if (is_attestation(leaf.descriptor)) {
      leaf.platform.reset();
    } else if (!leaf.platform || leaf.platform->architecture.empty()) {
      leaf.platform = platform_of(origin_, leaf.descriptor, op_);
    }
    leaves.push_back(std::move(leaf));
  }

  Origin& origin_;
  const Operation& op_;
  std::set<oci::Digest> seen_;
  std::uint64_t bytes_ = 0;
};

std::string platforms_in(const std::vector<Leaf>& leaves) {
  std::string text;
  for (const auto& leaf : leaves) {
    if (leaf.platform) {
      text += (text.empty() ? "" : ", ") + leaf.platform->to_string();
    }
  }
  return text.empty() ? "none" : text;
}

const Leaf* find_platform(const std::vector<Leaf>& leaves, const oci::Platform& platform) {
  const auto found = std::ranges::find_if(
      leaves, [&](const Leaf& leaf) { return leaf.platform && *leaf.platform == platform; });
  return found == leaves.end() ? nullptr : &*found;
}

[[noreturn]] void miss(const Origin& origin, std::string_view wanted,
                       const std::vector<Leaf>& leaves) {
  throw Error(ErrorCode::not_found, fmt::format("cannot find {} in {}: it has {}", wanted,
                                                quoted(origin.name()), platforms_in(leaves)));
}

/// Everything that `root` offers to choose from.
Leaves leaves_of(Origin& origin, const registry::Document& root, const Operation& op) {
  Leaves result(origin, op);
  if (oci::is_index(root.descriptor.media_type)) {
    result.collect(root);
  } else {
    result.leaves.push_back({root.descriptor, {}, platform_of(origin, root.descriptor, op)});
  }
  return result;
}

registry::Document index_of(const registry::Document& root, const std::vector<const Leaf*>& kept) {
  auto json = Json::parse(root.bytes);
  auto manifests = Json::array();
  for (const auto* leaf : kept) {
    manifests.push_back(leaf->json);
  }
  json["manifests"] = std::move(manifests);
  auto bytes = json.dump();
  const auto& type = root.descriptor.media_type;
  oci::Descriptor descriptor{type, oci::Digest::of(bytes), bytes.size()};
  return {std::move(descriptor), std::move(bytes)};
}

} // namespace

Selection select(Origin& origin, const oci::Descriptor& root,
                 const std::vector<oci::Platform>& platforms, const Operation& op) {
  auto document = origin.manifest(root, op);
  const auto all = leaves_of(origin, document, op);
  std::set<oci::Digest> chosen;
  for (const auto& platform : platforms) {
    const auto* leaf = find_platform(all.leaves, platform);
    if (leaf == nullptr) {
      miss(origin, fmt::format("an image for {}", platform.to_string()), all.leaves);
    }
    chosen.insert(leaf->descriptor.digest);
  }
  const auto is_wanted = [&](const Leaf& leaf) {
    if (chosen.contains(leaf.descriptor.digest)) {
      return true;
    }
    const auto subject = leaf.descriptor.annotations.find(attested_digest);
    const auto digest = subject == leaf.descriptor.annotations.end()
                            ? std::nullopt
                            : oci::Digest::try_parse(subject->second);
    return digest && chosen.contains(*digest);
  };
  std::vector<const Leaf*> kept;
  for (const auto& leaf : all.leaves) {
    if (is_wanted(leaf)) {
      kept.push_back(&leaf);
    }
  }
  if (kept.size() == all.leaves.size()) {
    return {std::move(document)};
  }
  return {index_of(document, kept), true};
}

oci::Descriptor select_one(Origin& origin, const oci::Descriptor& root,
                           const std::optional<oci::Platform>& platform, const Operation& op) {
  const auto all = leaves_of(origin, origin.manifest(root, op), op);
  const auto* leaf = find_platform(all.leaves, platform.value_or(oci::Platform::host()));
  if (leaf == nullptr && !platform) {
    const auto is_image = [](const Leaf& candidate) { return candidate.platform.has_value(); };
    const auto only = std::ranges::find_if(all.leaves, is_image);
    if (std::ranges::count_if(all.leaves, is_image) == 1) {
      leaf = &*only;
    }
  }
  if (leaf == nullptr) {
    miss(origin,
         fmt::format("an image for {}", platform.value_or(oci::Platform::host()).to_string()),
         all.leaves);
  }
  return leaf->descriptor;
}

} // namespace aipack::transfer
