#include "aipack/blob/layout.hpp"
#include "aipack/image/reader.hpp"

#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::image;
using namespace aipack::image::test;

namespace {

const std::vector<std::string> three{"amd64", "arm64", "riscv64"};

/// The same index over blobs that fail at the fault's turn.
Index with_fault(Index index, const std::shared_ptr<Fault>& fault) {
  for (auto& image : index.images) {
    for (auto& layer : image.layers) {
      layer.blob = std::make_shared<FaultyBlob>(layer.blob, fault);
    }
  }
  return index;
}

/// Every blob of a layout bears the digest of its bytes, and nothing else lies about.
void check_blobs(const std::filesystem::path& layout) {
  for (const auto& name : files_below(layout / "blobs")) {
    INFO(name);
    CHECK(name == "sha256/" + oci::Digest::of(read_bytes(layout / "blobs" / name)).hex());
  }
}

std::map<std::string, std::string> snapshot(const std::filesystem::path& root) {
  std::map<std::string, std::string> result;
  for (const auto& name : files_below(root)) {
    result[name] = read_bytes(root / name);
  }
  return result;
}

} // namespace

TEST_CASE("write_layout writes every distinct blob once and tags the index", "[image][write]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, three);
  auto layout = blob::Layout::create(directory.path() / "out");

  const auto report = write_layout(index, layout, "v1", 4, {});

  // Four shared layers, three configs, three manifests, one index.
  CHECK(files_below(directory.path() / "out" / "blobs").size() == 4 + 3 + 3 + 1);
  check_blobs(directory.path() / "out");
  CHECK(layout.resolve("v1").digest == index.digest());
  CHECK(report.reused_bytes == 0);
  std::uint64_t stored = 0;
  for (const auto& [name, bytes] : snapshot(directory.path() / "out" / "blobs")) {
    stored += bytes.size();
  }
  CHECK(report.new_bytes + report.cloned_bytes == stored);
}

TEST_CASE("writing the same index twice writes nothing the second time",
          "[image][write][property]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, zstd, three);
  auto layout = blob::Layout::create(directory.path() / "out");
  const auto first = write_layout(index, layout, "v1", 2, {});
  const auto before = snapshot(directory.path() / "out");
  const auto second = write_layout(index, layout, "v1", 2, {});
  CHECK(second.new_bytes == 0);
  CHECK(second.cloned_bytes == 0);
  CHECK(second.reused_bytes == first.new_bytes + first.cloned_bytes);
  CHECK(snapshot(directory.path() / "out") == before);
}

TEST_CASE("a layout's bytes do not depend on concurrency", "[image][write][property]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, three);
  std::set<std::map<std::string, std::string>> snapshots;
  for (const unsigned concurrency : {1U, 2U, 8U}) {
    const auto at = directory.path() / std::to_string(concurrency);
    auto layout = blob::Layout::create(at);
    write_layout(index, layout, "v1", concurrency, {});
    snapshots.insert(snapshot(at));
  }
  CHECK(snapshots.size() == 1);
}

TEST_CASE("one platform is an index as well", "[image][write]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, plain, {"riscv64"});
  auto layout = blob::Layout::create(directory.path() / "out");
  write_layout(index, layout, "v1", 1, {});
  const auto root = layout.resolve("v1");
  CHECK(root.media_type == oci::media_type::index);
  CHECK(ImageSource::open(Location::parse("oci:" + (directory.path() / "out").string()), {})
            .images()
            .size() == 1);
}

