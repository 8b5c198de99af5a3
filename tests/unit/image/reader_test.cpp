#include "aipack/blob/layout.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/image/reader.hpp"

#include "docker_archive.hpp"
#include "raw_tar.hpp"
#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::image;
using namespace aipack::image::test;

namespace {

std::string packed(const std::string& bytes, codec::Compression compression) {
  if (compression.codec == codec::Codec::none) {
    return bytes;
  }
  io::MemorySink sink;
  const auto compressor = codec::make_compressor(compression, sink);
  compressor->write(io::as_bytes(bytes));
  compressor->finish();
  return std::string(io::as_text(sink.bytes()));
}

/// A layer of another tool: any tar, compressed.
Layer foreign_layer(const std::string& tar, codec::Compression compression) {
  auto bytes = packed(tar, compression);
  const auto media_type = compression.codec == codec::Codec::none ? oci::media_type::layer_tar
                          : compression.codec == codec::Codec::gzip
                              ? oci::media_type::layer_tar_gzip
                              : oci::media_type::layer_tar_zstd;
  const oci::Descriptor descriptor{std::string(media_type), oci::Digest::of(bytes), bytes.size()};
  return Layer{Purpose::base,        "",         blob::memory_blob(descriptor, std::move(bytes)),
               oci::Digest::of(tar), tar.size(), 0};
}

/// A layout on disk that holds one image of these layers.
class StoredIn {
public:
  explicit StoredIn(std::vector<Layer> layers) {
    auto layout = blob::Layout::create(directory_.path() / "out");
    std::vector<Image> images;
    images.push_back(make_image(std::move(layers), sample_settings("amd64")));
    write_layout(make_index(std::move(images), {}), layout, "v1", 1, {});
    source_.emplace(ImageSource::open(
        Location::parse("oci:" + (directory_.path() / "out").string() + ":v1"), {}));
  }
  [[nodiscard]] const StoredImage& image() const { return source_->image(); }

private:
  io::TempDirectory directory_;
  std::optional<ImageSource> source_;
};

std::set<std::string> listed(const StoredImage& image) {
  std::set<std::string> names;
  for (const auto& [at, found] : list_files(image, {})) {
    names.insert(at.text());
  }
  return names;
}

using Names = std::set<std::string>;

} // namespace

TEST_CASE("what is written is read back, in all three forms", "[image][reader]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto compression = GENERATE(plain, gzip, zstd);
  const auto index = sample_index(store, compression, {"amd64", "arm64"});
  const auto base = directory.path();
  auto layout = blob::Layout::create(base / "out");
  write_layout(index, layout, "v1", 1, {});
  write_oci_archive(index, base / "a.tar", "v1", {});
  write_docker_archive(index.images.front(), base / "d.tar", {"digits:v1"}, {});

  for (const auto& text :
       {"oci:" + (base / "out").string(), "oci:" + (base / "out").string() + ":v1",
        "oci-archive:" + (base / "a.tar").string(),
        "oci-archive:" + (base / "a.tar").string() + ":v1",
        "docker-archive:" + (base / "d.tar").string(),
        "docker-archive:" + (base / "d.tar").string() + ":digits:v1"}) {
    INFO(text);
    const auto source = ImageSource::open(Location::parse(text), {});
    const bool docker = text.starts_with("docker");
    CHECK(source.index().has_value() == !docker);
    CHECK(source.images().size() == (docker ? 1 : 2));
    if (!docker) {
      CHECK(source.descriptor().digest == index.digest());
    }
    const auto& image = source.image(oci::Platform::parse("amd64"));
    CHECK(image.config.bytes() == index.images.front().config.bytes());
    REQUIRE(image.layers.size() == 4);
    CHECK(image.layers[1].purpose == Purpose::runtime);
    CHECK(image.layers[1].title == "runtime: libonnx1");
    CHECK(image.layers[3].purpose == Purpose::model);

    std::set<std::string> expected;
    const auto sample = sample_tree();
    for (const auto& [at, entry] : sample.entries()) {
      expected.insert(at.text());
    }
    CHECK(listed(image) == expected);
    CHECK(find_file(image, path("etc/passwd"), {}) == "root:x:0:0::/:/sbin/nologin\n");
    CHECK(find_file(image, path("usr/lib/libonnx.so"), {}) == noise(300000, 3));
    CHECK(find_file(image, path("models/digits.onnx"), {}) == noise(70000, 4));
    CHECK_FALSE(find_file(image, path("etc/shadow"), {}));
    CHECK_FALSE(find_file(image, path("etc"), {}));
  }
}

