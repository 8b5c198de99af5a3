#include "aipack/archive/tar_reader.hpp"
#include "aipack/archive/tar_writer.hpp"
#include "aipack/codec/compression.hpp"
#include "aipack/image/layer.hpp"

#include "support.hpp"
#include "support/catch.hpp"
#include "weights_key.hpp"

#include <thread>

using namespace aipack;
using namespace aipack::image;
using namespace aipack::image::test;

namespace {

LayerPlan sample_plan(codec::Compression compression, std::size_t divisor = 1) {
  LayerPlan plan;
  plan.purpose = Purpose::runtime;
  plan.compression = compression;
  plan.title = "runtime: sample";
  const auto sample = sample_tree(divisor);
  for (const auto& [at, entry] : sample.entries()) {
    plan.entries.emplace_back(at, entry);
  }
  return plan;
}

/// What archive::TarWriter makes of the same entries: seal() may differ from it in nothing.
std::string reference_tar(const LayerPlan& plan) {
  io::MemorySink sink;
  archive::TarWriter writer(sink);
  for (const auto& [at, entry] : plan.entries) {
    writer.add(at, entry, {});
  }
  writer.finish();
  return std::string(io::as_text(sink.bytes()));
}

std::string decompressed(const blob::BlobSource& blob) {
  const auto source = codec::make_decompressor(blob.open(), std::uint64_t{1} << 30, "layer");
  return io::read_text(*source, std::uint64_t{1} << 30, "layer");
}

LayerPlan weights_plan(const std::filesystem::path& model) {
  LayerPlan plan;
  plan.purpose = Purpose::model;
  plan.compression = plain;
  plan.entries.emplace_back(path("models"), directory());
  plan.entries.emplace_back(path("models/digits.onnx"), on_disk(model));
  return plan;
}

} // namespace

TEST_CASE("a layer's purpose prints and parses back", "[image][layer]") {
  for (const auto purpose :
       {Purpose::base, Purpose::runtime, Purpose::server, Purpose::files, Purpose::model}) {
    CHECK(parse_purpose(to_string(purpose)) == purpose);
  }
  CHECK_THROWS_AS(parse_purpose("runtimes"), Error);
}

TEST_CASE("seal writes the tar of TarWriter through each codec", "[image][layer]") {
  const auto compression = GENERATE(plain, gzip, zstd);
  const auto plan = sample_plan(compression);
  const auto tar = reference_tar(plan);
  MemoryStore store;

  const auto layer = seal(plan, store, {}, {});

  CHECK(decompressed(*layer.blob) == tar);
  CHECK(layer.diff_id == oci::Digest::of(tar));
  CHECK(layer.uncompressed_bytes == tar.size());
  CHECK(layer.file_count == 6);
  CHECK(layer.purpose == Purpose::runtime);
  CHECK(layer.title == "runtime: sample");
  CHECK(layer.blob->descriptor().digest == oci::Digest::of(read_blob(*layer.blob)));
}

TEST_CASE("seal names the media type of its codec", "[image][layer]") {
  MemoryStore store;
  CHECK(seal(sample_plan(plain), store, {}, {}).blob->descriptor().media_type ==
        oci::media_type::layer_tar);
  CHECK(seal(sample_plan(gzip), store, {}, {}).blob->descriptor().media_type ==
        oci::media_type::layer_tar_gzip);
  CHECK(seal(sample_plan(zstd), store, {}, {}).blob->descriptor().media_type ==
        oci::media_type::layer_tar_zstd);
}

TEST_CASE("sealing twice gives one digest, whatever the threads and the order of entries",
          "[image][layer][property]") {
  const auto compression = GENERATE(plain, gzip, zstd);
  const auto plan = sample_plan(compression);
  MemoryStore store;
  const auto first = seal(plan, store, {.threads = 1}, {});
  auto shuffled = plan;
  for (unsigned round = 1; round <= 6; ++round) {
    std::next_permutation(shuffled.entries.begin(), shuffled.entries.end(),
                          [](const auto& a, const auto& b) { return b.first < a.first; });
    std::rotate(shuffled.entries.begin(), shuffled.entries.begin() + round, shuffled.entries.end());
    const auto again = seal(shuffled, store, {.threads = round}, {});
    CHECK(again.blob->descriptor() == first.blob->descriptor());
    CHECK(again.diff_id == first.diff_id);
  }
  CHECK(store.size() == 1);
}

