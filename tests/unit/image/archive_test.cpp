#include "aipack/blob/layout.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/image/archive.hpp"
#include "aipack/image/reader.hpp"

#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::image;
using namespace aipack::image::test;

namespace {

std::string read(const Archive& archive) {
  const auto source = archive.open("read", {});
  return io::read_text(*source, std::uint64_t{1} << 30, "archive");
}

/// The sample image of one platform as a layout gives it back.
StoredImage stored_sample(const std::filesystem::path& at, const Index& index) {
  auto layout = blob::Layout::create(at, io::Durability::cached);
  write_layout(index, layout, "v1", 1, {});
  return ImageSource::open(Location::parse("oci:" + at.string()), {}).images().front();
}

} // namespace

TEST_CASE("an archive says how long it is, and is the same for each reader", "[image][archive]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, GENERATE(plain, gzip, zstd), {"amd64"});
  const auto& image = index.images.front();
  // Names that do not fit a ustar header take more room.
  fs::FileTree tree;
  tree.put(path("d/" + std::string(180, 'n')), file(noise(1000)));
  tree.put(path("d/empty"), file(""));
  const Archive long_names(std::move(tree));
  const auto docker = docker_archive(image, {"digits:v1"}, {});
  std::vector<blob::BlobPtr> blobs;
  for (const auto& layer : image.layers) {
    blobs.push_back(layer.blob);
  }
  const auto oci = oci_archive(blobs, {image.manifest.descriptor()});
  for (const auto* archive : {&long_names, &docker, &oci}) {
    const auto bytes = read(*archive);
    CHECK(bytes.size() == archive->size_bytes());
    CHECK(read(*archive) == bytes);
    archive->write(directory.path() / "x.tar", {});
    CHECK(read_bytes(directory.path() / "x.tar") == bytes);
  }
}

TEST_CASE("a docker archive of a stored image is that of the image it was written from",
          "[image][archive]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, GENERATE(plain, gzip, zstd), {"amd64"});
  const auto stored = stored_sample(directory.path() / "out", index);
  CHECK(read(docker_archive(stored, {"digits:v1"}, {})) ==
        read(docker_archive(index.images.front(), {"digits:v1"}, {})));
}

TEST_CASE("a docker archive takes docker's names for layers, and no others", "[image][archive]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, zstd, {"amd64"});
  auto stored = stored_sample(directory.path() / "out", index);
  const auto expected = read(docker_archive(stored, {}, {}));
  for (auto& layer : stored.layers) {
    layer.descriptor.media_type = oci::media_type::docker_layer_tar_zstd;
  }
  CHECK(read(docker_archive(stored, {}, {})) == expected);

  const auto* type = GENERATE("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                              "application/vnd.oci.image.layer.v1.tar+zstd+encrypted", "");
  stored.layers.back().descriptor.media_type = type;
  try {
    static_cast<void>(docker_archive(stored, {}, {}));
    FAIL("took it");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
  }
}

TEST_CASE("a layer that unpacks to something else is refused before the archive begins",
          "[image][archive]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, zstd, {"amd64"});
  auto stored = stored_sample(directory.path() / "out", index);
  stored.layers.front().diff_id = oci::Digest::of("something else");
  CHECK_THROWS_WITH(docker_archive(stored, {}, {}), ContainsSubstring("unpacked it is"));
  stored.layers.front().blob = nullptr;
  CHECK_THROWS_WITH(docker_archive(stored, {}, {}), ContainsSubstring("bytes are missing"));
}

TEST_CASE("artifacts beside the only image do not make it ambiguous", "[image][archive]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, {"amd64"});
  const auto& root = index.document.descriptor();
  auto named = index.images.front().manifest.descriptor();
  named.annotations["org.opencontainers.image.ref.name"] = "sha256-" + root.digest.hex() + ".sig";
  auto typed = named;
  typed.annotations.clear();
  typed.artifact_type = "application/vnd.dev.sigstore.bundle.v0.3+json";
  const auto bytes = blob::memory_blob(root, index.document.bytes());

  const auto open = [&](const std::vector<oci::Descriptor>& entries) {
    const auto file = directory.path() / "a.tar";
    oci_archive({bytes}, entries).write(file, {});
    return open_storage(Location::parse("oci-archive:" + file.string()), {});
  };
  const auto storage = open({named, root, typed});
  CHECK(storage.root.digest == root.digest);
  CHECK(storage.entries.size() == 3);
  REQUIRE(storage.find(root));
  CHECK(read_blob(*storage.find(root)) == index.document.bytes());
  CHECK_FALSE(storage.find(named));
  CHECK_THROWS_WITH(open({named, typed}), ContainsSubstring("it is empty"));

  named.annotations["org.opencontainers.image.ref.name"] = "v2";
  CHECK_THROWS_WITH(open({named, root}), ContainsSubstring("it holds 2"));
}

TEST_CASE("attachment_subject reads cosign's tags and nothing else", "[blob][layout]") {
  const auto digest = oci::Digest::of("x");
  const auto stem = "sha256-" + digest.hex();
  for (const auto* suffix : {".sig", ".att", ".sbom"}) {
    CHECK(blob::attachment_subject(stem + suffix) == digest);
  }
  for (const auto& tag : {stem, stem + ".other", stem + "sig", stem.substr(0, 70) + ".sig",
                          "sha512-" + digest.hex() + ".sig", std::string(".sig"), std::string(),
                          "sha256-" + std::string(64, 'G') + ".sig"}) {
    INFO(tag);
    CHECK_FALSE(blob::attachment_subject(tag));
  }
}
