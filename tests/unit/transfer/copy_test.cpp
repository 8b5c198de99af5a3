// Copies between layouts, archives and memory; registries are in registry_copy_test.cpp.
#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::transfer;
using namespace aipack::transfer::test;

namespace {

image::Location at(std::string_view kind, const std::filesystem::path& path,
                   std::string_view tag = "v1") {
  return image::Location::parse(
      fmt::format("{}:{}{}{}", kind, path.string(), tag.empty() ? "" : ":", tag));
}

/// Nothing but whole blobs, index.json and oci-layout.
void check_layout(const std::filesystem::path& directory) {
  for (const auto& name : files_below(directory)) {
    INFO(name);
    if (name != "index.json" && name != "oci-layout") {
      CHECK(name == "blobs/sha256/" + oci::Digest::of(read_bytes(directory / name)).hex());
    }
  }
}

} // namespace

TEST_CASE("what is copied through every kind of place arrives with all that is attached",
          "[transfer][copy]") {
  io::TempDirectory directory;
  const auto sample = signed_sample();
  registry::Registry registry;
  const auto memory = sample.place.open(sample.root);
  const std::vector<image::Location> stations{at("oci", directory.path() / "a"),
                                              at("oci-archive", directory.path() / "b.tar"),
                                              at("oci", directory.path() / "c", ""),
                                              at("oci-archive", directory.path() / "d.tar", ""),
                                              at("oci-archive", directory.path() / "e.tar"),
                                              at("oci", directory.path() / "f", "other")};
  auto report = copy(*memory, stations.front(), registry, {}, {});
  CHECK(report.notes.empty());
  CHECK_FALSE(report.unchanged);
  CHECK(report.referrers == 5);
  CHECK(report.manifests == 3);
  for (std::size_t i = 0; i < stations.size(); ++i) {
    INFO(stations[i].to_string());
    const auto origin = open_origin(stations[i], registry, {});
    const auto root = origin->resolve({});
    CHECK(root.digest == sample.root.digest);
    CHECK(reachable(*origin, root) == reachable(*memory, sample.root));
    CHECK(all_attachments(*origin, sample) == expected_attachments(sample));
    if (i + 1 < stations.size()) {
      report = copy(stations[i], stations[i + 1], registry, {}, {});
      CHECK(report.root.digest == sample.root.digest);
      CHECK(report.requests == 0);
    }
  }
  for (const auto* name : {"a", "c", "f"}) {
    check_layout(directory.path() / name);
  }
  CHECK(files_below(directory.path() / "a") == files_below(directory.path() / "f"));
}

TEST_CASE("without referrers nothing that is attached is copied", "[transfer][copy]") {
  io::TempDirectory directory;
  const auto sample = signed_sample();
  registry::Registry registry;
  const auto memory = sample.place.open(sample.root);
  const auto to = at("oci", directory.path() / "out");
  const auto report = copy(*memory, to, registry, {.referrers = false}, {});
  CHECK(report.referrers == 0);
  const auto origin = open_origin(to, registry, {});
  CHECK(all_attachments(*origin, sample).empty());
  // They can follow later, although the image itself is unchanged.
  const auto later = copy(*memory, to, registry, {}, {});
  CHECK(later.unchanged);
  CHECK(later.referrers == 5);
  CHECK(later.manifests == 0);
  CHECK(all_attachments(*open_origin(to, registry, {}), sample) == expected_attachments(sample));
  const auto again = copy(*memory, to, registry, {}, {});
  CHECK(again.unchanged);
  CHECK(again.referrers == 0);
  CHECK(again.sent_bytes == 0);
}

TEST_CASE("a layout that has blobs or images of the copy is not sent them again",
          "[transfer][copy]") {
  io::TempDirectory directory;
  const auto sample = signed_sample();
  registry::Registry registry;
  const auto memory = sample.place.open(sample.root);
  const auto out = directory.path() / "out";
  copy(*memory, at("oci", out), registry, {}, {});
  const auto retag = copy(*memory, at("oci", out, "v2"), registry, {}, {});
  CHECK_FALSE(retag.unchanged);
  CHECK(retag.sent.count == 0);
  CHECK(retag.present.count == 6); // four layers and two configs
  CHECK(retag.referrers == 0);

  // A copy that lost a blob is not whole, whatever its tag says.
  const auto lost = blob::Layout::open(out).blobs().path_of(sample.manifests[0]);
  std::filesystem::remove(lost);
  const auto repaired = copy(*memory, at("oci", out), registry, {}, {});
  CHECK_FALSE(repaired.unchanged);
  CHECK(std::filesystem::exists(lost));
}

