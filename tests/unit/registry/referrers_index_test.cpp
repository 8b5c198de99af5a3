#include "aipack/core/error.hpp"
#include "aipack/oci/document.hpp"

#include "referrers_index.hpp"
#include "support/catch.hpp"

#include <algorithm>

using namespace aipack;
using registry::Document;
using registry::Referrer;
using registry::ReferrersIndex;

namespace {

Referrer referrer(std::string_view content, std::string artifact_type = "application/x") {
  return {.media_type = std::string(oci::media_type::manifest),
          .digest = oci::Digest::of(content),
          .size_bytes = content.size(),
          .artifact_type = std::move(artifact_type)};
}

std::string entry(std::string_view digest, std::string_view more = "") {
  return R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
         std::string(digest) + R"(","size":7)" + std::string(more) + "}";
}

std::string index(std::string_view entries) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)" +
         std::string(entries) + "]}";
}

Document document(std::string bytes) {
  return {.descriptor = {.media_type = std::string(oci::media_type::manifest),
                         .digest = oci::Digest::of(bytes),
                         .size_bytes = bytes.size()},
          .bytes = bytes};
}

} // namespace

TEST_CASE("an entry is added once, and put right where it was wrong", "[registry][referrers]") {
  ReferrersIndex listing;
  CHECK(listing.referrers().empty());
  Referrer signature = referrer("signature");
  CHECK(listing.add(signature));
  CHECK_FALSE(listing.add(signature));
  CHECK(listing.add(referrer("sbom", "application/spdx+json")));
  signature.artifact_type = "application/y";
  signature.annotations = {{"made", "today"}};
  CHECK(listing.add(signature));
  CHECK_FALSE(listing.add(signature));
  CHECK(listing.referrers() == std::vector{signature, referrer("sbom", "application/spdx+json")});
  // What is written is what is read, and an image index for everybody else.
  const auto again = ReferrersIndex::parse(listing.bytes(), "index");
  CHECK(again.referrers() == listing.referrers());
  CHECK(oci::parse_index(listing.bytes(), "index")->manifests.size() == 2);
}

TEST_CASE("entries of others keep what aipack does not know", "[registry][referrers]") {
  const std::string others =
      entry("sha512:" + std::string(128, 'a'), R"(,"x":[1])") + "," +
      entry(oci::Digest::of("b").to_string(), R"(,"annotations":{"a":"1"},"urls":["u"])");
  auto listing = ReferrersIndex::parse(index(others), "index");
  CHECK(listing.referrers().size() == 1); // a digest that cannot be verified cannot be fetched
  CHECK(listing.add(referrer("mine")));
  CHECK(listing.bytes().starts_with(index(others).substr(0, index(others).size() - 2)));
}

TEST_CASE("the same digest does not stand twice", "[registry][referrers]") {
  const std::string digest = oci::Digest::of("b").to_string();
  const auto listing =
      ReferrersIndex::parse(index(entry(digest, R"(,"x":1)") + "," + entry(digest)), "index");
  CHECK(listing.bytes() == index(entry(digest, R"(,"x":1)")));
}

TEST_CASE("indexes of two writers merge into one that has everything", "[registry][referrers]") {
  ReferrersIndex ours;
  ReferrersIndex theirs;
  ours.add(referrer("a"));
  ours.add(referrer("b"));
  theirs.add(referrer("b"));
  theirs.add(referrer("c"));
  CHECK(ours.add_all(theirs));
  CHECK_FALSE(ours.add_all(theirs));
  CHECK(ours.referrers() == std::vector{referrer("a"), referrer("b"), referrer("c")});
}

TEST_CASE("what is no index of referrers is refused", "[registry][referrers]") {
  const auto bytes = GENERATE(values<std::string>({
      "",
      "[]",
      "{\"manifests\":7}",
      "{\"manifests\":[7]}",
      "{\"manifests\":[{}]}",
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"})",
      R"({"manifests":[],"config":{}})",
      R"({"manifests":[],"layers":[]})",
      index(R"({"mediaType":"a","digest":"sha256:1","size":-1})"),
      index(R"({"mediaType":"a","digest":"sha256:1","size":1.5})"),
      index(R"({"mediaType":"a","digest":"none","size":1})"),
      index(R"({"mediaType":"a","digest":"sha256:1","size":18446744073709551615})"),
      index(R"({"digest":"sha256:1","size":1})"),
  }));
  CAPTURE(bytes);
  CHECK_THROWS_AS(ReferrersIndex::parse(bytes, "index"), FormatError);
}

TEST_CASE("an empty listing may be written in several ways", "[registry][referrers]") {
  const auto bytes = GENERATE(values<std::string>({"{}", R"({"manifests":null})", index("")}));
  CHECK(ReferrersIndex::parse(bytes, "index").referrers().empty());
}

TEST_CASE("a referrer is listed by its artifact type, or by that of its config",
          "[registry][referrers]") {
  struct Case {
    const char* bytes;
    const char* artifact_type;
  };
  const auto c = GENERATE(values<Case>({
      {R"({"artifactType":"application/a","config":{"mediaType":"application/b"}})",
       "application/a"},
      {R"({"config":{"mediaType":"application/b"}})", "application/b"},
      {R"({"artifactType":"","config":{"mediaType":"application/b"}})", "application/b"},
      {R"({"manifests":[]})", ""},
      {R"({"artifactType":"application/a","manifests":[]})", "application/a"},
  }));
  CAPTURE(c.bytes);
  CHECK(registry::referrer_of(document(c.bytes)).artifact_type == c.artifact_type);
}

TEST_CASE("a listing has all annotations of the manifest", "[registry][referrers]") {
  auto listed = document(R"({"annotations":{"a":"1","b":"2"}})");
  listed.descriptor.annotations = {{"of the descriptor", "not of the manifest"}};
  CHECK(registry::referrer_of(listed).annotations == oci::Annotations{{"a", "1"}, {"b", "2"}});
}

TEST_CASE("the subject of a manifest is found", "[registry][referrers]") {
  const std::string digest = oci::Digest::of("subject").to_string();
  CHECK_FALSE(registry::subject_of(document("{}")));
  CHECK_FALSE(registry::subject_of(document(R"({"subject":null})")));
  const auto subject = registry::subject_of(document(R"({"subject":)" + entry(digest) + "}"));
  REQUIRE(subject);
  CHECK(subject->digest == oci::Digest::of("subject"));
  CHECK(registry::referrers_tag(subject->digest) == "sha256-" + subject->digest.hex());
  CHECK_THROWS_AS(registry::subject_of(document(R"({"subject":{}})")), FormatError);
  CHECK_THROWS_AS(registry::subject_of(document(R"({"subject":7})")), FormatError);
}
