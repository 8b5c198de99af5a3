#include "aipack/image/layer.hpp"

#include "aipack/archive/tar_writer.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/core/version.hpp"
#include "aipack/oci/media_type.hpp"

#include "packed_tar.hpp"
#include "tar_order.hpp"
#include "weights_key.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>

#include <fmt/format.h>

namespace aipack::image {
namespace {

constexpr std::array purpose_names{std::pair{Purpose::base, std::string_view("base")},
                                   std::pair{Purpose::runtime, std::string_view("runtime")},
                                   std::pair{Purpose::server, std::string_view("server")},
                                   std::pair{Purpose::files, std::string_view("files")},
                                   std::pair{Purpose::model, std::string_view("model")}};

std::string_view layer_media_type(codec::Codec codec) {
  switch (codec) {
  case codec::Codec::none:
    return oci::media_type::layer_tar;
  case codec::Codec::gzip:
    return oci::media_type::layer_tar_gzip;
  case codec::Codec::zstd:
    return oci::media_type::layer_tar_zstd;
  }
  throw Error(ErrorCode::internal, "cannot name a layer's media type: unknown codec");
}

/// A weights layer as parts, and what of it lies in files.
struct WeightsRecipe {
  blob::Recipe recipe;
  std::vector<fs::FileExtent> extents;
};

WeightsRecipe make_recipe(const LayerPlan& plan) {
  WeightsRecipe result;
  auto& recipe = result.recipe;
  for (const auto* planned : tar_order(plan)) {
    const auto& [path, entry] = *planned;
    const bool has_payload = entry.type == fs::FileType::regular && entry.size() > 0;
    recipe.add(archive::tar_header(path, entry,
                                   has_payload ? std::optional(recipe.size()) : std::nullopt));
    if (!has_payload) {
      continue;
    }
    const auto* extent = dynamic_cast<const fs::FileExtent*>(entry.content.get());
    if (extent == nullptr) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot pack {} as weights: its content is not a file on disk",
                              quoted(path.to_string())));
    }
    recipe.add(*extent);
    result.extents.push_back(*extent);
    if (const auto padding = archive::tar_padding(entry.size()); padding > 0) {
      recipe.add(std::string(padding, '\0'));
    }
  }
  recipe.add(std::string(archive::tar_trailer_bytes, '\0'));
  return result;
}

/// What of a recipe, besides the state of its first file, decides its bytes: every literal, the
/// place of every extent, and the state of the other files. A new name, mode or time changes a
/// header literal and so the key.
std::string cache_key(const WeightsRecipe& weights) {
  codec::Sha256 hash;
  const auto update = [&](std::string_view text) { hash.update(io::as_bytes(text)); };
  for (const auto& part : weights.recipe.parts()) {
    if (const auto* literal = std::get_if<std::string>(&part)) {
      update(fmt::format("literal {}\n", literal->size()));
      update(*literal);
    } else {
      const auto& extent = std::get<fs::FileExtent>(part);
      const auto& id = extent.identity();
      const bool first = id == weights.extents.front().identity();
      update(fmt::format("extent {} {} ", extent.offset(), extent.size()));
      update(first ? "first\n"
                   : fmt::format("{} {} {} {} {}\n", id.device, id.inode, id.size_bytes,
                                 id.mtime_ns, id.ctime_ns));
    }
  }
  return fmt::format("layer:{}:{}", layout_version, hash.digest().hex());
}

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void check_unchanged(const std::vector<fs::FileExtent>& extents) {
  for (const auto& extent : extents) {
    extent.check_unchanged(io::File::open(extent.file()));
  }
}

/// Shows bytes on the progress channel as they pass.
class CountingSource final : public io::ByteSource {
public:
  CountingSource(io::ByteSource& source, Activity& activity)
      : source_(source), activity_(activity) {}
  std::size_t read(std::span<std::byte> into) override {
    const auto count = source_.read(into);
    activity_.advance(count);
    return count;
  }

private:
  io::ByteSource& source_;
  Activity& activity_;
};