TEST_CASE("a part of an index is another index, and what was attached to the whole is said to stay",
          "[transfer][copy][select]") {
  io::TempDirectory directory;
  const auto sample = signed_sample();
  registry::Registry registry;
  const auto memory = sample.place.open(sample.root);
  const auto to = at("oci", directory.path() / "out");
  const CopyOptions options{.platforms = oci::Platform::parse_list("arm64")};
  const auto report = copy(*memory, to, registry, options, {});
  CHECK(report.root.digest != sample.root.digest);
  CHECK(report.referrers == 1);
  REQUIRE(report.notes.size() == 1);
  CHECK_THAT(report.notes.front(), ContainsSubstring("3 artifacts"));
  const auto origin = open_origin(to, registry, {});
  const auto source = open_image(*origin, {});
  REQUIRE(source.images().size() == 1);
  CHECK(source.images().front().manifest.descriptor().digest == sample.manifests[1]);
  CHECK(attachments_of(*origin, sample.manifests[1]) ==
        std::set{sample.referrers[2].digest.to_string()});
  const auto again = copy(*memory, to, registry, options, {});
  CHECK(again.unchanged);
  CHECK(again.sent.count == 0);
}

TEST_CASE("a docker archive takes the image of one platform", "[transfer][copy][docker]") {
  io::TempDirectory directory;
  const auto sample = signed_sample();
  registry::Registry registry;
  const auto memory = sample.place.open(sample.root);
  const auto file = directory.path() / "d.tar";
  const auto to = image::Location::parse("docker-archive:" + file.string() + ":r.example/x:v1");
  const auto report =
      copy(*memory, to, registry, {.platforms = oci::Platform::parse_list("arm64")}, {});
  CHECK(report.root.digest == sample.manifests[1]);
  const auto origin = open_origin(to, registry, {});
  const auto source = open_image(*origin, {});
  REQUIRE(source.images().size() == 1);
  CHECK(source.images().front().platform == oci::Platform::parse("arm64"));
  CHECK(image::find_file(source.images().front(), path("models/digits.onnx"), {}) == noise(700, 4));

  CHECK_THROWS_WITH(
      copy(*memory, to, registry, {.platforms = oci::Platform::parse_list("arm64,amd64")}, {}),
      ContainsSubstring("holds one"));

  // What comes out of it can go on, as a manifest that was made for it.
  const auto out = at("oci", directory.path() / "out");
  copy(to, out, registry, {}, {});
  CHECK(open_image(*open_origin(out, registry, {}), {}).images().size() == 1);
}

TEST_CASE("layers that may not be distributed stay behind, and that is said",
          "[transfer][copy][foreign]") {
  io::TempDirectory directory;
  MemoryPlace place;
  const auto foreign = std::string("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
  oci::Manifest manifest{
      .media_type = std::string(oci::media_type::docker_manifest),
      .config = place.put(
          oci::media_type::docker_config,
          fmt::format(
              R"({{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{}"]}}}})",
              oci::Digest::of("x").to_string())),
      .layers = {{foreign, oci::Digest::of("somewhere else"), 5}}};
  const auto root = put_document(place, manifest);
  const auto origin = place.open(root);
  registry::Registry registry;
  const auto to = at("oci", directory.path() / "out");
  const auto report = copy(*origin, to, registry, {}, {});
  REQUIRE(report.notes.size() == 1);
  CHECK_THAT(report.notes.front(), ContainsSubstring("may not be distributed"));
  CHECK(open_origin(to, registry, {})->resolve({}).digest == root.digest);
  CHECK(copy(*origin, to, registry, {}, {}).unchanged);

  CHECK_THROWS_AS(write_docker_archive(*origin, directory.path() / "d.tar", {}, std::nullopt, {}),
                  Error);
  CHECK_FALSE(std::filesystem::exists(directory.path() / "d.tar"));
}

TEST_CASE("referrers that are missing, strange or about something else are left out and named",
          "[transfer][copy][hostile]") {
  io::TempDirectory directory;
  auto sample = signed_sample();
  auto& place = sample.place;
  const auto tag = "sha256-" + sample.root.digest.hex() + ".sbom";
  place.list({std::string(oci::media_type::manifest), oci::Digest::of("gone"), 10}, tag);
  registry::Registry registry;
  const auto memory = place.open(sample.root);
  const auto report = copy(*memory, at("oci", directory.path() / "out"), registry, {}, {});
  CHECK(report.referrers == 5);
  REQUIRE(report.notes.size() == 1);
  CHECK_THAT(report.notes.front(), ContainsSubstring("it is missing"));
}

