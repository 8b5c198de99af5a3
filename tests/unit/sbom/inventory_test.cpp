#include "aipack/core/error.hpp"

#include "sample.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::sbom;
using namespace aipack::test;

namespace {

std::vector<std::string> names_of(const std::vector<Package>& packages) {
  std::vector<std::string> names;
  for (const auto& package : packages) {
    names.push_back(package.name);
  }
  return names;
}

Error error_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::internal, "no error was thrown");
}

} // namespace

TEST_CASE("The inventory has what the image has", "[sbom][inventory]") {
  const StoredSample stored({.user_files = {{"etc/b.conf", "b"}, {"etc/a.conf", "a"}}});
  const auto source = stored.source();
  const auto inventory = stored.inventory();
  CHECK(inventory.name == "linear");
  CHECK(inventory.subject.digest == source.descriptor().digest);
  CHECK(inventory.created == "2025-09-12T07:55:41Z");
  REQUIRE(inventory.images.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& image = inventory.images[i];
    CHECK(image.manifest.digest == source.images()[i].manifest.descriptor().digest);
    CHECK(image.runtime == "demo 1.0");
    CHECK(image.suite == "trixie");
    CHECK(image.is_complete);
    CHECK(image.packages == std::vector<Package>{kept("libdemo", image.platform.architecture),
                                                 kept("tzdata", "all")});
    REQUIRE(image.server.has_value());
    CHECK(image.server->path == "/usr/bin/aipack-serve");
    REQUIRE(image.server->checksums.has_value());
    CHECK(image.server->checksums->sha256 ==
          oci::Digest::of("server of " + image.platform.to_string()));
    REQUIRE(image.files.size() == 2);
    CHECK(image.files[0].path == "/etc/a.conf");
    CHECK(image.files[0].checksums->sha1 == "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"); // of "a"
    CHECK(image.models == std::vector<std::size_t>{0});
  }
  REQUIRE(inventory.models.size() == 1);
  const auto& model = inventory.models.front();
  CHECK(model.name == "linear");
  CHECK(model.license.expression == "MIT");
  REQUIRE(model.files.size() == 1);
  CHECK(model.files[0].path == "/models/linear.onnx");
  CHECK(model.files[0].size_bytes == StoredSample::linear_model().size());
  CHECK(model.files[0].checksums->sha256 == oci::Digest::of(StoredSample::linear_model()));
  REQUIRE(model.facts.has_value());
  CHECK(model.facts->parameter_count == 10);
  CHECK(model.facts->inputs.size() == 1);
  CHECK(model.facts->files.empty());
}

TEST_CASE("A part is what its manifest alone says", "[sbom][inventory]") {
  const StoredSample stored;
  const auto whole = stored.inventory();
  for (const auto& image : whole.images) {
    const auto part = part_of(whole, image.platform);
    CHECK(part.subject.digest == image.manifest.digest);
    // The same as from an index that has only this image, but for the subject.
    const StoredSample alone({.platforms = {image.platform.to_string()}});
    auto expected = part_of(alone.inventory(), image.platform);
    for (const auto format : {Format::spdx_json, Format::cyclonedx_json}) {
      CHECK(write(part, format) == write(expected, format));
    }
  }
  const auto error = error_of([&] { (void)part_of(whole, oci::Platform::parse("linux/riscv64")); });
  CHECK(error.code() == ErrorCode::not_found);
  CHECK_THAT(error.message(), ContainsSubstring("linux/amd64, linux/arm64"));
}

TEST_CASE("Reading twice and with any number of threads gives the same documents",
          "[sbom][inventory]") {
  const StoredSample stored({.model_files = {{"a.onnx", StoredSample::linear_model()},
                                             {"b/b.onnx", StoredSample::linear_model()},
                                             {"b/data.bin", "weights"},
                                             {"c.gguf", "GGUF"}}});
  const auto source = stored.source();
  const auto once = take_inventory(source, {}, {.concurrency = 1});
  const auto again = take_inventory(source, {}, {.concurrency = 7});
  CHECK(write_spdx(once) == write_spdx(again));
  CHECK(write_cyclonedx(once) == write_cyclonedx(again));
  REQUIRE(once.models.size() == 3);
  CHECK(once.models[0].name == "a");
  CHECK(once.models[1].name == "b");
  REQUIRE(once.models[1].files.size() == 2);
  CHECK(once.models[1].files[0].path == "/models/b/b.onnx");
  CHECK(once.models[1].facts.has_value());
  CHECK(once.models[2].name == "c.gguf");
  CHECK_FALSE(once.models[2].facts.has_value());
  CHECK(once.models[2].license.expression == license::no_assertion);
}

