#include "selection.hpp"
#include "support.hpp"
#include "support/catch.hpp"

#include <nlohmann/json.hpp>

using namespace aipack;
using namespace aipack::transfer;
using namespace aipack::transfer::test;

namespace {

std::vector<oci::Platform> platforms(std::string_view list) {
  return oci::Platform::parse_list(list);
}

nlohmann::json json_of(const registry::Document& document) {
  return nlohmann::json::parse(document.bytes);
}

} // namespace

TEST_CASE("a part of an index keeps its entries and annotations word for word",
          "[transfer][select]") {
  auto sample = signed_sample();
  auto& place = sample.place;
  auto json = nlohmann::json::parse(place.blobs().at(sample.root.digest));
  json["x-unknown"] = 1;
  json["manifests"][1]["x-unknown"] = {1, 2};
  const auto root = place.put(oci::media_type::index, json.dump());
  const auto origin = place.open(root);

  const auto part = select(*origin, root, platforms("arm64"), {});
  CHECK(part.is_part);
  CHECK(part.root.descriptor.digest == oci::Digest::of(part.root.bytes));
  auto expected = json;
  expected["manifests"].erase(0);
  CHECK(json_of(part.root) == expected);
}

TEST_CASE("choosing everything changes nothing", "[transfer][select]") {
  const auto sample = signed_sample();
  const auto origin = sample.place.open(sample.root);
  const auto all = select(*origin, sample.root, platforms("arm64,amd64"), {});
  CHECK_FALSE(all.is_part);
  CHECK(all.root.descriptor.digest == sample.root.digest);
}

TEST_CASE("a missing platform is answered with those that exist", "[transfer][select]") {
  const auto sample = signed_sample();
  const auto origin = sample.place.open(sample.root);
  try {
    static_cast<void>(select(*origin, sample.root, platforms("amd64,riscv64"), {}));
    FAIL("selected");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK_THAT(error.what(), ContainsSubstring("linux/riscv64"));
    CHECK_THAT(error.what(), ContainsSubstring("linux/amd64, linux/arm64"));
  }
}

TEST_CASE("BuildKit's attestations go with their image", "[transfer][select]") {
  auto sample = signed_sample();
  auto& place = sample.place;
  auto json = nlohmann::json::parse(place.blobs().at(sample.root.digest));
  for (const auto& manifest : sample.manifests) {
    auto entry = json["manifests"][0];
    entry["digest"] = oci::Digest::of("attests " + manifest.to_string()).to_string();
    entry["platform"] = {{"os", "unknown"}, {"architecture", "unknown"}};
    entry["annotations"] = {{"vnd.docker.reference.type", "attestation-manifest"},
                            {"vnd.docker.reference.digest", manifest.to_string()}};
    json["manifests"].push_back(entry);
  }
  const auto root = place.put(oci::media_type::index, json.dump());
  const auto origin = place.open(root);
  const auto part = select(*origin, root, platforms("amd64"), {});
  const auto kept = json_of(part.root)["manifests"];
  REQUIRE(kept.size() == 2);
  CHECK(kept[0] == json["manifests"][0]);
  CHECK(kept[1] == json["manifests"][2]);
}

TEST_CASE("images are lifted out of nested indexes, and found by their config without a platform",
          "[transfer][select]") {
  auto sample = signed_sample();
  auto& place = sample.place;
  auto json = nlohmann::json::parse(place.blobs().at(sample.root.digest));
  for (auto& entry : json["manifests"]) {
    entry.erase("platform");
  }
  const auto inner = place.put(oci::media_type::index, json.dump());
  oci::Index outer;
  outer.manifests.push_back(inner);
  const auto root = put_document(place, outer);
  const auto origin = place.open(root);
  const auto part = select(*origin, root, platforms("arm64"), {});
  CHECK(part.is_part);
  const auto kept = json_of(part.root)["manifests"];
  REQUIRE(kept.size() == 1);
  CHECK(kept[0]["digest"] == sample.manifests[1].to_string());
}

TEST_CASE("a single manifest has the platform of its config", "[transfer][select]") {
  auto sample = signed_sample();
  oci::Descriptor manifest{std::string(oci::media_type::manifest), sample.manifests[1],
                           sample.place.blobs().at(sample.manifests[1]).size()};
  const auto origin = sample.place.open(manifest);
  CHECK_FALSE(select(*origin, manifest, platforms("arm64"), {}).is_part);
  CHECK_THROWS_AS(select(*origin, manifest, platforms("amd64"), {}), Error);
  CHECK_THROWS_AS(select(*origin, manifest, platforms("amd64,arm64"), {}), Error);
  // Whatever the host is: it is the only one.
  CHECK(select_one(*origin, manifest, std::nullopt, {}).digest == manifest.digest);
}

TEST_CASE("one image is chosen by platform", "[transfer][select]") {
  const auto sample = signed_sample();
  const auto origin = sample.place.open(sample.root);
  CHECK(select_one(*origin, sample.root, oci::Platform::parse("arm64"), {}).digest ==
        sample.manifests[1]);
  CHECK_THROWS_WITH(select_one(*origin, sample.root, oci::Platform::parse("s390x"), {}),
                    ContainsSubstring("linux/amd64, linux/arm64"));
}
