// Documents as the conformance suite has them (distribution-spec, conformance/testdata): what other
// tools write is copied as it is, or refused before anything is written.
#include "registries.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::transfer;
using namespace aipack::transfer::test;

namespace {

/// Documents as other tools write them, by hand: oci::seal has no word for much of what is in them.
struct ForeignImage {
  MemoryPlace place;
  oci::Descriptor root = put_manifest("");

  /// A descriptor with members that oci::Descriptor does not have.
  static std::string text(const oci::Descriptor& descriptor, std::string_view more = "") {
    return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}{}}})", descriptor.media_type,
                       descriptor.digest.to_string(), descriptor.size_bytes, more);
  }
  std::string layer(const std::string& bytes, std::string_view more = "",
                    std::string_view type = oci::media_type::layer_tar) {
    return text(place.put(type, bytes), more);
  }
  /// `layers` are descriptors with commas between them; `more` are members of the manifest.
  oci::Descriptor put_manifest(std::string_view layers, std::string_view more = "",
                               std::string_view config_type = oci::media_type::empty,
                               std::string_view in_config = "") {
    const auto config = text(place.put(config_type, "{}"), in_config);
    return place.put(oci::media_type::manifest,
                     fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{},)"
                                 R"("layers":[{}]{}}})",
                                 oci::media_type::manifest, config, layers, more));
  }
  oci::Descriptor put_index(std::string_view manifests, std::string_view more = "") {
    return place.put(oci::media_type::index,
                     fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","manifests":[{}]{}}})",
                                 oci::media_type::index, manifests, more));
  }
};

const std::string absent_subject =
    ForeignImage::text({std::string(oci::media_type::manifest), oci::Digest::of("absent"), 123});
const std::string sha512_digest = "sha512:" + std::string(128, 'a');

} // namespace

