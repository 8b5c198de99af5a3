#include "aipack/blob/layout.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/oci/media_type.hpp"

#include "archive_index.hpp"
#include "docker_archive.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::image {
namespace {

Storage open_layout(const Location& location) {
  const auto layout = std::make_shared<const blob::Layout>(blob::Layout::open(location.path));
  const auto index = layout->index();
  const auto where = fmt::format("layout {}", quoted(location.path.string()));
  return {blob::choose_entry(index.value(), location.tag, where), index->manifests,
          [layout](const oci::Descriptor& descriptor) { return layout->blobs().find(descriptor); }};
}

Storage open_oci_archive(const Location& location, const ReadLimits& limits, const Operation& op) {
  const auto archive = std::make_shared<const ArchiveIndex>(location.path, limits.tar, op);
  const auto where = quoted(archive->name());
  const auto index =
      oci::parse_index(archive->text(fs::RootPath::parse("index.json"), oci::max_manifest_bytes),
                       fmt::format("index.json of {}", where));
  return {blob::choose_entry(index.value(), location.tag, where), index->manifests,
          [archive](const oci::Descriptor& descriptor) -> blob::BlobPtr {
            const auto* place =
                archive->find(fs::RootPath::parse("blobs/sha256/" + descriptor.digest.hex()));
            return place != nullptr ? archive->blob(descriptor, *place) : nullptr;
          }};
}

std::string_view layer_media_type(codec::Encoding encoding, const std::string& name) {
  switch (encoding) {
  case codec::Encoding::plain:
    return oci::media_type::layer_tar;
  case codec::Encoding::gzip:
    return oci::media_type::layer_tar_gzip;
  case codec::Encoding::zstd:
    return oci::media_type::layer_tar_zstd;
  case codec::Encoding::xz:
  case codec::Encoding::bzip2:
  case codec::Encoding::lzma:
    break;
  }
  throw Error(
      ErrorCode::unsupported,
      fmt::format("cannot read {}: no image format has layers with its compression", quoted(name)));
}

/// The descriptor of a layer of a docker archive, which has none: a plain layer's digest is its
/// diff ID, another's is computed.
oci::Descriptor describe_docker_layer(const ArchiveIndex& archive, const MemberPlace& place,
                                      const oci::Digest& diff_id, const std::string& path,
                                      const Operation& op) {
  std::array<std::byte, 8> head{};
  const auto count = place.size_bytes == 0 ? 0 : archive.open(place)->read(head);
  const auto encoding = codec::detect_encoding(std::span(head).first(count));
  const auto media_type = std::string(layer_media_type(encoding, path));
  const auto digest =
      encoding == codec::Encoding::plain ? diff_id : codec::sha256(*archive.open(place), op);
  return {media_type, digest, place.size_bytes};
}

const MemberPlace& get_member(const ArchiveIndex& archive, const std::string& path) {
  const auto parsed = fs::RootPath::try_parse(path);
  const auto* place = parsed ? archive.find(*parsed) : nullptr;
  if (place == nullptr) {
    throw FormatError(archive.name(), std::nullopt,
                      fmt::format("its manifest names {}, which is missing", quoted(path)));
  }
  return *place;
}

Storage open_docker_archive(const Location& location, const ReadLimits& limits,
                            const Operation& op) {
  const ArchiveIndex archive(location.path, limits.tar, op);
  const auto name = fmt::format("manifest.json of {}", quoted(archive.name()));
  const auto images = parse_docker_manifest(
      archive.text(fs::RootPath::parse("manifest.json"), oci::max_manifest_bytes), name);
  const auto& chosen = choose_docker_image(images, location.tag, archive.name());

  const auto config_name = fmt::format("the config of {}", quoted(archive.name()));
  const auto config_source = archive.open(get_member(archive, chosen.config));
  const auto config = oci::parse_config(
      io::read_text(*config_source, oci::max_config_bytes, config_name), config_name);
  if (chosen.layers.size() != config->diff_ids.size() || chosen.layers.size() > limits.max_layers) {
    throw FormatError(archive.name(), std::nullopt,
                      fmt::format("it has {} layers and {} diff IDs", chosen.layers.size(),
                                  config->diff_ids.size()));
  }
  std::map<oci::Digest, blob::BlobPtr> blobs;
  const auto keep = [&](const oci::Descriptor& descriptor, const std::string& bytes) {
    blobs[descriptor.digest] = blob::memory_blob(descriptor, bytes);
  };
  oci::Manifest manifest{.config = {std::string(oci::media_type::config),
                                    config.descriptor().digest, config.descriptor().size_bytes}};
  keep(manifest.config, config.bytes());
  for (std::size_t i = 0; i < chosen.layers.size(); ++i) {
    const auto& place = get_member(archive, chosen.layers[i]);
    auto descriptor =
        describe_docker_layer(archive, place, config->diff_ids[i], chosen.layers[i], op);
    blobs[descriptor.digest] = archive.blob(descriptor, place);
    manifest.layers.push_back(std::move(descriptor));
  }
  const auto sealed = oci::seal(std::move(manifest));
  keep(sealed.descriptor(), sealed.bytes());
  return {sealed.descriptor(),
          {sealed.descriptor()},
          [blobs = std::move(blobs)](const oci::Descriptor& descriptor) -> blob::BlobPtr {
            const auto found = blobs.find(descriptor.digest);
            return found == blobs.end() ? nullptr : found->second;
          }};
}

} // namespace

Storage open_storage(const Location& location, const Operation& op, const ReadLimits& limits) {
  switch (location.kind) {
  case Location::Kind::layout:
    return open_layout(location);
  case Location::Kind::oci_archive:
    return open_oci_archive(location, limits, op);
  case Location::Kind::docker_archive:
    return open_docker_archive(location, limits, op);
  case Location::Kind::registry:
    break;
  }
  throw Error(ErrorCode::unsupported, fmt::format("cannot open {} as a file: it is in a registry",
                                                  quoted(location.to_string())))
      .with_hint("read it through a registry client, or copy it to a layout first");
}

} // namespace aipack::image
