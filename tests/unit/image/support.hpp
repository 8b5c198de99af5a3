#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/image/image.hpp"
#include "aipack/image/layer.hpp"
#include "aipack/image/split.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/oci/media_type.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace aipack::image::test {

inline fs::RootPath path(std::string_view text) {
  return fs::RootPath::parse(text);
}

inline fs::FileEntry directory(std::uint32_t mode = 0755) {
  fs::FileEntry entry;
  entry.type = fs::FileType::directory;
  entry.mode = mode;
  entry.mtime = 1'700'000'000;
  return entry;
}

inline fs::FileEntry file(std::string bytes, std::string package = {}) {
  fs::FileEntry entry;
  entry.content = fs::memory_content(std::move(bytes));
  entry.mtime = 1'700'000'000;
  entry.package = std::move(package);
  return entry;
}

inline fs::FileEntry symlink(std::string target) {
  fs::FileEntry entry;
  entry.type = fs::FileType::symlink;
  entry.mode = 0777;
  entry.link_target = std::move(target);
  return entry;
}

inline fs::FileEntry hard_link(std::string target) {
  fs::FileEntry entry;
  entry.type = fs::FileType::hard_link;
  entry.link_target = std::move(target);
  return entry;
}

/// Bytes that no codec shrinks, the same in every run.
inline std::string noise(std::size_t size, std::uint32_t seed = 1) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed * 2654435761U + 1;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

inline void write_bytes(const std::filesystem::path& to, std::string_view bytes) {
  std::filesystem::create_directories(to.parent_path());
  std::ofstream(to, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_bytes(const std::filesystem::path& from) {
  std::ifstream in(from, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A file on disk as the content of an entry.
inline fs::FileEntry on_disk(const std::filesystem::path& from) {
  const auto identity = io::File::open(from).identity();
  fs::FileEntry entry;
  entry.content = std::make_shared<fs::FileExtent>(from, 0, identity.size_bytes, identity);
  entry.mtime = 1'700'000'000;
  return entry;
}

/// All of a blob.
inline std::string read_blob(const blob::BlobSource& blob) {
  const auto source = blob.open();
  return io::read_text(*source, std::uint64_t{1} << 30, "blob");
}

/// Regular files below a directory, without index.json: what a layout's blobs are, or what was left
/// behind.
inline std::set<std::string> files_below(const std::filesystem::path& root) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.is_regular_file()) {
      names.insert(std::filesystem::relative(entry.path(), root).string());
    }
  }
  return names;
}

/// Blobs in memory.
class MemoryStore final : public blob::BlobStore {
public:
  [[nodiscard]] bool contains(const oci::Descriptor& descriptor) const override {
    return find(descriptor) != nullptr;
  }
  [[nodiscard]] blob::BlobPtr find(const oci::Descriptor& descriptor) const override {
    const std::lock_guard lock(mutex_);
    const auto found = blobs_.find(descriptor.digest);
    return found == blobs_.end() ? nullptr : found->second;
  }
  blob::BlobPtr put(const oci::Descriptor& expected, io::ByteSource& source,
                    const Operation& op) override {
    auto blob = ingest(expected.media_type, source, op);
    if (blob->descriptor().digest != expected.digest) {
      throw Error(ErrorCode::corrupt, "cannot store a blob: wrong digest");
    }
    return blob;
  }
  blob::BlobPtr ingest(std::string_view media_type, io::ByteSource& source,
                       const Operation&) override {
    auto bytes = io::read_text(source, std::uint64_t{1} << 30, "blob");
    const oci::Descriptor descriptor{std::string(media_type), oci::Digest::of(bytes), bytes.size()};
    auto blob = blob::memory_blob(descriptor, std::move(bytes));
    const std::lock_guard lock(mutex_);
    blobs_[descriptor.digest] = blob;
    return blob;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return blobs_.size();
  }

private:
  mutable std::mutex mutex_;
  std::map<oci::Digest, blob::BlobPtr> blobs_;
};

/// Counts down to a failure: the n-th read, over all sources that share it, throws.
struct Fault {
  explicit Fault(int at) : left(at) {}
  std::atomic<int> left;
  void pass() {
    if (--left < 0) {
      throw Error(ErrorCode::io, "cannot read: injected fault");
    }
  }
  [[nodiscard]] bool struck() const { return left < 0; }
};

class FaultySource final : public io::ByteSource {
public:
  FaultySource(std::unique_ptr<io::ByteSource> inner, std::shared_ptr<Fault> fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}
  std::size_t read(std::span<std::byte> into) override {
    fault_->pass();
    // Small reads make many places to fail at.
    return inner_->read(into.first(std::min<std::size_t>(into.size(), 512)));
  }

private:
  std::unique_ptr<io::ByteSource> inner_;
  std::shared_ptr<Fault> fault_;
};

class FaultyBlob final : public blob::BlobSource {
public:
  FaultyBlob(blob::BlobPtr inner, std::shared_ptr<Fault> fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}
  [[nodiscard]] const oci::Descriptor& descriptor() const noexcept override {
    return inner_->descriptor();
  }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
    fault_->pass();
    return std::make_unique<FaultySource>(inner_->open(offset), fault_);
  }

private:
  blob::BlobPtr inner_;
  std::shared_ptr<Fault> fault_;
};

