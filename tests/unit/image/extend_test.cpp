#include "aipack/core/error.hpp"
#include "aipack/image/image.hpp"
#include "aipack/oci/media_type.hpp"

#include "support/catch.hpp"

#include <fmt/format.h>

using namespace aipack;

namespace {

blob::BlobPtr text_blob(std::string_view media_type, std::string text) {
  const oci::Descriptor descriptor{std::string(media_type), oci::Digest::of(text), text.size()};
  return blob::memory_blob(descriptor, std::move(text));
}

image::Layer model_layer(const std::string& bytes) {
  auto blob = text_blob(oci::media_type::layer_tar, bytes);
  const auto digest = blob->descriptor().digest;
  return {image::Purpose::model, "model digits", std::move(blob), digest, bytes.size(), 1};
}

/// An image as Docker writes it: its own media types, null for what is empty, fields that only it
/// knows.
image::StoredImage
docker_image(const std::string& layer_type = std::string(oci::media_type::docker_layer_tar_gzip)) {
  const auto layer = text_blob(layer_type, "layer");
  const auto diff_id = oci::Digest::of("plain");
  auto config = oci::parse_config(
      fmt::format(
          R"({{"architecture":"arm64","variant":"v8","os":"linux","created":"2024-01-02T03:04:05Z",)"
          R"("config":{{"User":"1000","Env":["PATH=/bin","MODE=a"],"Entrypoint":["/server"],"Cmd":["--all"],)"
          R"("Labels":null,"Healthcheck":{{"Test":["NONE"]}}}},)"
          R"("rootfs":{{"type":"layers","diff_ids":["{}"]}}}})",
          diff_id.to_string()),
      "config");
  oci::Manifest manifest{.media_type = std::string(oci::media_type::docker_manifest),
                         .config = config.descriptor()};
  manifest.config.media_type = oci::media_type::docker_config;
  manifest.layers.push_back(layer->descriptor());
  return {"base",
          config->platform,
          oci::seal(manifest),
          config,
          {{.descriptor = layer->descriptor(), .diff_id = diff_id, .blob = layer}}};
}

} // namespace

TEST_CASE("extend_image keeps what the base's config says and adds its layers on top",
          "[image][extend]") {
  const auto base = docker_image();
  const auto image = image::extend_image(base, {.layers = {model_layer("weights")},
                                                .created = {},
                                                .user = {},
                                                .entrypoint = {},
                                                .env = {"MODE=b", "MODEL=digits"},
                                                .labels = {{"a", "b"}},
                                                .annotations = {{"k", "v"}}});
  CHECK(image.config->user == "1000");
  CHECK(image.config->entrypoint == std::vector<std::string>{"/server"});
  CHECK(image.config->cmd == std::vector<std::string>{"--all"});
  CHECK(image.config->env == std::vector<std::string>{"PATH=/bin", "MODE=b", "MODEL=digits"});
  CHECK(image.config->labels == std::map<std::string, std::string>{{"a", "b"}});
  CHECK(image.config->created == "2024-01-02T03:04:05Z");
  CHECK(image.config->platform == base.platform);
  CHECK(image.config.bytes().find("Healthcheck") != std::string::npos);
  REQUIRE(image.config->diff_ids.size() == 2);
  CHECK(image.config->diff_ids[0] == base.layers[0].diff_id);
  CHECK(image.config->history.size() == 2);
  REQUIRE(image.manifest->layers.size() == 2);
  CHECK(image.manifest->media_type == oci::media_type::manifest);
  CHECK(image.manifest->layers[0].media_type == oci::media_type::layer_tar_gzip);
  CHECK(image.manifest->layers[0].digest == base.layers[0].descriptor.digest);
  CHECK(image.manifest->config == image.config.descriptor());
  CHECK(image.manifest->annotations == oci::Annotations{{"k", "v"}});
}

TEST_CASE("extend_image drops the base's arguments with its entrypoint", "[image][extend]") {
  const auto image =
      image::extend_image(docker_image(), {.layers = {},
                                           .created = 0,
                                           .user = "65532",
                                           .entrypoint = std::vector<std::string>{"/run"},
                                           .env = {},
                                           .labels = {},
                                           .annotations = {}});
  CHECK(image.config->entrypoint == std::vector<std::string>{"/run"});
  CHECK(image.config->cmd.empty());
  CHECK(image.config->user == "65532");
  CHECK(image.config->created == "1970-01-01T00:00:00Z");
}

TEST_CASE("extend_image is a pure function of its inputs", "[image][extend]") {
  const auto make = [] {
    return image::extend_image(docker_image(), {.layers = {model_layer("weights")},
                                                .created = {},
                                                .user = {},
                                                .entrypoint = {},
                                                .env = {},
                                                .labels = {},
                                                .annotations = {}});
  };
  CHECK(make().manifest.bytes() == make().manifest.bytes());
}

TEST_CASE("extend_image refuses layers that may not be distributed or that it does not know",
          "[image][extend]") {
  const auto type = GENERATE(
      as<std::string>{}, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
      "application/vnd.oci.image.layer.nondistributable.v1.tar", "application/vnd.other+json");
  try {
    (void)image::extend_image(docker_image(type), {});
    FAIL("it was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
  }
}

TEST_CASE("extend_image refuses more layers than engines stack", "[image][extend]") {
  image::Extension extension;
  for (std::size_t i = 0; i < image::max_extended_layers; ++i) {
    extension.layers.push_back(model_layer(fmt::to_string(i)));
  }
  CHECK_THROWS_AS(image::extend_image(docker_image(), extension), Error);
}
