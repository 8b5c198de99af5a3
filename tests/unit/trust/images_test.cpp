#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::trust;
using namespace aipack::trust::test;

TEST_CASE("The images of an index are the index itself and each platform's manifest, once",
          "[trust][images]") {
  MemoryPlace place;
  MemoryStore store;
  const auto index = sample_index(store, zstd, {"amd64", "arm64"}, 1000);
  const auto root = put_index(place, index);
  const auto images = images_of(*place.open(root), {});
  REQUIRE(images.size() == 3);
  CHECK(images[0].digest == root.digest);
  CHECK_FALSE(images[0].platform.has_value());
  CHECK(images[1].platform->to_string() == "linux/amd64");
  CHECK(images[2].platform->to_string() == "linux/arm64");
}

TEST_CASE("Attestations that BuildKit keeps among the images are none of them, and indexes in "
          "indexes are followed",
          "[trust][images]") {
  MemoryPlace place;
  MemoryStore store;
  const auto index = sample_index(store, zstd, {"amd64"}, 1000);
  const auto inner = put_index(place, index);
  auto foreign = index.images[0].manifest.descriptor();
  foreign.platform = oci::Platform{.os = "unknown", .architecture = "unknown"};
  foreign.digest = oci::Digest::of("an attestation");
  oci::Index outer{.manifests = {inner, foreign, inner}};
  const auto root = put_document(place, outer);
  const auto images = images_of(*place.open(root), {});
  REQUIRE(images.size() == 2);
  CHECK(images[1].digest == index.images[0].manifest.descriptor().digest);
}

TEST_CASE("An index that names itself deeper than images are nested is refused",
          "[trust][images]") {
  MemoryPlace place;
  auto root = put_document(place, oci::Index{});
  for (int i = 0; i < 6; ++i) {
    root = put_document(place, oci::Index{.manifests = {root}});
  }
  CHECK_THROWS_AS(images_of(*place.open(root), {}), FormatError);
}

TEST_CASE("What is written beside an image takes its time from the image", "[trust][images]") {
  MemoryPlace place;
  const auto dated = put_document(
      place,
      oci::Index{.annotations = {{"org.opencontainers.image.created", "2026-03-01T00:00:00Z"}}});
  CHECK(created_of(*place.open(dated), dated, {}) == test_time);
  const auto undated = put_document(place, oci::Index{});
  CHECK(created_of(*place.open(undated), undated, {}) == std::chrono::sys_seconds{});
}
