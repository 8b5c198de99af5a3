#pragma once

#include "aipack/blob/layout.hpp"
#include "aipack/core/export.hpp"
#include "aipack/image/layer.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/oci/document.hpp"
#include "aipack/oci/reference.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::image {

/// What the image config says besides its layers.
struct ImageSettings {
  oci::Platform platform;
  std::int64_t created = 0; ///< seconds since the epoch
  std::string user;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> env;
  std::vector<std::string> exposed_ports;
  std::string working_directory = "/";
  std::string stop_signal = "SIGTERM";
  std::map<std::string, std::string> labels;
  oci::Annotations annotations; ///< of the manifest
};

/// One platform's image, complete.
struct Image {
  oci::Platform platform;
  oci::Sealed<oci::Manifest> manifest;
  oci::Sealed<oci::Config> config;
  std::vector<Layer> layers;
};

/// A multi-platform index, complete: every blob can be opened.
struct Index {
  oci::Sealed<oci::Index> document;
  std::vector<Image> images;
  [[nodiscard]] const oci::Digest& digest() const noexcept { return document.descriptor().digest; }
};

/// Pure: config and manifest of the layers, in order; one history entry per layer. Layer
/// descriptors carry the annotation "dev.aipack.layer.purpose". Throws Error{invalid_input} beyond
/// max_layers.
[[nodiscard]] AIPACK_API Image make_image(std::vector<Layer> layers, const ImageSettings& settings);
/// Pure: images in platform order (amd64, arm64, riscv64).
[[nodiscard]] AIPACK_API Index make_index(std::vector<Image> images, oci::Annotations annotations);

/// What is put on top of an image that others made.
struct Extension {
  std::vector<Layer> layers;           ///< above the base's, in order
  std::optional<std::int64_t> created; ///< seconds since the epoch; empty: the base's
  std::optional<std::string> user;     ///< replaces the base's
  /// Replaces the base's entrypoint and, as a Dockerfile's does, drops its arguments.
  std::optional<std::vector<std::string>> entrypoint;
  std::vector<std::string> env;              ///< "NAME=value": replaces a variable of that name
  std::map<std::string, std::string> labels; ///< joined with the base's; these win
  oci::Annotations annotations;              ///< of the manifest; the base's describe the base
};
/// overlay2 stops at 128 lower directories, Docker at 125 layers.
inline constexpr std::size_t max_extended_layers = 125;

/// Pure: `base` with more layers. Its config is kept word for word but for what the extension says,
/// unknown fields included; its layers are referred to, not opened, and come out of `base.layers`.
/// Docker's media types become OCI's, for the same bytes. Throws Error{unsupported} for layers that
/// may not be distributed or are no image layers, Error{invalid_input} beyond max_extended_layers.
[[nodiscard]] AIPACK_API Image extend_image(const StoredImage& base, Extension extension);

/// What a write did, in bytes of blobs (an archive: of the whole file).
struct WriteReport {
  std::uint64_t new_bytes = 0;
  std::uint64_t reused_bytes = 0;
  std::uint64_t cloned_bytes = 0;
};
/// Writes into an OCI layout: blobs (each once, shared ones too), configs, manifests, the index,
/// then the tag, last. A failure at any point leaves the old tag and no partial blob. One platform
/// is written as an index too. Weights that seal_weights() placed there already count as reused.
/// `before_name` is called when all but the tag is there; what it throws leaves the tag as it was.
AIPACK_API WriteReport write_layout(const Index& index, blob::Layout& layout, std::string_view tag,
                                    unsigned concurrency, const Operation& op,
                                    const std::function<void(const Operation&)>& before_name = {});

/// An OCI layout as one tar file, reproducible, appears whole or not at all.
AIPACK_API WriteReport write_oci_archive(const Index& index, const std::filesystem::path& file,
                                         std::string_view tag, const Operation& op);
/// A `docker load` tar (manifest.json, one image). `tags` are full references "name:tag"; throws
/// Error{invalid_input} for others. Plain and gzip layers are stored as sealed; zstd layers are
/// stored decompressed, because Docker before 23 reads none: diff IDs, and so the config's digest
/// (the image ID), stay the same. Appears whole or not at all.
AIPACK_API WriteReport write_docker_archive(const Image& image, const std::filesystem::path& file,
                                            const std::vector<std::string>& tags,
                                            const Operation& op);

} // namespace aipack::image