TEST_CASE("an image is chosen by platform", "[image][reader]") {
  io::TempDirectory directory;
  MemoryStore store;
  auto layout = blob::Layout::create(directory.path() / "out");
  write_layout(sample_index(store, gzip, {"amd64", "arm64"}), layout, "v1", 1, {});
  const auto source =
      ImageSource::open(Location::parse("oci:" + (directory.path() / "out").string()), {});
  CHECK(source.image(oci::Platform::parse("linux/arm64/v8")).platform.architecture == "arm64");
  CHECK_THROWS_WITH(source.image(oci::Platform::parse("riscv64")),
                    ContainsSubstring("linux/amd64, linux/arm64"));
}

TEST_CASE("a wrong tag is answered with the tags that exist", "[image][reader]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, {"amd64"});
  write_oci_archive(index, directory.path() / "a.tar", "v1", {});
  write_docker_archive(index.images.front(), directory.path() / "d.tar", {"digits:v1"}, {});
  const auto a = (directory.path() / "a.tar").string();
  const auto d = (directory.path() / "d.tar").string();
  CHECK_THROWS_WITH(ImageSource::open(Location::parse("oci-archive:" + a + ":v2"), {}),
                    ContainsSubstring("'v1'"));
  CHECK_THROWS_WITH(ImageSource::open(Location::parse("docker-archive:" + d + ":digits:v2"), {}),
                    ContainsSubstring("'digits:v1'"));
}

