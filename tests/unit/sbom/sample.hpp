#pragma once

#include "aipack/blob/layout.hpp"
#include "aipack/image/image.hpp"
#include "aipack/image/reader.hpp"
#include "aipack/image/split.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/rootfs/rootfs.hpp"
#include "aipack/sbom/sbom.hpp"

#include "support/onnx_builder.hpp"
#include "support/temp.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace aipack::test {

inline fs::RootPath at(std::string_view path) {
  return fs::RootPath::parse(path);
}

inline rootfs::KeptPackage kept(std::string name, const std::string& architecture) {
  auto digest = oci::Digest::of(name + architecture);
  return {.name = std::move(name),
          .version = "1.0-1",
          .architecture = architecture,
          .source = "src",
          .source_version = "1.0-1",
          .suite = "trixie",
          .maintainer = "Someone <someone@example.org>",
          .digest = digest,
          .size_bytes = 10,
          .license = {.expression = "MIT"}};
}

/// What an image of a test is made of; each case changes what it is about.
struct SampleImage {
  std::vector<std::string> platforms{"linux/amd64", "linux/arm64"};
  bool has_record = true;
  bool record_has_packages = true;
  std::map<std::string, std::string> model_files{}; ///< below /models; empty: linear.onnx
  std::map<std::string, std::string> user_files{};
  std::map<std::string, std::string> base_files{};
  std::uint64_t holes_from_bytes = UINT64_MAX; ///< model files from here on are sparse, this long
};

/// A layout on disk that holds it.
class StoredSample {
public:
  explicit StoredSample(SampleImage sample = {}) : sample_(std::move(sample)) {
    if (sample_.model_files.empty()) {
      sample_.model_files["linear.onnx"] = linear_model();
    }
    auto layout = blob::Layout::create(directory_.path() / "image");
    blob::DirectoryStore store(directory_.path() / "store");
    std::vector<image::Image> images;
    for (const auto& platform : sample_.platforms) {
      images.push_back(make(oci::Platform::parse(platform), store));
    }
    image::write_layout(
        image::make_index(std::move(images), {{"org.opencontainers.image.title", "linear"}}),
        layout, "1", 1, {});
  }

  static std::string linear_model() {
    return onnx::Model{.graphs = {onnx::linear().bytes()}, .metadata = {{"license", "mit"}}}
        .bytes();
  }

  [[nodiscard]] image::ImageSource source() const {
    return image::ImageSource::open(
        image::Location::parse("oci:" + (directory_.path() / "image").string()), {});
  }
  [[nodiscard]] sbom::Inventory inventory() const { return sbom::take_inventory(source(), {}); }
  [[nodiscard]] std::filesystem::path blob(const oci::Digest& digest) const {
    return directory_.path() / "image/blobs/sha256" / digest.hex();
  }

private:
  static fs::FileEntry text(std::string bytes, std::string rule = "data") {
    return {.content = fs::memory_content(std::move(bytes)),
            .reason = fs::Reason{std::move(rule), "sample", {}}};
  }

  image::Image make(const oci::Platform& platform, blob::BlobStore& store) {
    rootfs::Composition composition;
    auto& tree = composition.tree;
    for (const auto& [path, bytes] : sample_.base_files) {
      tree.put(at(path), text(bytes));
    }
    tree.put(at("usr/lib/libdemo.so"), text("library of " + platform.to_string()));
    tree.put(at("usr/bin/aipack-serve"), text("server of " + platform.to_string(), "entrypoint"));
    for (const auto& [path, bytes] : sample_.user_files) {
      tree.put(at(path), text(bytes, "file"));
    }
    composition.packages = {kept("libdemo", platform.architecture), kept("tzdata", "all")};
    if (sample_.has_record) {
      auto record = rootfs::write_record(composition);
      if (!sample_.record_has_packages) {
        // As aipack before the record named packages wrote it.
        auto json = nlohmann::json::parse(record);
        json.erase("packages");
        json.erase("licenses");
        record = json.dump();
      }
      tree.put(at(rootfs::record_path), text(record));
    }
    tree.add_missing_parents(0);
    auto plans = image::split(
        tree,
        [](const fs::RootPath& path, const fs::FileEntry& entry) {
          if (path.text() == "usr/bin/aipack-serve" || path.text() == rootfs::record_path) {
            return image::Purpose::server;
          }
          return entry.reason && entry.reason->rule == "file" ? image::Purpose::files
                                                              : image::Purpose::base;
        },
        {.compression = {codec::Codec::zstd, 1}});
    std::vector<image::Layer> layers;
    for (const auto& plan : plans) {
      layers.push_back(image::seal(plan, store, {}, {}));
    }
    for (auto& layer : model_layers()) {
      layers.push_back(std::move(layer));
    }
    image::ImageSettings settings{.platform = platform,
                                  .created = 1'757'663'741,
                                  .user = "65532:65532",
                                  .entrypoint = {"/usr/bin/aipack-serve"}};
    settings.labels = {{"dev.aipack.runtime", "demo 1.0"}, {"dev.aipack.suite", "trixie"}};
    settings.annotations = {{"org.opencontainers.image.title", "linear"}};
    return image::make_image(std::move(layers), settings);
  }

  std::vector<image::Layer> model_layers() {
    fs::FileTree tree;
    for (const auto& [path, bytes] : sample_.model_files) {
      const auto file = directory_.path() / "models" / path;
      std::filesystem::create_directories(file.parent_path());
      if (!std::filesystem::exists(file)) {
        testing::write_file(file, bytes);
        if (bytes.size() >= sample_.holes_from_bytes) {
          std::filesystem::resize_file(file, sbom::max_hashed_bytes + 1);
        }
      }
      const auto identity = io::File::open(file).identity();
      tree.put(at("models/" + path), {.content = std::make_shared<fs::FileExtent>(
                                          file, 0, identity.size_bytes, identity)});
    }
    tree.add_missing_parents(0);
    std::vector<image::Layer> layers;
    for (const auto& plan :
         image::split(tree, [](const auto&, const auto&) { return image::Purpose::model; })) {
      layers.push_back(image::seal_weights(plan, nullptr, {}, {}));
    }
    return layers;
  }

  SampleImage sample_;
  io::TempDirectory directory_;
};

} // namespace aipack::test