TEST_CASE("a failure at any point leaves the old tag, whole blobs and no temporary file",
          "[image][write][fault]") {
  io::TempDirectory directory;
  const auto at = directory.path() / "out";
  MemoryStore store;
  const auto old_index = sample_index(store, gzip, {"amd64"}, 10);
  const auto new_index = sample_index(store, zstd, three, 10);
  int failures = 0;
  for (int n = 0;; ++n) {
    REQUIRE(n < 2000);
    std::filesystem::remove_all(at);
    auto layout = blob::Layout::create(at, io::Durability::cached);
    write_layout(old_index, layout, "v1", 1, {});
    const auto index_json = read_bytes(at / "index.json");
    const auto fault = std::make_shared<Fault>(n);
    try {
      write_layout(with_fault(new_index, fault), layout, "v1", 1 + static_cast<unsigned>(n) % 3,
                   {});
      CHECK_FALSE(fault->struck());
      CHECK(layout.resolve("v1").digest == new_index.digest());
      break;
    } catch (const Error& error) {
      ++failures;
      CHECK(error.code() == ErrorCode::io);
      REQUIRE(read_bytes(at / "index.json") == index_json);
      REQUIRE(layout.resolve("v1").digest == old_index.digest());
      check_blobs(at);
    }
    // What was written is not lost: the same call succeeds.
    write_layout(new_index, layout, "v1", 1, {});
    CHECK(layout.resolve("v1").digest == new_index.digest());
  }
  CHECK(failures > 20);
}

TEST_CASE("a cancelled write leaves the old tag", "[image][write]") {
  io::TempDirectory directory;
  MemoryStore store;
  auto layout = blob::Layout::create(directory.path() / "out");
  const auto old_index = sample_index(store, gzip, {"amd64"});
  write_layout(old_index, layout, "v1", 1, {});
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(
      write_layout(sample_index(store, zstd, three), layout, "v1", 2, {.stop = stop.get_token()}),
      Error);
  CHECK(layout.resolve("v1").digest == old_index.digest());
  check_blobs(directory.path() / "out");
}

TEST_CASE("an OCI archive holds what the layout holds, and its bytes repeat", "[image][write]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, zstd, three);
  const auto first = directory.path() / "a.tar";
  const auto second = directory.path() / "b.tar";
  const auto report = write_oci_archive(index, first, "v1", {});
  write_oci_archive(index, second, "v1", {});
  CHECK(read_bytes(first) == read_bytes(second));
  CHECK(report.new_bytes == std::filesystem::file_size(first));

  archive::TarReader reader(std::make_unique<io::FileSource>(first), "a.tar");
  std::map<std::string, std::string> members;
  std::vector<fs::RootPath> order;
  while (const auto member = reader.next()) {
    order.push_back(member->path);
    if (member->type == fs::FileType::regular) {
      members[member->path.text()] = io::read_text(reader.content(), 1 << 30, "member");
    }
  }
  CHECK(std::is_sorted(order.begin(), order.end()));
  auto layout = blob::Layout::create(directory.path() / "out");
  write_layout(index, layout, "v1", 1, {});
  auto expected = snapshot(directory.path() / "out");
  std::erase_if(expected, [](const auto& item) { return !item.first.starts_with("blobs/"); });
  for (const auto& [name, bytes] : expected) {
    INFO(name);
    CHECK(members[name] == bytes);
  }
  CHECK(members.size() == expected.size() + 2);
  CHECK(members["oci-layout"] == R"({"imageLayoutVersion":"1.0.0"})");
  // The document with one tag is the same whether it is in a directory or in an archive.
  CHECK(members["index.json"] == read_bytes(directory.path() / "out" / "index.json"));
}