TEST_CASE("a registry is refused as a file when it is opened, not when it is named",
          "[image][reader]") {
  const auto location = Location::parse("r.example/team/digits:v1");
  try {
    static_cast<void>(ImageSource::open(location, {}));
    FAIL("opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
    CHECK_THAT(error.what(), ContainsSubstring("it is in a registry"));
  }
}

TEST_CASE("whiteouts hide what is below their layer", "[image][reader][whiteout]") {
  const auto compression = GENERATE(plain, gzip, zstd);
  RawTar below;
  below.directory("a")
      .file("a/one", "1")
      .file("a/two", "2")
      .directory("b")
      .file("b/one", "1")
      .directory("c")
      .file("c/x", "x")
      .file("d", "d");
  RawTar above;
  // In front of, behind, and beside what the layer itself has: none of that matters.
  above.directory("a")
      .file("a/.wh.one", "")
      .directory("b")
      .file("b/new", "n")
      .file("b/.wh..wh..opq", "")
      .file(".wh.c", "")
      .file("e", "e");
  const StoredIn stored(
      {foreign_layer(below.bytes(), compression), foreign_layer(above.bytes(), compression)});
  CHECK(listed(stored.image()) == Names{"a", "a/two", "b", "b/new", "d", "e"});
  CHECK_FALSE(find_file(stored.image(), path("a/one"), {}));
  CHECK(find_file(stored.image(), path("a/two"), {}) == "2");
  CHECK(find_file(stored.image(), path("b/new"), {}) == "n");
}

TEST_CASE("an upper layer replaces files, and directories by files", "[image][reader]") {
  RawTar below;
  below.file("f", "old").directory("dir").file("dir/x", "x").directory("kept").file("kept/x", "x");
  RawTar above;
  above.file("f", "new").file("dir", "now a file").directory("kept").file("kept/y", "y");
  const StoredIn stored({foreign_layer(below.bytes(), gzip), foreign_layer(above.bytes(), gzip)});
  CHECK(listed(stored.image()) == Names{"f", "dir", "kept", "kept/x", "kept/y"});
  CHECK(find_file(stored.image(), path("f"), {}) == "new");
  CHECK(find_file(stored.image(), path("dir"), {}) == "now a file");
}

TEST_CASE("links are followed beneath the root", "[image][reader]") {
  RawTar below;
  below.directory("usr")
      .directory("usr/lib")
      .file("usr/lib/x", "content")
      .symlink("lib", "usr/lib")
      .symlink("abs", "/usr/lib/x");
  below.hard_link("again", "usr/lib/x")
      .symlink("loop", "loop")
      .symlink("up", "../../../usr/lib/x")
      .symlink("gone", "nowhere");
  RawTar above;
  above.directory("usr")
      .directory("usr/lib")
      .file("usr/lib/x", "changed")
      .file("z", std::string(200'000, 'z'));
  const StoredIn stored({foreign_layer(below.bytes(), plain), foreign_layer(above.bytes(), plain)});
  CHECK(find_file(stored.image(), path("lib/x"), {}) == "changed");
  CHECK(find_file(stored.image(), path("abs"), {}) == "changed");
  CHECK(find_file(stored.image(), path("up"), {}) == "changed");
  CHECK(find_file(stored.image(), path("again"), {}) ==
        "content"); // its inode is the lower layer's
  CHECK_FALSE(find_file(stored.image(), path("loop"), {}));
  CHECK_FALSE(find_file(stored.image(), path("gone"), {}));
}

TEST_CASE("a path twice is refused, also behind a payload that is stepped over",
          "[image][reader]") {
  RawTar tar;
  tar.file("f", std::string(200'000, '1')).file("g", "2").file("f", "3");
  const StoredIn stored({foreign_layer(tar.bytes(), GENERATE(plain, gzip))});
  CHECK_THROWS_WITH(list_files(stored.image(), {}), ContainsSubstring("twice"));
}

TEST_CASE("a layer without padding and trailer is read, one without content is not",
          "[image][reader]") {
  const auto compression = GENERATE(plain, gzip, zstd);
  RawTar tar;
  tar.file("first", "1").file("last", "eight ch");
  const auto whole = tar.bytes();
  const auto content_end = whole.size() - 1024 - 504;
  const StoredIn stored({foreign_layer(whole.substr(0, content_end), compression)});
  CHECK(find_file(stored.image(), path("last"), {}) == "eight ch");
  const StoredIn shorter({foreign_layer(whole.substr(0, content_end - 1), compression)});
  CHECK_THROWS_AS(list_files(shorter.image(), {}), FormatError);
}

TEST_CASE("find_file has a limit", "[image][reader]") {
  RawTar tar;
  tar.file("big", std::string(100'000, 'x'));
  const StoredIn stored({foreign_layer(tar.bytes(), zstd)});
  ReadLimits limits;
  limits.max_file_bytes = 99'999;
  CHECK_THROWS_WITH(find_file(stored.image(), path("big"), {}, limits),
                    ContainsSubstring("larger than"));
  limits.max_file_bytes = 100'000;
  CHECK(find_file(stored.image(), path("big"), {}, limits)->size() == 100'000);
}

TEST_CASE("a layout with a single manifest and artifacts beside images is read",
          "[image][reader]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, {"amd64"});
  const auto& image = index.images.front();
  auto layout = blob::Layout::create(directory.path() / "out");
  write_layout(index, layout, "index", 1, {});
  const auto location = "oci:" + (directory.path() / "out").string();

  layout.tag(image.manifest.descriptor(), "single", {});
  const auto single = ImageSource::open(Location::parse(location + ":single"), {});
  CHECK_FALSE(single.index());
  REQUIRE(single.images().size() == 1);
  CHECK(single.images().front().platform == oci::Platform::parse("amd64"));

  // As buildkit does: an attestation is a manifest for the platform unknown/unknown; one manifest
  // was not copied.
  oci::Index mixed;
  mixed.manifests = index.document->manifests;
  auto attestation = image.manifest.descriptor();
  attestation.platform = oci::Platform{"unknown", "unknown", ""};
  mixed.manifests.push_back(attestation);
  oci::Descriptor missing{std::string(oci::media_type::manifest), oci::Digest::of("not here"), 8};
  missing.platform = oci::Platform::parse("riscv64");
  mixed.manifests.push_back(missing);
  const auto sealed = oci::seal(mixed);
  io::MemorySource bytes(io::as_bytes(sealed.bytes()));
  layout.blobs().put(sealed.descriptor(), bytes, {});
  layout.tag(sealed.descriptor(), "mixed", {});
  const auto source = ImageSource::open(Location::parse(location + ":mixed"), {});
  CHECK(source.images().size() == 1);
  REQUIRE(source.absent().size() == 1);
  CHECK(source.absent().front().digest == missing.digest);
}

TEST_CASE("a damaged blob is noticed", "[image][reader][fault]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, {"amd64"});
  auto layout = blob::Layout::create(directory.path() / "out");
  write_layout(index, layout, "v1", 1, {});
  const auto location = Location::parse("oci:" + (directory.path() / "out").string());
  const auto damage = [&](const oci::Digest& digest, std::size_t at) {
    const auto file = layout.blobs().path_of(digest);
    auto bytes = read_bytes(file);
    bytes[at % bytes.size()] = static_cast<char>(bytes[at % bytes.size()] ^ 1);
    std::filesystem::remove(file);
    write_bytes(file, bytes);
  };
  const auto seed = GENERATE(range(0U, 20U));
  const auto read_everything = [&] {
    const auto source = ImageSource::open(location, {});
    for (const auto& layer : source.image().layers) {
      static_cast<void>(read_blob(*layer.blob));
    }
    static_cast<void>(list_files(source.image(), {}));
  };
  CHECK_NOTHROW(read_everything());
  const auto& image = index.images.front();
  const std::vector<oci::Digest> digests{
      index.digest(), image.manifest.descriptor().digest, image.config.descriptor().digest,
      image.layers[0].blob->descriptor().digest, image.layers[3].blob->descriptor().digest};
  damage(digests[seed % digests.size()], seed * 7919U);
  CHECK_THROWS_AS(read_everything(), Error);
}

TEST_CASE("a compressed layer is verified to its end, behind the end of its tar",
          "[image][reader][fault]") {
  RawTar tar;
  tar.file("f", "content");
  // GNU tar pads its last record with zeros; here the wrong bytes are behind what a reader needs.
  auto layer = foreign_layer(tar.bytes() + std::string(std::size_t{8} << 20, '\0'), plain);
  const auto compression = GENERATE(gzip, zstd);
  const auto right = packed(read_blob(*layer.blob), compression);
  auto zeros = read_blob(*layer.blob);
  zeros.resize(zeros.size() - 512);
  const auto wrong = packed(zeros, compression);
  io::TempDirectory directory;
  blob::DirectoryStore store(directory.path() / "blobs");
  const oci::Descriptor descriptor{"application/vnd.oci.image.layer.v1.tar+" +
                                       std::string(compression == gzip ? "gzip" : "zstd"),
                                   oci::Digest::of(right), wrong.size()};
  write_bytes(store.path_of(descriptor.digest), wrong);
  MemoryStore documents;
  const auto index = sample_index(documents, gzip, {"amd64"});
  const auto& image = index.images.front();
  const StoredImage stored{"image",
                           image.platform,
                           image.manifest,
                           image.config,
                           {{descriptor, layer.diff_id, store.find(descriptor)}}};
  CHECK_THROWS_AS(list_files(stored, {}), Error);
}

TEST_CASE("a truncated archive is an error wherever it ends", "[image][reader][fault]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, {"amd64"});
  const auto whole = directory.path() / "whole.tar";
  const auto cut = directory.path() / "cut.tar";
  const bool docker = GENERATE(false, true);
  docker ? write_docker_archive(index.images.front(), whole, {"digits:v1"}, {})
         : write_oci_archive(index, whole, "v1", {});
  const auto bytes = read_bytes(whole);
  const auto prefix = std::string(docker ? "docker-archive:" : "oci-archive:");
  for (std::size_t size = 0; size + 1024 < bytes.size(); size += 4999) {
    write_bytes(cut, std::string_view(bytes).substr(0, size));
    INFO("cut to " << size << " of " << bytes.size());
    CHECK_THROWS_AS(ImageSource::open(Location::parse(prefix + cut.string()), {}), Error);
  }
}

TEST_CASE("a compressed archive is refused with a hint", "[image][reader]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, {"amd64"});
  const auto file = directory.path() / "a.tar";
  write_docker_archive(index.images.front(), file, {}, {});
  write_bytes(directory.path() / "a.tar.gz", packed(read_bytes(file), gzip));
  try {
    static_cast<void>(ImageSource::open(
        Location::parse("docker-archive:" + (directory.path() / "a.tar.gz").string()), {}));
    FAIL("opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
    CHECK_THAT(error.hint(), ContainsSubstring("decompress"));
  }
}

TEST_CASE("the old form of docker save is read, links and several images included",
          "[image][reader][docker]") {
  io::TempDirectory directory;
  RawTar layer;
  layer.file("hello", "world");
  const auto tar = layer.bytes();
  const auto diff_id = oci::Digest::of(tar).to_string();
  const auto config =
      R"({"architecture":"amd64","os":"linux","created":"2026-01-01T00:00:00.123456789Z","config":{},"rootfs":{"type":"layers","diff_ids":[")" +
      diff_id + R"(",")" + diff_id +
      R"("]},"history":[{"created_by":"ADD x"},{"created_by":"ENV","empty_layer":true},{"created_by":"ADD y"}]})";
  const auto config_name = oci::Digest::of(config).hex() + ".json";
  const auto manifest =
      R"([{"Config":")" + config_name +
      R"(","RepoTags":["a:v1","b:latest"],"Layers":["1/layer.tar","2/layer.tar"]},{"Config":")" +
      config_name + R"(","RepoTags":null,"Layers":["1/layer.tar","2/layer.tar"]}])";
  RawTar archive;
  archive.directory("1")
      .file("1/layer.tar", tar)
      .directory("2")
      .symlink("2/layer.tar", "../1/layer.tar");
  archive.file(config_name, config).file("manifest.json", manifest);
  const auto file = directory.path() / "saved.tar";
  write_bytes(file, archive.bytes());

  const auto location = "docker-archive:" + file.string();
  for (const auto* tag : {":a:v1", ":b", ":b:latest"}) {
    const auto source = ImageSource::open(Location::parse(location + tag), {});
    const auto& image = source.image();
    REQUIRE(image.layers.size() == 2);
    CHECK(image.layers[1].title == "ADD y");
    CHECK_FALSE(image.layers[1].purpose);
    CHECK(find_file(image, path("hello"), {}) == "world");
  }
  try {
    static_cast<void>(ImageSource::open(Location::parse(location), {}));
    FAIL("chose one of two images");
  } catch (const Error& error) {
    CHECK_THAT(error.hint(), ContainsSubstring("'a:v1', 'b:latest'"));
  }
}

TEST_CASE("a docker manifest that is none is refused", "[image][reader][docker]") {
  const auto text = GENERATE(as<std::string>{}, "", "{", "{}", "[1]", "[{}]", R"([{"Config":1}])",
                             R"([{"Config":"a","Layers":{}}])", R"([{"Config":"a","Layers":[1]}])",
                             R"([{"Config":"a","RepoTags":"x"}])", std::string(100'000, '['));
  CHECK_THROWS_AS(parse_docker_manifest(text, "manifest.json"), FormatError);
}