std::shared_ptr<const blob::DerivedBlob> hash_recipe(const WeightsRecipe& weights,
                                                     const Operation& op) {
  Activity activity(op, "hash layer", weights.recipe.size());
  const auto source = weights.recipe.open();
  CountingSource counted(*source, activity);
  const auto digest = codec::sha256(counted, op); // extents check their files as they end
  return std::make_shared<const blob::DerivedBlob>(
      oci::Descriptor{std::string(oci::media_type::layer_tar), digest, weights.recipe.size()},
      weights.recipe);
}

/// Digests of layers from this size on are on disk as soon as they are known: a build that is
/// interrupted later finds them, and sends none of them again.
constexpr std::uint64_t save_at_once_bytes = std::uint64_t{1} << 20;

std::shared_ptr<const blob::DerivedBlob> weights_blob(const WeightsRecipe& weights,
                                                      blob::BlobPlacer* into,
                                                      blob::DigestCache* cache,
                                                      const Operation& op) {
  const bool cacheable = cache != nullptr && !weights.extents.empty();
  const auto key = cacheable ? cache_key(weights) : std::string();
  if (cacheable) {
    const auto& identity = weights.extents.front().identity();
    const auto known = cache->find(identity, key);
    if (known && known->size_bytes == weights.recipe.size() &&
        known->media_type == oci::media_type::layer_tar) {
      check_unchanged(weights.extents);
      auto blob = std::make_shared<const blob::DerivedBlob>(*known, weights.recipe);
      if (into != nullptr) {
        into->place(*blob, op);
      }
      return blob;
    }
  }
  const auto began_ns = now_ns();
  auto blob = into != nullptr ? into->place_hashing(oci::media_type::layer_tar, weights.recipe, op)
                              : hash_recipe(weights, op);
  // The cache itself sees the first file only.
  const auto is_settled = [&](const fs::FileExtent& extent) {
    return blob::DigestCache::is_settled(extent.identity(), began_ns);
  };
  if (cacheable && std::ranges::all_of(weights.extents, is_settled)) {
    cache->put(weights.extents.front().identity(), key, blob->descriptor(), began_ns);
    if (blob->descriptor().size_bytes >= save_at_once_bytes) {
      cache->save();
    }
  }
  return blob;
}

} // namespace

std::string weights_key(const LayerPlan& plan) {
  return cache_key(make_recipe(plan));
}

std::string_view to_string(Purpose purpose) noexcept {
  for (const auto& [value, name] : purpose_names) {
    if (value == purpose) {
      return name;
    }
  }
  return "unknown";
}

Purpose parse_purpose(std::string_view text) {
  for (const auto& [value, name] : purpose_names) {
    if (name == text) {
      return value;
    }
  }
  throw Error(ErrorCode::corrupt,
              fmt::format("cannot read a layer's purpose: {} is none", quoted(text)));
}

std::uint64_t LayerPlan::content_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& [path, entry] : entries) {
    if (entry.type == fs::FileType::regular) {
      bytes += entry.size();
    }
  }
  return bytes;
}

std::uint64_t LayerPlan::file_count() const noexcept {
  std::uint64_t count = 0;
  for (const auto& [path, entry] : entries) {
    count += entry.type != fs::FileType::directory ? 1U : 0U;
  }
  return count;
}

Layer seal(const LayerPlan& plan, blob::BlobStore& store, const SealOptions& options,
           const Operation& op) {
  Activity activity(op, fmt::format("pack the {} layer", to_string(plan.purpose)),
                    plan.content_bytes());
  const bool plain = plan.compression.codec == codec::Codec::none;
  PackedTar tar(tar_order(plan), plan.compression, options.threads, op, activity);
  auto blob = store.ingest(layer_media_type(plan.compression.codec), tar, activity.child());
  const auto diff_id = plain ? blob->descriptor().digest : tar.diff_id();
  return Layer{plan.purpose, plan.title,      std::move(blob),
               diff_id,      tar.tar_bytes(), plan.file_count()};
}

Layer seal_weights(const LayerPlan& plan, blob::BlobPlacer* into, const SealOptions& options,
                   const Operation& op) {
  const auto weights = make_recipe(plan);
  auto blob = weights_blob(weights, into, options.digest_cache, op);
  const auto diff_id = blob->descriptor().digest; // a plain tar is its own diff
  return Layer{plan.purpose,          plan.title,       std::move(blob), diff_id,
               weights.recipe.size(), plan.file_count()};
}

} // namespace aipack::image