class FaultyContent final : public fs::Content {
public:
  FaultyContent(fs::ContentPtr inner, std::shared_ptr<Fault> fault)
      : inner_(std::move(inner)), fault_(std::move(fault)) {}
  [[nodiscard]] std::uint64_t size() const noexcept override { return inner_->size(); }
  [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t offset) const override {
    fault_->pass();
    return std::make_unique<FaultySource>(inner_->open(offset), fault_);
  }

private:
  fs::ContentPtr inner_;
  std::shared_ptr<Fault> fault_;
};

/// A small root with every kind of entry; fault tests, which do everything a hundred times, divide
/// it.
inline fs::FileTree sample_tree(std::size_t divisor = 1) {
  fs::FileTree tree;
  tree.put(path("etc"), directory());
  tree.put(path("etc/passwd"), file("root:x:0:0::/:/sbin/nologin\n"));
  tree.put(path("tmp"), directory(01777));
  tree.put(path("usr"), directory());
  tree.put(path("usr/bin"), directory());
  tree.put(path("usr/bin/serve"), file(noise(5000 / divisor)));
  tree.put(path("usr/lib"), directory());
  tree.put(path("usr/lib/libc.so.6"), file(noise(20000 / divisor, 2), "libc6"));
  tree.put(path("usr/lib/libonnx.so"), symlink("libonnx.so.1"));
  tree.put(path("usr/lib/libonnx.so.1"), file(noise(300000 / divisor, 3), "libonnx1"));
  tree.put(path("models"), directory());
  tree.put(path("models/digits.onnx"), file(noise(70000 / divisor, 4)));
  return tree;
}

inline Purpose sample_purpose(const fs::RootPath& at, const fs::FileEntry& entry) {
  if (at.is_within(path("models"))) {
    return Purpose::model;
  }
  if (at == path("usr/bin/serve")) {
    return Purpose::server;
  }
  return at.text().find("libonnx") != std::string::npos || entry.package == "libonnx1"
             ? Purpose::runtime
             : Purpose::base;
}

inline constexpr codec::Compression plain{codec::Codec::none, 0};
inline constexpr codec::Compression gzip{codec::Codec::gzip, 1};
inline constexpr codec::Compression zstd{codec::Codec::zstd, 1};

inline std::vector<Layer> seal_all(const std::vector<LayerPlan>& plans, blob::BlobStore& store) {
  std::vector<Layer> layers;
  for (const auto& plan : plans) {
    layers.push_back(seal(plan, store, {}, {}));
  }
  return layers;
}

inline ImageSettings sample_settings(std::string_view platform) {
  ImageSettings settings;
  settings.platform = oci::Platform::parse(platform);
  settings.created = 1'757'663'741;
  settings.user = "65532:65532";
  settings.entrypoint = {"/usr/bin/serve", "/models"};
  settings.env = {"PATH=/usr/bin", "LANG=C.UTF-8"};
  settings.exposed_ports = {"8080/tcp"};
  settings.labels = {{"org.opencontainers.image.title", "digits"}};
  settings.annotations = {{"org.opencontainers.image.title", "digits"}};
  return settings;
}

/// The sample tree for each platform; every layer is shared by all of them, as a model layer is.
inline Index sample_index(blob::BlobStore& store, codec::Compression compression,
                          const std::vector<std::string>& platforms, std::size_t divisor = 1) {
  const auto layers =
      seal_all(split(sample_tree(divisor), sample_purpose, {.compression = compression}), store);
  std::vector<Image> images;
  for (const auto& platform : platforms) {
    images.push_back(make_image(layers, sample_settings(platform)));
  }
  return make_index(std::move(images), {{"org.opencontainers.image.title", "digits"}});
}

} // namespace aipack::image::test
