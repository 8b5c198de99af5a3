#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/license/license.hpp"
#include "aipack/model/model.hpp"
#include "aipack/oci/descriptor.hpp"
#include "aipack/oci/digest.hpp"
#include "aipack/oci/platform.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::sbom {

using License = license::License;

/// A Debian binary package of which files are in the image.
using Package = rootfs::KeptPackage;

/// Digests of one file's content; SHA-1 because SPDX 2.3 (section 8.4) asks for it.
struct Checksums {
  oci::Digest sha256;
  std::string sha1; ///< 40 digits
  bool operator==(const Checksums&) const = default;
};

/// A file of the image that no package brought.
struct File {
  std::string path; ///< in the image, "/models/digits.onnx"
  std::uint64_t size_bytes = 0;
  oci::Digest layer; ///< digest of the layer that holds it
  /// Where its content begins in that layer's plain tar. With `layer` it says which bytes these
  /// are, also where reading them all would cost too much.
  std::uint64_t offset = 0;
  std::optional<Checksums> checksums{}; ///< empty: see max_hashed_bytes
  bool operator==(const File&) const = default;
};
/// Model layers beyond this are not read whole, and files beyond it not hashed: the digest of the
/// layer pins them.
inline constexpr std::uint64_t max_hashed_bytes = std::uint64_t{64} << 20;

/// A model of the image, with the facts of its card.
struct Model {
  std::string name; ///< it is served under, or that of its folder
  License license{};
  /// The one that aipack reads first; then by path.
  std::vector<File> files;
  /// What the model says of itself; empty: aipack reads no such format. Its own `name` and `files`
  /// are empty.
  std::optional<model::Model> facts{};
};

/// The image that this one was put on, as its annotations name it.
struct BaseImage {
  std::string name{}; ///< "nvcr.example/tritonserver:24.01"; empty: unknown
  std::optional<oci::Digest> digest{};
};

/// One platform's image.
struct ImageContent {
  std::string name; ///< from its title: no word of where the image lies
  oci::Platform platform;
  oci::Descriptor manifest;
  std::string created{};           ///< RFC 3339, UTC; empty: unknown
  std::string runtime{};           ///< "onnxruntime 1.21"; empty: a base image's own
  std::string suite{};             ///< "trixie"
  std::vector<Package> packages{}; ///< sorted by name
  /// Whether `packages` are all that there is: not on a base that others made.
  bool is_complete = false;
  std::optional<File> server{}; ///< aipack-serve, where it is the program
  std::vector<File> files{};    ///< the user's own
  std::optional<BaseImage> base{};
  std::vector<std::size_t> models{}; ///< indexes into Inventory::models
};

/// What an image holds, read out of the image itself: the same for everyone who has it, wherever it
/// lies.
struct Inventory {
  std::string name;
  oci::Descriptor subject;          ///< the index or the manifest that this is about
  std::string created{};            ///< RFC 3339, UTC; empty: unknown
  std::vector<ImageContent> images; ///< in the order of the index
  std::vector<Model> models;        ///< sorted by name; images share them
};

struct InventoryOptions {
  unsigned concurrency = 0; ///< layers at once; 0: as many as there are threads
  image::ReadLimits limits{};
};

/// The inventory of all images of `source`: the record of the composition, configs and annotations,
/// and the models in place. Of compressed layers only those are read that hold the record and the
/// user's files, once, and verified; model layers up to max_hashed_bytes too. Of larger ones only
/// headers and what the model's format needs are read, as ranges that no digest covers alone.
/// Layers that several images share are read once.
///
/// Images of an aipack that wrote no packages into its record are read through their dpkg status
/// (all layers). Throws Error{unsupported} with a hint for an image that aipack did not build, and
/// as reading does: Error{corrupt}, Error{not_found} for a layer that is missing.
///
///     const auto inventory = take_inventory(ImageSource::open(location, op), op);
///     write_file("digits.spdx.json", write_spdx(inventory));
[[nodiscard]] AIPACK_API Inventory take_inventory(const image::ImageSource& source,
                                                  const Operation& op,
                                                  const InventoryOptions& options = {});

/// The part of `whole` that is about one image of it: its subject is that manifest. Equal to what
/// take_inventory() says of that manifest alone. Throws Error{not_found} with the platforms that
/// exist.
[[nodiscard]] AIPACK_API Inventory part_of(const Inventory& whole, const oci::Platform& platform);

/// "pkg:deb/debian/libre2-11@20240702-3%2Bb1?arch=amd64&distro=trixie": what scanners know a Debian
/// package by. `suite` may be one beside it ("trixie-security"), or empty. Source: purl-spec,
/// "deb".
[[nodiscard]] AIPACK_API std::string package_url(std::string_view name, std::string_view version,
                                                 std::string_view architecture,
                                                 std::string_view suite);

/// The documents that can be written.
enum class Format { spdx_json, cyclonedx_json };
/// "spdx-json", "cyclonedx-json".
[[nodiscard]] AIPACK_API std::string_view to_string(Format format) noexcept;
[[nodiscard]] AIPACK_API Format
parse_format(std::string_view text); ///< throws Error{invalid_input}
/// "application/spdx+json", "application/vnd.cyclonedx+json": the artifact type of an SBOM that is
/// attached to an image, and the media type of its one layer.
[[nodiscard]] AIPACK_API std::string_view media_type(Format format) noexcept;

/// Documents are pure functions of the inventory: no clock, no random number, no name of a machine.
/// JSON in UTF-8 with two spaces of indentation, fixed order of keys and a newline at the end.
/// SPDX 2.3.
[[nodiscard]] AIPACK_API std::string write_spdx(const Inventory& inventory);
/// CycloneDX 1.6, models as ML-BOM.
[[nodiscard]] AIPACK_API std::string write_cyclonedx(const Inventory& inventory);
[[nodiscard]] AIPACK_API std::string write(const Inventory& inventory, Format format);

} // namespace aipack::sbom