TEST_CASE("the diff ID does not depend on the codec", "[image][layer]") {
  MemoryStore store;
  const auto diff_id = seal(sample_plan(plain), store, {}, {}).diff_id;
  CHECK(seal(sample_plan(gzip), store, {}, {}).diff_id == diff_id);
  CHECK(seal(sample_plan(zstd), store, {}, {}).diff_id == diff_id);
}

TEST_CASE("seal refuses a plan that is no layer", "[image][layer]") {
  MemoryStore store;
  LayerPlan plan;
  plan.compression = plain;
  SECTION("a path twice") {
    plan.entries.emplace_back(path("a"), file("1"));
    plan.entries.emplace_back(path("a"), file("2"));
    CHECK_THROWS_WITH(seal(plan, store, {}, {}), ContainsSubstring("twice"));
  }
  SECTION("a missing parent") {
    plan.entries.emplace_back(path("a/b"), file("1"));
    CHECK_THROWS_WITH(seal(plan, store, {}, {}), ContainsSubstring("parent"));
  }
  SECTION("a parent that is a file") {
    plan.entries.emplace_back(path("a"), file("1"));
    plan.entries.emplace_back(path("a/b"), file("1"));
    CHECK_THROWS_WITH(seal(plan, store, {}, {}), ContainsSubstring("parent"));
  }
  SECTION("a hard link before its target") {
    plan.entries.emplace_back(path("a"), hard_link("b"));
    plan.entries.emplace_back(path("b"), file("1"));
    CHECK_THROWS_WITH(seal(plan, store, {}, {}), ContainsSubstring("does not precede it"));
  }
  SECTION("a whiteout") {
    plan.entries.emplace_back(path(".wh.a"), file(""));
    CHECK_THROWS_AS(seal(plan, store, {}, {}), Error);
  }
  SECTION("the root") {
    plan.entries.emplace_back(fs::RootPath(), directory());
    CHECK_THROWS_WITH(seal(plan, store, {}, {}), ContainsSubstring("root"));
  }
  CHECK(store.size() == 0);
}

TEST_CASE("seal refuses content that is not as long as it said", "[image][layer]") {
  struct Liar final : fs::Content {
    std::uint64_t said = 0;
    [[nodiscard]] std::uint64_t size() const noexcept override { return said; }
    [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t) const override {
      static constexpr std::string_view bytes = "four";
      return std::make_unique<io::MemorySource>(io::as_bytes(bytes));
    }
  };
  auto liar = std::make_shared<Liar>();
  liar->said = GENERATE(3U, 5U);
  LayerPlan plan;
  plan.compression = GENERATE(plain, zstd);
  plan.entries.emplace_back(path("a"), file(""));
  plan.entries.back().second.content = liar;
  io::TempDirectory directory;
  blob::DirectoryStore store(directory.path() / "blobs");
  CHECK_THROWS_WITH(seal(plan, store, {}, {}),
                    ContainsSubstring(liar->said == 3 ? "longer than the" : "shorter than the"));
  CHECK(files_below(directory.path()).empty());
}

TEST_CASE("a failing read at any point of seal leaves nothing in the store",
          "[image][layer][fault]") {
  io::TempDirectory directory;
  blob::DirectoryStore store(directory.path() / "blobs");
  const auto compression = GENERATE(plain, gzip, zstd);
  int failures = 0;
  for (int at = 0;; ++at) {
    REQUIRE(at < 1000);
    auto plan = sample_plan(compression, 10);
    const auto fault = std::make_shared<Fault>(at);
    for (auto& [where, entry] : plan.entries) {
      if (entry.content) {
        entry.content = std::make_shared<FaultyContent>(entry.content, fault);
      }
    }
    try {
      const auto layer = seal(plan, store, {}, {});
      CHECK_FALSE(fault->struck());
      CHECK(files_below(directory.path()).size() == 1);
      break;
    } catch (const Error& error) {
      ++failures;
      CHECK(error.code() == ErrorCode::io);
      REQUIRE(files_below(directory.path()).empty());
    }
  }
  CHECK(failures > 50);
}