TEST_CASE("attachments of attachments end somewhere", "[transfer][copy][hostile]") {
  io::TempDirectory directory;
  auto sample = signed_sample();
  auto& place = sample.place;
  auto subject = sample.referrers.front();
  for (int i = 0; i < 20; ++i) {
    subject = put_document(place, artifact(place, subject, "level " + std::to_string(i)));
    place.list(subject);
  }
  registry::Registry registry;
  const auto memory = place.open(sample.root);
  const auto report = copy(*memory, at("oci", directory.path() / "out"), registry, {}, {});
  CHECK(report.referrers == 5 + max_attachment_depth - 1);
  REQUIRE(report.notes.size() == 1);
  CHECK_THAT(report.notes.front(), ContainsSubstring("left out"));
}

TEST_CASE("a signature of another one under cosign's tag is replaced, and that is said",
          "[transfer][copy]") {
  io::TempDirectory directory;
  auto sample = signed_sample();
  registry::Registry registry;
  const auto to = at("oci", directory.path() / "out");
  copy(*sample.place.open(sample.root), to, registry, {}, {});
  auto other = sample.place;
  MemoryPlace changed = other;
  const auto tag = sample.tagged.begin()->first;
  oci::Manifest manifest{.config = changed.put(oci::media_type::config, "{\"n\":\"2\"}"),
                         .layers = {changed.put("application/octet-stream", "newer")}};
  MemoryPlace fresh;
  for (const auto& [digest, bytes] : changed.blobs()) {
    fresh.put("", bytes);
  }
  fresh.list(put_document(fresh, manifest), tag);
  const auto report = copy(*fresh.open(sample.root), to, registry, {}, {});
  CHECK(report.unchanged);
  CHECK(report.referrers == 1);
  REQUIRE(report.notes.size() == 1);
  CHECK_THAT(report.notes.front(), ContainsSubstring(sample.tagged.at(tag).digest.to_string()));
}

TEST_CASE("blobs with two sizes are refused before anything is written",
          "[transfer][copy][hostile]") {
  io::TempDirectory directory;
  MemoryPlace place;
  const auto layer = place.put(oci::media_type::layer_tar, "layer");
  auto longer = layer;
  ++longer.size_bytes;
  const auto root =
      put_document(place, oci::Manifest{.config = place.put(oci::media_type::config, "{}"),
                                        .layers = {layer, longer}});
  registry::Registry registry;
  CHECK_THROWS_WITH(copy(*place.open(root), at("oci", directory.path() / "out"), registry, {}, {}),
                    ContainsSubstring("two sizes"));
  CHECK_FALSE(std::filesystem::exists(directory.path() / "out"));
}

TEST_CASE("a sparse copy cannot be copied whole, but in part", "[transfer][copy]") {
  io::TempDirectory directory;
  auto sample = signed_sample();
  sample.place.remove(sample.manifests[0]);
  registry::Registry registry;
  const auto memory = sample.place.open(sample.root);
  const auto to = at("oci", directory.path() / "out");
  try {
    copy(*memory, to, registry, {}, {});
    FAIL("copied");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
    CHECK_THAT(error.what(), ContainsSubstring(sample.manifests[0].to_string()));
  }
  CHECK_FALSE(std::filesystem::exists(directory.path() / "out"));
  CHECK_NOTHROW(copy(*memory, to, registry, {.platforms = oci::Platform::parse_list("arm64")}, {}));
}

TEST_CASE("a directory that is no layout is refused before anything is read", "[transfer][copy]") {
  io::TempDirectory directory;
  write_bytes(directory.path() / "out" / "precious.txt", "mine");
  const auto sample = signed_sample();
  registry::Registry registry;
  CHECK_THROWS_AS(
      copy(*sample.place.open(sample.root), at("oci", directory.path() / "out"), registry, {}, {}),
      Error);
  CHECK(files_below(directory.path() / "out") == std::set<std::string>{"precious.txt"});
}