TEST_CASE("archives appear whole or not at all", "[image][write][fault]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, zstd, {"amd64"}, 10);
  const auto file = directory.path() / "image.tar";
  const bool docker = GENERATE(false, true);
  write_bytes(file, "what was there before");
  int failures = 0;
  for (int n = 0;; ++n) {
    REQUIRE(n < 2000);
    const auto fault = std::make_shared<Fault>(n);
    const auto faulty = with_fault(index, fault);
    try {
      docker ? write_docker_archive(faulty.images.front(), file, {"digits:v1"}, {})
             : write_oci_archive(faulty, file, "v1", {});
      CHECK_FALSE(fault->struck());
      break;
    } catch (const Error& error) {
      ++failures;
      CHECK(error.code() == ErrorCode::io);
      REQUIRE(read_bytes(file) == "what was there before");
      REQUIRE(files_below(directory.path()).size() == 1);
    }
  }
  CHECK(failures > 20);
  CHECK(std::filesystem::file_size(file) > 10'000);
}

TEST_CASE("a docker archive stores zstd layers decompressed and keeps the image ID",
          "[image][write]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, zstd, {"amd64"});
  const auto& image = index.images.front();
  const auto file = directory.path() / "image.tar";
  write_docker_archive(image, file, {"localhost/digits:v1", "digits:latest"}, {});
  const auto first = read_bytes(file);
  write_docker_archive(image, file, {"localhost/digits:v1", "digits:latest"}, {});
  CHECK(read_bytes(file) == first);

  const auto source = ImageSource::open(Location::parse("docker-archive:" + file.string()), {});
  REQUIRE(source.images().size() == 1);
  const auto& stored = source.images().front();
  CHECK(stored.config.descriptor().digest == image.config.descriptor().digest);
  CHECK(stored.config.bytes() == image.config.bytes());
  REQUIRE(stored.layers.size() == image.layers.size());
  for (std::size_t i = 0; i < stored.layers.size(); ++i) {
    CHECK(stored.layers[i].descriptor.media_type == oci::media_type::layer_tar);
    CHECK(stored.layers[i].descriptor.digest == image.layers[i].diff_id);
    CHECK(oci::Digest::of(read_blob(*stored.layers[i].blob)) == image.layers[i].diff_id);
  }
}

TEST_CASE("a docker archive keeps gzip layers as they are sealed", "[image][write]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, {"amd64"});
  const auto file = directory.path() / "image.tar";
  write_docker_archive(index.images.front(), file, {}, {});
  const auto source = ImageSource::open(Location::parse("docker-archive:" + file.string()), {});
  const auto& stored = source.images().front();
  CHECK(stored.layers.front().descriptor.digest ==
        index.images.front().layers.front().blob->descriptor().digest);
  CHECK(stored.layers.front().descriptor.media_type == oci::media_type::layer_tar_gzip);
}

TEST_CASE("a docker archive wants full names", "[image][write]") {
  io::TempDirectory directory;
  MemoryStore store;
  const auto index = sample_index(store, gzip, {"amd64"});
  for (const auto* tag : {"digits", "Digits:v1", "digits:", ""}) {
    CHECK_THROWS_AS(
        write_docker_archive(index.images.front(), directory.path() / "x.tar", {tag}, {}), Error);
  }
  CHECK(files_below(directory.path()).empty());
}

TEST_CASE("weights go from the model file into layout and archives", "[image][write][weights]") {
  io::TempDirectory directory;
  const auto model = directory.path() / "digits.onnx";
  write_bytes(model, noise(200'000));
  MemoryStore store;
  auto tree = sample_tree();
  tree.put(path("models/digits.onnx"), on_disk(model));
  std::vector<Layer> layers;
  for (const auto& plan : split(tree, sample_purpose, {.compression = gzip})) {
    layers.push_back(plan.purpose == Purpose::model ? seal_weights(plan, nullptr, {}, {})
                                                    : seal(plan, store, {}, {}));
  }
  std::vector<Image> images;
  for (const auto& platform : three) {
    images.push_back(make_image(layers, sample_settings(platform)));
  }
  const auto index = make_index(std::move(images), {});
  auto layout = blob::Layout::create(directory.path() / "out");
  write_layout(index, layout, "v1", 2, {});
  check_blobs(directory.path() / "out");
  write_oci_archive(index, directory.path() / "a.tar", "v1", {});
  write_docker_archive(index.images.front(), directory.path() / "d.tar", {"digits:v1"}, {});
  for (const auto& location : {"oci:" + (directory.path() / "out").string(),
                               "oci-archive:" + (directory.path() / "a.tar").string(),
                               "docker-archive:" + (directory.path() / "d.tar").string()}) {
    INFO(location);
    const auto source = ImageSource::open(Location::parse(location), {});
    CHECK(find_file(source.images().front(), path("models/digits.onnx"), {}) == noise(200'000));
  }
}
