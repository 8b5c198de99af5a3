#pragma once

#include "aipack/archive/tar_reader.hpp"
#include "aipack/blob/blob.hpp"
#include "aipack/core/export.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/image/layer.hpp"
#include "aipack/image/location.hpp"
#include "aipack/oci/document.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace aipack::image {

/// Limits for images that others wrote.
struct ReadLimits {
  std::size_t max_layers = 128;                           ///< per image; overlayfs stacks no more
  std::size_t max_manifests = 1024;                       ///< per source, nested indexes included
  std::uint64_t max_file_bytes = std::uint64_t{64} << 20; ///< what find_file() takes into memory
  archive::TarLimits tar{};
};
/// An index may refer to an index; deeper than this is refused.
inline constexpr unsigned max_index_depth = 4;

/// Gives the blob of a descriptor, or null when the place does not hold it.
using FindBlob = std::function<blob::BlobPtr(const oci::Descriptor&)>;

/// A layout or an archive, whatever its form: where to begin, and everything by digest.
struct Storage {
  oci::Descriptor root;                 ///< what the location's tag names
  std::vector<oci::Descriptor> entries; ///< of index.json: images, signatures and other artifacts
  FindBlob find;
};
/// A docker archive holds no manifest: one is made from its content. Throws Error{not_found} (with
/// the tags that exist), Error{corrupt}, Error{unsupported} for a registry.
[[nodiscard]] AIPACK_API Storage open_storage(const Location& location, const Operation& op,
                                              const ReadLimits& limits = {});

/// A layer of an image that was read back.
struct StoredLayer {
  oci::Descriptor descriptor;
  oci::Digest diff_id;
  blob::BlobPtr blob;                        ///< null when the source does not hold the bytes
  std::optional<Purpose> purpose{};          ///< empty: not aipack's
  std::string title{};                       ///< empty: unknown
  std::optional<std::uint64_t> file_count{}; ///< empty: unknown without reading the layer
};

/// One platform's image as it is stored.
struct StoredImage {
  std::string name; ///< what errors call it
  oci::Platform platform;
  oci::Sealed<oci::Manifest> manifest;
  oci::Sealed<oci::Config> config;
  std::vector<StoredLayer> layers;
};

/// An image opened for reading: every document parsed and verified, layers opened on demand. Images
/// of other tools are welcome: an OCI layout with a single manifest, an index with attestations,
/// what `docker save` writes.
///
///     const auto source = ImageSource::open(Location::parse("oci:./digits.oci"), op);
///     const auto text = find_file(source.image(oci::Platform::host()),
///     fs::RootPath::parse("/etc/passwd"), op);
class AIPACK_API ImageSource {
public:
  /// Throws Error{not_found} (with the tags that exist), Error{corrupt}, Error{unsupported} for a
  /// registry.
  [[nodiscard]] static ImageSource open(const Location& location, const Operation& op,
                                        const ReadLimits& limits = {});

  /// From anywhere: `root` and what it names come from `find`; `name` is what errors call it.
  [[nodiscard]] static ImageSource open(std::string name, const oci::Descriptor& root,
                                        const FindBlob& find, const Operation& op,
                                        const ReadLimits& limits = {});

  /// Of the index, or of the only manifest. A docker archive holds neither: there the manifest is
  /// made from its content.
  [[nodiscard]] const oci::Descriptor& descriptor() const noexcept { return descriptor_; }
  /// Empty when the tag names a manifest directly.
  [[nodiscard]] const std::optional<oci::Sealed<oci::Index>>& index() const noexcept {
    return index_;
  }
  /// Container images, in the order of the index. Attestations and other artifacts are not among
  /// them.
  [[nodiscard]] const std::vector<StoredImage>& images() const noexcept { return images_; }
  /// Manifests that the index names and that are not there: a sparse copy.
  [[nodiscard]] const std::vector<oci::Descriptor>& absent() const noexcept { return absent_; }
  /// The image of `platform`; without one the host's, or else the first. Throws Error{not_found}
  /// with the platforms that exist.
  [[nodiscard]] const StoredImage&
  image(const std::optional<oci::Platform>& platform = std::nullopt) const;

private:
  ImageSource(std::string name, oci::Descriptor descriptor)
      : name_(std::move(name)), descriptor_(std::move(descriptor)) {}
  std::string name_;
  oci::Descriptor descriptor_;
  std::optional<oci::Sealed<oci::Index>> index_;
  std::vector<StoredImage> images_;
  std::vector<oci::Descriptor> absent_;
};

/// A file of the merged image, as its layer has it.
struct StoredFile {
  fs::FileType type = fs::FileType::regular;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t mtime = 0;
  std::uint64_t size = 0; ///< bytes; a hard link's are those of its target
  std::string link_target{};
  std::size_t layer = 0;         ///< index of the layer that holds the content
  std::uint64_t data_offset = 0; ///< of the content in that layer's plain tar
};

/// The image's file system: layers applied from the bottom up, whiteouts obeyed (OCI
/// image-spec 1.1, layer.md, "Whiteouts"). Compressed layers are read and verified to their end; of
/// a plain layer only the headers are read, so the cost does not grow with the weights.
[[nodiscard]] AIPACK_API std::map<fs::RootPath, StoredFile>
list_files(const StoredImage& image, const Operation& op, const ReadLimits& limits = {});
/// The content of one regular file; symbolic and hard links are followed beneath the root. Empty
/// when there is none. Throws Error{corrupt} beyond limits.max_file_bytes.
[[nodiscard]] AIPACK_API std::optional<std::string> find_file(const StoredImage& image,
                                                              const fs::RootPath& path,
                                                              const Operation& op,
                                                              const ReadLimits& limits = {});

/// Gets the content that the files of these numbers share; need not read it to its end.
using TakeContent =
    std::function<void(const std::vector<std::size_t>& which, io::ByteSource& content)>;
/// The contents of several files, regular ones or hard links out of list_files(), in one pass over
/// each layer that holds any: names of one content are given together. Compressed layers are read
/// and verified to their end; of plain ones only the files are read, and whoever takes them must
/// know their digests. Throws Error{corrupt} for a layer that ends early.
AIPACK_API void read_contents(const StoredImage& image, const std::vector<StoredFile>& files,
                              const TakeContent& take, const Operation& op,
                              const ReadLimits& limits = {});

} // namespace aipack::image
