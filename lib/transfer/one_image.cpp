#include "one_image.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/image/archive.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/transfer/copy.hpp"
#include "aipack/transfer/open_image.hpp"

#include "document.hpp"
#include "selection.hpp"

#include <mutex>

#include <fmt/format.h>

namespace aipack::transfer {
namespace {

/// A blob that is fetched by its first reader, whole and verified, and kept for the next.
class SpooledBlob final : public blob::BlobSource {
public:
  SpooledBlob(blob::BlobPtr inner, std::filesystem::path directory, const Operation& op)
      : inner_(std::move(inner)), directory_(std::move(directory)), op_(op) {}
  [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override {
    return inner_->descriptor();
  }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
    const std::lock_guard lock(mutex_);
    if (!file_) {
      io::TempFile temp(directory_);
      io::copy(*inner_->open(), temp, op_);
      file_ = std::make_shared<const io::File>(std::move(temp.file()));
    }
    return std::make_unique<io::FileSource>(file_, offset);
  }

private:
  blob::BlobPtr inner_;
  std::filesystem::path directory_;
  const Operation& op_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const io::File> file_;
};

bool is_zstd(std::string_view media_type) {
  return media_type.ends_with("zstd");
}

} // namespace

image::StoredImage open_one(Origin& origin, const std::optional<oci::Platform>& platform,
                            const std::filesystem::path& spool_directory, const Operation& op) {
  const auto manifest = select_one(origin, origin.resolve(op), platform, op);
  auto source = open_image(origin, manifest, op);
  auto image = source.image(
      source.images().empty() ? platform : std::optional(source.images().front().platform));
  const bool is_spooled = origin.distance() == Distance::remote && !spool_directory.empty();
  for (auto& layer : image.layers) {
    if (!may_be_distributed(layer.descriptor.media_type)) {
      layer.blob = nullptr;
    } else if (layer.blob && is_spooled && is_zstd(layer.descriptor.media_type)) {
      layer.blob = std::make_shared<SpooledBlob>(layer.blob, spool_directory, op);
    }
  }
  return image;
}

CopyReport write_docker_archive(Origin& origin, const std::filesystem::path& file,
                                const std::string& tag,
                                const std::optional<oci::Platform>& platform, const Operation& op) {
  const auto name = "docker-archive:" + file.string();
  return with_context(
      [&] {
        const auto directory =
            file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
        const auto image = open_one(origin, platform, directory, op);
        std::vector<std::string> tags;
        if (!tag.empty()) {
          tags.push_back(tag);
        }
        const auto archive = image::docker_archive(image, tags, op);
        archive.write(file, op);
        CopyReport report{.reference = name, .root = image.manifest.descriptor()};
        for (const auto& layer : image.layers) {
          ++report.sent.count;
          report.sent.bytes += layer.descriptor.size_bytes;
        }
        report.sent_bytes = archive.size_bytes();
        report.manifests = 1;
        report.notes.push_back(fmt::format("it holds the image for {}, without manifests and what "
                                           "is attached to them",
                                           image.platform.to_string()));
        return report;
      },
      fmt::format("while copying {} to {}", quoted(origin.name()), quoted(name)));
}

} // namespace aipack::transfer