TEST_CASE("a copy that fails anywhere leaves the tag, whole blobs and no temporary file",
          "[transfer][copy][fault]") {
  io::TempDirectory directory;
  const auto sample = signed_sample();
  const bool is_archive = GENERATE(false, true);
  const auto path = directory.path() / (is_archive ? "out.tar" : "out");
  const auto to = at(is_archive ? "oci-archive" : "oci", path);
  registry::Registry registry;

  /// Opens blobs that fail at the fault's turn.
  class FaultyOrigin final : public Origin {
  public:
    FaultyOrigin(std::unique_ptr<Origin> inner, std::shared_ptr<Fault> fault)
        : Origin("faulty", Distance::local), inner_(std::move(inner)), fault_(std::move(fault)) {}
    oci::Descriptor resolve(const Operation& op) override {
      fault_->pass();
      return inner_->resolve(op);
    }
    registry::Document manifest(const oci::Descriptor& descriptor, const Operation& op) override {
      fault_->pass();
      return inner_->manifest(descriptor, op);
    }
    blob::BlobPtr blob(const oci::Descriptor& descriptor, const Operation& op) override {
      fault_->pass();
      return std::make_shared<FaultyBlob>(inner_->blob(descriptor, op), fault_);
    }
    AttachmentList list_attachments(const oci::Digest& subject, const Operation& op) override {
      fault_->pass();
      return inner_->list_attachments(subject, op);
    }

  private:
    std::unique_ptr<Origin> inner_;
    std::shared_ptr<Fault> fault_;
  };

  MemoryStore store;
  const auto old_index = sample_index(store, plain, {"riscv64"}, 100);
  MemoryPlace old_place;
  const auto old_root = put_index(old_place, old_index);
  const auto pristine = directory.path().string() + "-old"; // beside what is looked through
  copy(*old_place.open(old_root), at(is_archive ? "oci-archive" : "oci", pristine), registry, {},
       {});
  int failures = 0;
  // Denser at the start, where documents are read; each round costs the disk's syncs.
  for (int n = 0;; n += 1 + n / 12) {
    REQUIRE(n < 5000);
    std::filesystem::remove_all(path);
    std::filesystem::copy(pristine, path, std::filesystem::copy_options::recursive);
    const auto before = read_bytes(is_archive ? path : path / "index.json");
    const auto fault = std::make_shared<Fault>(n);
    FaultyOrigin origin(sample.place.open(sample.root), fault);
    try {
      copy(origin, to, registry, {.concurrency = 1 + static_cast<unsigned>(n) % 3}, {});
      CHECK_FALSE(fault->struck());
      CHECK(open_origin(to, registry, {})->resolve({}).digest == sample.root.digest);
      break;
    } catch (const Error& error) {
      ++failures;
      REQUIRE(error.code() == ErrorCode::io);
      REQUIRE(open_origin(to, registry, {})->resolve({}).digest == old_root.digest);
      if (is_archive) {
        REQUIRE(read_bytes(path) == before);
        REQUIRE(files_below(directory.path()).size() == 1);
      } else {
        check_layout(path);
      }
    }
  }
  CHECK(failures > 20);
  std::filesystem::remove_all(pristine);
}

TEST_CASE("an entry of a layout that cannot be read hides no attachment, and no copy hides it",
          "[transfer][copy]") {
  auto sample = signed_sample();
  sample.place.list(sample.place.put(oci::media_type::manifest, "no JSON"));
  const auto origin = sample.place.open(sample.root);
  const auto list = origin->list_attachments(sample.root.digest, {});
  CHECK(list.found.size() == 3); // a referrer, .sig and .att
  REQUIRE(list.failures.size() == 1);
  CHECK(list.failures.front().code() == ErrorCode::corrupt);
  CHECK_THROWS_AS(origin->attachments(sample.root.digest, {}), Error);
  io::TempDirectory directory;
  registry::Registry registry;
  CHECK_THROWS_AS(copy(*origin, at("oci", directory.path() / "a"), registry, {}, {}), Error);
  CHECK_NOTHROW(
      copy(*origin, at("oci", directory.path() / "b"), registry, {.referrers = false}, {}));

  // A disk that fails says nothing about what is there.
  StoredOrigin failing("failing", {sample.root, {sample.root}, [](const auto&) -> blob::BlobPtr {
                                     throw Error(ErrorCode::io,
                                                 "cannot read a test: the disk fails");
                                   }});
  try {
    static_cast<void>(failing.list_attachments(sample.root.digest, {}));
    FAIL("a list was given without having seen it all");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
  }
}

TEST_CASE("a cancelled copy leaves nothing of a new archive", "[transfer][copy]") {
  io::TempDirectory directory;
  const auto sample = signed_sample();
  registry::Registry registry;
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(copy(*sample.place.open(sample.root),
                       at("oci-archive", directory.path() / "a.tar"), registry, {},
                       {.stop = stop.get_token()}),
                  Error);
  CHECK(files_below(directory.path()).empty());
}

TEST_CASE("a composed index is an origin with what was signed for it", "[transfer][copy]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, {"amd64", "arm64"}, 100);
  MemoryPlace place;
  const auto manifest = oci::seal(artifact(place, index.document.descriptor(), "signed in memory"));
  MemoryArtifact signature{.document = {manifest.descriptor(), manifest.bytes()}};
  for (const auto& [digest, bytes] : place.blobs()) {
    signature.blobs.push_back(blob::memory_blob({"", digest, bytes.size()}, bytes));
  }
  const auto origin = open_origin(index, {signature});
  registry::Registry registry;
  const auto to = at("oci", directory.path() / "out");
  const auto report = copy(*origin, to, registry, {}, {});
  CHECK(report.root.digest == index.digest());
  CHECK(report.referrers == 1);
  CHECK(attachments_of(*open_origin(to, registry, {}), index.digest()) ==
        std::set{manifest.descriptor().digest.to_string()});
}