TEST_CASE("documents of every kind that the specification knows are copied byte for byte",
          "[transfer][registry][conformance]") {
  const auto dialect = GENERATE(as<std::string>{}, "full", "distribution_2_8");
  INFO(dialect);
  ForeignImage image;
  const std::string_view artifact = R"(,"artifactType":"application/vnd.example.v1")";
  SECTION("almost four megabytes of annotations") {
    std::string list;
    for (int i = 0; i < 390; ++i) {
      list += fmt::format(R"({}"large-{}":"{}")", i == 0 ? "" : ",", i, std::string(10'000, 'A'));
    }
    image.root =
        image.put_manifest(image.layer("layer"), fmt::format(R"(,"annotations":{{{}}})", list));
  }
  SECTION("data in descriptors") {
    image.root = image.put_manifest(image.layer("hello", R"(,"data":"aGVsbG8=")"), "",
                                    oci::media_type::empty, R"(,"data":"e30=")");
  }
  SECTION("data that is not the content: the digest decides") {
    image.root = image.put_manifest(image.layer("world", R"(,"data":"aGVsbG8=")"));
  }
  SECTION("members that nobody knows, in odd order and spacing") {
    const auto manifest = image.put_manifest(
        image.layer("layer", R"(, "org.example.a" : [1, 2.50, {"b":null}],"urls":["https://x/"])"),
        R"( , "zzz":"\u00e9", "aaa": {"b":true}  )");
    image.root = image.put_index(image.text(manifest, R"(,"x":1e2)"), R"(,"more":[[]])");
  }
  SECTION("no layers") {
    image.root = image.put_manifest("");
  }
  SECTION("a layer of no bytes") {
    image.root = image.put_manifest(image.layer(""));
  }
  SECTION("one layer several times") {
    image.root =
        image.put_manifest(image.layer("a") + "," + image.layer("b") + "," + image.layer("a"));
  }
  SECTION("an artifact") {
    image.root =
        image.put_manifest(image.layer("payload", "", "application/vnd.example.v1"), artifact);
  }
  SECTION("an artifact whose one layer is the empty descriptor") {
    image.root = image.put_manifest(image.layer("{}", "", oci::media_type::empty), artifact);
  }
  SECTION("an artifact of a config type that nobody knows") {
    image.root =
        image.put_manifest(image.layer("payload"), "", "application/vnd.example.config.v1+json");
  }
  SECTION("an index of no manifests") {
    image.root = image.put_index("");
  }
  SECTION("an index of indexes, without platforms") {
    const auto first = image.put_index(image.text(image.put_manifest(image.layer("first"))));
    const auto second = image.put_index(image.text(image.put_manifest(image.layer("second"))));
    image.root = image.put_index(image.text(first) + "," + image.text(second));
  }
  SECTION("an index of artifacts") {
    const auto part = image.put_manifest(image.layer("payload"), artifact);
    image.root = image.put_index(image.text(part), artifact);
  }
  SECTION("a manifest about one that does not exist") {
    image.root = image.put_manifest(image.layer("payload"),
                                    fmt::format(R"({},"subject":{})", artifact, absent_subject));
  }
  SECTION("an index about a manifest that does not exist") {
    const auto part = image.put_manifest(image.layer("payload"));
    image.root = image.put_index(image.text(part), fmt::format(R"(,"subject":{})", absent_subject));
  }
  RegistryServer first({.dialect = *RegistryDialect::find(dialect)});
  RegistryServer second;
  io::TempDirectory directory;
  registry::Registry registry(patient());
  const auto memory = image.place.open(image.root);
  const std::vector<image::Location> stations{
      in(first, "team/model:1"), file("oci", directory.path() / "a"), in(second, "team/model:1"),
      file("oci-archive", directory.path() / "b.tar"), in(first, "team/back:1")};
  CHECK(copy(*memory, stations.front(), registry, {}, {}).notes.empty());
  for (std::size_t i = 0; i + 1 < stations.size(); ++i) {
    INFO(stations[i + 1].to_string());
    CHECK(copy(stations[i], stations[i + 1], registry, {}, {}).notes.empty());
  }
  const auto& expected = image.place.blobs().at(image.root.digest);
  CHECK((first.manifest("team/model", "1")->bytes == expected));
  CHECK((second.manifest("team/model", "1")->bytes == expected));
  CHECK((first.manifest("team/back", "1")->bytes == expected));
  const auto whole = reachable(*memory, image.root);
  for (const auto& station : stations) {
    INFO(station.to_string());
    const auto origin = open_origin(station, registry, {});
    CHECK(reachable(*origin, origin->resolve({})) == whole);
  }
}

TEST_CASE("an artifact in a layout goes to a registry whether its subject is there or not",
          "[transfer][registry][conformance]") {
  ForeignImage image;
  image.root = image.put_manifest(image.layer("payload"),
                                  fmt::format(R"(,"artifactType":"application/vnd.example.v1",)"
                                              R"("subject":{})",
                                              absent_subject));
  RegistryServer server(
      {.dialect = GENERATE(RegistryDialect::full(), RegistryDialect::no_referrers())});
  registry::Registry registry(patient());
  copy(*image.place.open(image.root), in(server, "team/model:1"), registry, {}, {});
  const auto repository =
      registry.open(oci::Reference::parse(server.host() + "/team/model"), registry::Access::pull);
  const auto found = repository.referrers(oci::Digest::of("absent"), "", {});
  REQUIRE(found.size() == 1);
  CHECK(found.front().digest == image.root.digest);
  CHECK(found.front().artifact_type == "application/vnd.example.v1");
}

TEST_CASE("layers that may not be distributed are neither asked for nor sent, and that is said",
          "[transfer][registry][conformance]") {
  ForeignImage image;
  const std::string base{"application/vnd.oci.image.layer.nondistributable.v1.tar"};
  const oci::Descriptor packed{base + "+gzip", oci::Digest::of("elsewhere"), 123456};
  const oci::Descriptor plain{base, oci::Digest::of("elsewhere too"), 12345};
  const auto urls = [](const oci::Descriptor& layer) {
    return fmt::format(R"(,"urls":["https://store.example.com/{}"])", layer.digest.hex());
  };
  image.root = image.put_manifest(image.text(packed, urls(packed)) + "," +
                                  image.text(plain, urls(plain)) + "," + image.layer("here"));
  RegistryServer first;
  RegistryServer second;
  registry::Registry registry(patient());
  const auto from = in(first, "team/model:1");
  CHECK(copy(*image.place.open(image.root), from, registry, {}, {}).notes.size() == 2);
  const auto report = copy(from, in(second, "team/model:1"), registry, {}, {});
  REQUIRE(report.notes.size() == 2);
  CHECK_THAT(report.notes.front(), ContainsSubstring("may not be distributed"));
  CHECK(report.sent.count == 2); // the config and the layer that is here
  CHECK(second.manifest("team/model", "1")->digest == image.root.digest.to_string());
  for (const auto& layer : {packed, plain}) {
    CHECK(first.count("", layer.digest.to_string()) == 0);
    CHECK(second.count("", layer.digest.to_string()) == 0);
  }
}

TEST_CASE("what is by sha512 is refused before anything is written",
          "[transfer][registry][conformance]") {
  ForeignImage image;
  const auto by_sha512 = [](std::string_view media_type) {
    return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":5}})", media_type, sha512_digest);
  };
  SECTION("a layer") {
    image.root =
        image.put_manifest(image.layer("good") + "," + by_sha512(oci::media_type::layer_tar));
  }
  SECTION("an image of an index") {
    const auto good = image.put_manifest(image.layer("good"));
    image.root = image.put_index(image.text(good) + "," + by_sha512(oci::media_type::manifest));
  }
  SECTION("a layer of an image of an index") {
    const auto good = image.put_manifest(image.layer("good"));
    const auto bad = image.put_manifest(by_sha512(oci::media_type::layer_tar));
    image.root = image.put_index(image.text(good) + "," + image.text(bad));
  }
  SECTION("what a manifest is about") {
    image.root = image.put_manifest(
        image.layer("good"), fmt::format(R"(,"subject":{})", by_sha512(oci::media_type::manifest)));
  }
  RegistryServer server;
  for (const auto& [digest, bytes] : image.place.blobs()) {
    server.put_blob("team/model", bytes);
    if (bytes.starts_with(R"({"schemaVersion")")) {
      const bool is_index = bytes.find(R"("manifests":)") != std::string::npos;
      server.put_manifest(
          "team/model", bytes,
          std::string(is_index ? oci::media_type::index : oci::media_type::manifest));
    }
  }
  server.tag("team/model", "1", image.root.digest.to_string());
  RegistryServer other;
  io::TempDirectory directory;
  registry::Registry registry(patient());
  for (const auto& to :
       {file("oci", directory.path() / "a"), file("oci-archive", directory.path() / "b.tar"),
        image::Location::parse("docker-archive:" + (directory.path() / "c.tar").string()),
        in(other, "team/model:1")}) {
    INFO(to.to_string());
    try {
      copy(in(server, "team/model:1"), to, registry, {}, {});
      FAIL("copied");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::unsupported);
      CHECK_THAT(error.message(), ContainsSubstring("sha512"));
    }
  }
  CHECK(files_below(directory.path()).empty());
  CHECK(other.count("PUT") == 0);
  CHECK(other.count("POST") == 0);
  CHECK_THROWS_AS(in(server, "team/model@" + sha512_digest), Error);
}

TEST_CASE("an image that is not whole in its registry is named, and no tag of it appears",
          "[transfer][registry][conformance]") {
  RegistryServer server;
  const auto sample = signed_sample();
  registry::Registry registry(patient());
  const auto from = in(server, "team/model:1");
  copy(*sample.place.open(sample.root), from, registry, {}, {});
  std::string gone;
  SECTION("a layer is gone") {
    const auto manifest =
        oci::parse_manifest(sample.place.blobs().at(sample.manifests[0]), "manifest");
    gone = manifest->layers.front().digest.to_string();
    server.remove_blob("team/model", gone);
  }
  SECTION("an image of the index is gone") {
    gone = sample.manifests[0].to_string();
    const auto& index = sample.place.blobs().at(sample.root.digest);
    RegistryDialect sparse;
    sparse.verifies_children = false;
    server.set_dialect(sparse);
    server.put_manifest("sparse/model", sample.place.blobs().at(sample.manifests[1]),
                        std::string(oci::media_type::manifest));
    server.put_manifest("sparse/model", index, std::string(oci::media_type::index), "1");
  }
  const auto origin = server.tags("sparse/model").empty() ? from : in(server, "sparse/model:1");
  RegistryServer other;
  io::TempDirectory directory;
  for (const auto& to :
       {file("oci", directory.path() / "a"), file("oci-archive", directory.path() / "b.tar"),
        in(other, "team/model:1")}) {
    INFO(to.to_string());
    try {
      copy(origin, to, registry, {}, {});
      FAIL("copied");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::not_found);
      CHECK_THAT(error.message(), ContainsSubstring(gone.substr(0, 19)));
    }
  }
  CHECK_FALSE(std::filesystem::exists(directory.path() / "b.tar"));
  CHECK(other.tags("team/model").empty());
  for (const auto& name : files_below(directory.path())) {
    INFO(name); // whole blobs may be there, and nothing that names them
    const auto bytes = read_bytes(directory.path() / name);
    if (name == "a/index.json") {
      CHECK_THAT(bytes, ContainsSubstring(R"("manifests":[])"));
    } else if (name != "a/oci-layout") {
      CHECK(name == "a/blobs/sha256/" + oci::Digest::of(bytes).hex());
    }
  }
}