TEST_CASE("seal stops when it is asked to", "[image][layer]") {
  std::stop_source stop;
  stop.request_stop();
  MemoryStore store;
  try {
    static_cast<void>(seal(sample_plan(zstd), store, {}, {.stop = stop.get_token()}));
    FAIL("it did not stop");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
}

TEST_CASE("a weights layer is the model file behind an aligned header", "[image][weights]") {
  io::TempDirectory directory;
  const auto model = directory.path() / "digits.onnx";
  const auto size =
      GENERATE(std::size_t{1}, std::size_t{511}, std::size_t{512}, std::size_t{100'000});
  const auto bytes = noise(size);
  write_bytes(model, bytes);

  const auto layer = seal_weights(weights_plan(model), nullptr, {}, {});

  CHECK(layer.blob->descriptor().media_type == oci::media_type::layer_tar);
  CHECK(layer.diff_id == layer.blob->descriptor().digest);
  const auto tar = read_blob(*layer.blob);
  CHECK(tar.size() == layer.blob->descriptor().size_bytes);
  CHECK(tar.size() == layer.uncompressed_bytes);
  CHECK(oci::Digest::of(tar) == layer.diff_id);
  const auto offset =
      tar.find(bytes.size() > 16 ? bytes : std::string(bytes + std::string(511, '\0')), 512);
  CHECK(offset % archive::payload_alignment == 0);

  archive::TarReader reader(std::make_unique<io::MemorySource>(io::as_bytes(tar)), "layer");
  const auto parent = reader.next();
  REQUIRE(parent);
  CHECK(parent->path == path("models"));
  const auto member = reader.next();
  REQUIRE(member);
  CHECK(member->path == path("models/digits.onnx"));
  CHECK(member->data_offset % archive::payload_alignment == 0);
  CHECK(io::read_text(reader.content(), 1 << 20, "member") == bytes);
  CHECK_FALSE(reader.next());
}

TEST_CASE("weights may have small side files, links and empty files in one layer",
          "[image][weights]") {
  io::TempDirectory directory;
  write_bytes(directory.path() / "a.onnx", noise(9000));
  write_bytes(directory.path() / "labels.txt", "0 1 2\n");
  write_bytes(directory.path() / "empty", "");
  auto plan = weights_plan(directory.path() / "a.onnx");
  plan.entries.emplace_back(path("models/labels.txt"), on_disk(directory.path() / "labels.txt"));
  plan.entries.emplace_back(path("models/empty"), on_disk(directory.path() / "empty"));
  plan.entries.emplace_back(path("models/latest"), symlink("digits.onnx"));

  const auto layer = seal_weights(plan, nullptr, {}, {});
  CHECK(layer.file_count == 4);
  const auto tar = read_blob(*layer.blob);
  archive::TarReader reader(std::make_unique<io::MemorySource>(io::as_bytes(tar)), "layer");
  std::map<std::string, std::string> contents;
  while (const auto member = reader.next()) {
    if (member->type == fs::FileType::regular) {
      contents[member->path.text()] = io::read_text(reader.content(), 1 << 20, "member");
    }
  }
  CHECK(contents["models/digits.onnx"] == noise(9000));
  CHECK(contents["models/labels.txt"] == "0 1 2\n");
  CHECK(contents.at("models/empty").empty());
}

TEST_CASE("weights must be files on disk", "[image][weights]") {
  LayerPlan plan;
  plan.entries.emplace_back(path("m.onnx"), file("bytes"));
  CHECK_THROWS_WITH(seal_weights(plan, nullptr, {}, {}), ContainsSubstring("not a file on disk"));
}

TEST_CASE("weights in a store are the bytes that are hashed without one", "[image][weights]") {
  io::TempDirectory directory;
  const auto model = directory.path() / "digits.onnx";
  write_bytes(model, noise(123'457));
  blob::DirectoryStore store(directory.path() / "blobs");

  const auto apart = seal_weights(weights_plan(model), nullptr, {}, {});
  const auto stored = seal_weights(weights_plan(model), &store, {}, {});

  CHECK(stored.blob->descriptor() == apart.blob->descriptor());
  CHECK(read_bytes(store.path_of(stored.diff_id)) == read_blob(*apart.blob));
}

TEST_CASE("a weights blob is never the bytes of another file", "[image][weights]") {
  io::TempDirectory directory;
  const auto model = directory.path() / "digits.onnx";
  write_bytes(model, noise(50'000));
  SECTION("changed between inspection and sealing") {
    const auto plan = weights_plan(model);
    write_bytes(model, noise(50'001, 9));
    CHECK_THROWS_WITH(seal_weights(plan, nullptr, {}, {}), ContainsSubstring("changed"));
  }
  SECTION("changed between sealing and reading") {
    const auto layer = seal_weights(weights_plan(model), nullptr, {}, {});
    write_bytes(model, noise(50'001, 9));
    CHECK_THROWS_WITH(read_blob(*layer.blob), ContainsSubstring("changed"));
  }
}

TEST_CASE("the digest cache spares hashing unchanged weights", "[image][weights][cache]") {
  io::TempDirectory directory;
  // This program: the only file here that is surely older than the clock's grain, without sleeping.
  const auto old_file = std::filesystem::read_symlink("/proc/self/exe");
  const auto plan = weights_plan(old_file);
  const auto identity = io::File::open(old_file).identity();
  blob::DigestCache cache(directory.path() / "digests");
  const auto truth = seal_weights(plan, nullptr, {.digest_cache = &cache}, {}).blob->descriptor();
  const auto remembered = cache.find(identity, weights_key(plan));
  REQUIRE(remembered);
  CHECK(remembered->digest == truth.digest);
  CHECK(remembered->size_bytes == truth.size_bytes);

  // A planted lie shows that a second seal does not read the file.
  const oci::Descriptor lie{truth.media_type, oci::Digest::of("lie"), truth.size_bytes};
  cache.put(identity, weights_key(plan), lie, INT64_MAX);
  CHECK(seal_weights(plan, nullptr, {.digest_cache = &cache}, {}).diff_id == lie.digest);

  SECTION("another name, mode or time is another layer") {
    auto renamed = plan;
    renamed.entries.back().first = path("models/other.onnx");
    CHECK(weights_key(renamed) != weights_key(plan));
    auto older = plan;
    older.entries.back().second.mtime -= 1;
    CHECK(weights_key(older) != weights_key(plan));
    CHECK(seal_weights(older, nullptr, {.digest_cache = &cache}, {}).diff_id != lie.digest);
  }
  SECTION("a remembered size that cannot be is not believed") {
    cache.put(identity, weights_key(plan), {truth.media_type, lie.digest, truth.size_bytes + 1},
              INT64_MAX);
    CHECK(seal_weights(plan, nullptr, {.digest_cache = &cache}, {}).diff_id == truth.digest);
  }
}

TEST_CASE("a digest out of the cache is not given to a file that changed since inspection",
          "[image][weights][cache]") {
  io::TempDirectory directory;
  const auto model = directory.path() / "digits.onnx";
  write_bytes(model, noise(5000));
  const auto plan = weights_plan(model);
  const auto identity = io::File::open(model).identity();
  blob::DigestCache cache(directory.path() / "digests");
  const auto truth = seal_weights(plan, nullptr, {}, {}).blob->descriptor();
  cache.put(identity, weights_key(plan), truth, INT64_MAX);
  REQUIRE(cache.find(identity, weights_key(plan)));
  write_bytes(model, noise(5001));
  CHECK_THROWS_WITH(seal_weights(plan, nullptr, {.digest_cache = &cache}, {}),
                    ContainsSubstring("changed"));
}

TEST_CASE("one young file keeps a layer of several out of the digest cache",
          "[image][weights][cache]") {
  io::TempDirectory directory;
  const auto old_file = std::filesystem::read_symlink("/proc/self/exe");
  write_bytes(directory.path() / "labels.txt", "0 1 2");
  auto plan = weights_plan(old_file);
  plan.entries.emplace_back(path("models/labels.txt"), on_disk(directory.path() / "labels.txt"));
  blob::DigestCache cache(directory.path() / "digests");
  const auto layer = seal_weights(plan, nullptr, {.digest_cache = &cache}, {});
  CHECK(layer.blob->descriptor().size_bytes > 0);
  CHECK_FALSE(cache.find(io::File::open(old_file).identity(), weights_key(plan)));
}

TEST_CASE("the digest cache does not trust a file as young as its hashing",
          "[image][weights][cache]") {
  io::TempDirectory directory;
  const auto model = directory.path() / "digits.onnx";
  blob::DigestCache cache(directory.path() / "digests");
  for (std::uint32_t seed = 1; seed < 20; ++seed) {
    write_bytes(model, noise(20'000, seed));
    const auto layer = seal_weights(weights_plan(model), nullptr, {.digest_cache = &cache}, {});
    CHECK(layer.diff_id == seal_weights(weights_plan(model), nullptr, {}, {}).diff_id);
  }
}