TEST_CASE("Of a large model layer only headers and facts are read", "[sbom][inventory]") {
  // A model that is a sparse file beyond the limit: its tail is zero, which no protobuf field is,
  // so that there are no facts; beside it one whose facts are found in place.
  const StoredSample stored({.model_files = {{"big/big.onnx", StoredSample::linear_model()},
                                             {"big/weights.bin", std::string(1000, 'w')}},
                             .holes_from_bytes = 1000});
  const auto inventory = stored.inventory();
  REQUIRE(inventory.models.size() == 1);
  const auto& files = inventory.models[0].files;
  REQUIRE(files.size() == 2);
  CHECK(files[0].checksums.has_value());
  CHECK(files[1].path == "/models/big/weights.bin");
  CHECK(files[1].size_bytes == max_hashed_bytes + 1);
  CHECK_FALSE(files[1].checksums.has_value());
  CHECK(inventory.models[0].facts.has_value());
  CHECK_THAT(write_spdx(inventory), ContainsSubstring(files[1].layer.to_string()));
}

TEST_CASE("A record without packages is read through dpkg's database", "[sbom][inventory]") {
  const std::string mit =
      "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
      "\nFiles: *\nLicense: Expat\n";
  const StoredSample stored(
      {.platforms = {"linux/amd64"},
       .record_has_packages = false,
       .base_files = {
           {"var/lib/dpkg/status.d/libdemo",
            "Package: libdemo\nStatus: install ok installed\nSource: demo (2.0)\nVersion: "
            "2.0+b1\nArchitecture: amd64\nMaintainer: M <m@example.org>\nHomepage: "
            "https://e.example\n"},
           {"var/lib/dpkg/status.d/libdemo.md5sums", "0  usr/lib/libdemo.so\n"},
           {"var/lib/dpkg/status.d/other", "Package: other\nVersion: 1\nArchitecture: all\n"},
           {"usr/share/doc/libdemo/copyright", mit}}});
  const auto inventory = stored.inventory();
  const auto& packages = inventory.images.front().packages;
  REQUIRE(names_of(packages) == std::vector<std::string>{"libdemo", "other"});
  CHECK(packages[0].version == "2.0+b1");
  CHECK(packages[0].source == "demo");
  CHECK(packages[0].source_version == "2.0");
  CHECK(packages[0].license.expression == "MIT");
  CHECK(packages[0].homepage == "https://e.example");
  CHECK_FALSE(packages[0].digest.has_value());
  CHECK(packages[1].source == "other");
  CHECK(packages[1].license.expression == license::no_assertion);
  CHECK_THAT(write_cyclonedx(inventory), ContainsSubstring("pkg:deb/debian/other@1?arch=all"));
}

TEST_CASE("An image that aipack did not build is refused with a hint", "[sbom][inventory]") {
  const auto config = oci::seal(oci::Config{.platform = oci::Platform::parse("linux/amd64")});
  const auto manifest = oci::seal(oci::Manifest{.config = config.descriptor()});
  const std::map<oci::Digest, blob::BlobPtr> blobs{
      {config.descriptor().digest, blob::memory_blob(config.descriptor(), config.bytes())},
      {manifest.descriptor().digest, blob::memory_blob(manifest.descriptor(), manifest.bytes())}};
  const auto source = image::ImageSource::open(
      "foreign", manifest.descriptor(),
      [&](const oci::Descriptor& wanted) { return blobs.at(wanted.digest); }, {});
  const auto error = error_of([&] { (void)take_inventory(source, {}); });
  CHECK(error.code() == ErrorCode::unsupported);
  CHECK_THAT(error.message(), ContainsSubstring("aipack did not build it"));
  CHECK_FALSE(error.hint().empty());
}

TEST_CASE("A damaged layer is no inventory", "[sbom][inventory]") {
  const StoredSample stored({.platforms = {"linux/amd64"}});
  const auto source = stored.source();
  for (const auto& layer : source.images().front().layers) {
    if (layer.purpose != image::Purpose::server && layer.purpose != image::Purpose::model) {
      continue;
    }
    const auto file = stored.blob(layer.descriptor.digest);
    auto bytes = io::read_text_file(file, 1U << 20U);
    const auto whole = bytes;
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    testing::write_file(file, bytes);
    CHECK(error_of([&] { (void)stored.inventory(); }).code() == ErrorCode::corrupt);
    testing::write_file(file, whole);
  }
  CHECK(stored.inventory().images.size() == 1);
}
