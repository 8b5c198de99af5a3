#include "aipack/image/image.hpp"

#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::image;
using namespace aipack::image::test;

namespace {

Layer fixed_layer(Purpose purpose, std::string_view media_type, std::string bytes,
                  std::string title) {
  const oci::Descriptor descriptor{std::string(media_type), oci::Digest::of(bytes), bytes.size()};
  const auto diff_id = oci::Digest::of(bytes + " unpacked");
  return Layer{
      purpose, std::move(title), blob::memory_blob(descriptor, std::move(bytes)), diff_id, 1024, 3};
}

std::vector<Layer> fixed_layers() {
  return {
      fixed_layer(Purpose::runtime, oci::media_type::layer_tar_zstd, "runtime bytes",
                  "runtime: libonnxruntime1.21 and 14 more"),
      fixed_layer(Purpose::model, oci::media_type::layer_tar, "model bytes", "model: digits.onnx")};
}

} // namespace

TEST_CASE("the config's bytes are these", "[image][golden]") {
  const auto image = make_image(fixed_layers(), sample_settings("linux/arm64"));
  CHECK(image.config.bytes() ==
        R"({"created":"2025-09-12T07:55:41Z","architecture":"arm64","os":"linux")"
        R"(,"variant":"v8","config":{"User":"65532:65532","ExposedPorts":{"8080/tcp":{}})"
        R"(,"Env":["PATH=/usr/bin","LANG=C.UTF-8"],"Entrypoint":["/usr/bin/serve")"
        R"(,"/models"],"WorkingDir":"/")"
        R"(,"Labels":{"org.opencontainers.image.title":"digits"},"StopSignal":"SIGTERM"})"
        R"(,"rootfs":{"type":"layers")"
        R"(,"diff_ids":["sha256:6a5c77639686a89a21930726fc3404c59ca3eedd0279e93c540336a930c9e254")"
        R"(,"sha256:72108ebe550de5fc865c90dfe68f64ad3d4ad27bd4ce742e2e1de4c958c1f4a2"]})"
        R"(,"history":[{"created":"2025-09-12T07:55:41Z","created_by":"aipack: runtime")"
        R"(,"comment":"runtime: libonnxruntime1.21 and 14 more"},{"created":"2025-09-12T07:55:41Z")"
        R"(,"created_by":"aipack: model","comment":"model: digits.onnx"}]})");
}

TEST_CASE("the manifest's bytes are these", "[image][golden]") {
  const auto image = make_image(fixed_layers(), sample_settings("linux/amd64"));
  CHECK(
      image.manifest.bytes() ==
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json")"
      R"(,"config":{"mediaType":"application/vnd.oci.image.config.v1+json")"
      R"(,"digest":"sha256:c4efc2505f0e7e5de556d10ab174b3b57b5d51a8022dc33097ea336e2abf4c10")"
      R"(,"size":720})"
      R"(,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd")"
      R"(,"digest":"sha256:7fc5036745ec73b6169495830cf3ef3b58127addf27fcc0d0b8fe87b4de5808c")"
      R"(,"size":13,"annotations":{"dev.aipack.layer.files":"3")"
      R"(,"dev.aipack.layer.purpose":"runtime")"
      R"(,"dev.aipack.layer.title":"runtime: libonnxruntime1.21 and 14 more"}},{"mediaType":"application/vnd.oci.image.layer.v1.tar")"
      R"(,"digest":"sha256:9cb7487000bc86ac36ce83c4acfabe8878552be99572a6770f65ab1d048a5c48")"
      R"(,"size":11,"annotations":{"dev.aipack.layer.files":"3")"
      R"(,"dev.aipack.layer.purpose":"model")"
      R"(,"dev.aipack.layer.title":"model: digits.onnx"}}])"
      R"(,"annotations":{"org.opencontainers.image.title":"digits"}})");
}

TEST_CASE("the index's bytes are these, in platform order", "[image][golden]") {
  std::vector<Image> images;
  for (const auto* platform : {"linux/riscv64", "linux/arm64", "linux/amd64"}) {
    images.push_back(make_image(fixed_layers(), sample_settings(platform)));
  }
  const auto index = make_index(std::move(images), {{"org.opencontainers.image.title", "digits"}});
  CHECK(index.document.bytes() ==
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json")"
        R"(,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json")"
        R"(,"digest":"sha256:1f975fb94d3a969ec30315aa37153358a7e90b0722d1ac537e628e93c135592d")"
        R"(,"size":881,"platform":{"architecture":"amd64")"
        R"(,"os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json")"
        R"(,"digest":"sha256:1a253b122491a80f156ee83ee99625ac57f9cf7177dc2cbe43c0ddbfb76a2fb9")"
        R"(,"size":881,"platform":{"architecture":"arm64","os":"linux")"
        R"(,"variant":"v8"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json")"
        R"(,"digest":"sha256:ff4280b973675e8874141cf0c70ef93102f8e52b49204fdd7ef5bf753a4acaa6")"
        R"(,"size":881,"platform":{"architecture":"riscv64","os":"linux"}}])"
        R"(,"annotations":{"org.opencontainers.image.title":"digits"}})");
  CHECK(index.images.front().platform.architecture == "amd64");
  CHECK(index.digest() == oci::Digest::of(index.document.bytes()));
}

TEST_CASE("documents refer to each other by their bytes", "[image]") {
  const auto image = make_image(fixed_layers(), sample_settings("amd64"));
  CHECK(image.manifest->config.digest == oci::Digest::of(image.config.bytes()));
  CHECK(image.manifest->config.size_bytes == image.config.bytes().size());
  REQUIRE(image.manifest->layers.size() == 2);
  CHECK(image.config->diff_ids.size() == 2);
  CHECK(image.config->history.size() == 2);
  CHECK(oci::parse_config(image.config.bytes(), "config").value() == image.config.value());
  CHECK(oci::parse_manifest(image.manifest.bytes(), "manifest").value() == image.manifest.value());
}

TEST_CASE("make_image wants 1 to 10 layers", "[image]") {
  CHECK_THROWS_WITH(make_image({}, sample_settings("amd64")), ContainsSubstring("no layers"));
  std::vector<Layer> layers(max_layers, fixed_layers().front());
  CHECK_NOTHROW(make_image(layers, sample_settings("amd64")));
  layers.push_back(layers.front());
  CHECK_THROWS_WITH(make_image(layers, sample_settings("amd64")), ContainsSubstring("11 layers"));
}

TEST_CASE("make_index wants one image per platform", "[image]") {
  CHECK_THROWS_WITH(make_index({}, {}), ContainsSubstring("no images"));
  std::vector<Image> images;
  images.push_back(make_image(fixed_layers(), sample_settings("arm64")));
  images.push_back(make_image(fixed_layers(), sample_settings("linux/arm64/v8")));
  CHECK_THROWS_WITH(make_index(std::move(images), {}), ContainsSubstring("two images"));
}

TEST_CASE("any order of images gives one index", "[image][property]") {
  std::vector<std::string> platforms{"amd64", "arm64", "riscv64"};
  std::set<std::string> digests;
  do {
    MemoryStore store;
    digests.insert(sample_index(store, gzip, platforms).digest().to_string());
  } while (std::next_permutation(platforms.begin(), platforms.end()));
  CHECK(digests.size() == 1);
}
