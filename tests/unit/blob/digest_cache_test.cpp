#include "aipack/blob/blob.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/temp.hpp"

using namespace aipack;
using namespace aipack::testing;
using blob::DigestCache;

namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t changed = 1000 * second + 5; // with a fraction, as local file systems have
constexpr std::int64_t began = 2000 * second;

io::FileIdentity identity(std::uint64_t inode, std::int64_t ctime = changed) {
  return {.device = 1, .inode = inode, .size_bytes = 10, .mtime_ns = 7, .ctime_ns = ctime};
}

oci::Descriptor descriptor(std::string_view text) {
  return {.media_type = "type/" + std::string(text),
          .digest = oci::Digest::of(text),
          .size_bytes = text.size()};
}

} // namespace

TEST_CASE("A digest cache remembers across runs", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "deep" / "digests";
  {
    DigestCache cache(file);
    CHECK_FALSE(cache.find(identity(1), "k"));
    cache.put(identity(1), "k", descriptor("a"), began);
    cache.put(identity(1), "other", descriptor("b"), began);
    CHECK(cache.find(identity(1), "k") == descriptor("a"));
    cache.save();
  }
  const DigestCache cache(file);
  CHECK(cache.find(identity(1), "k") == descriptor("a"));
  CHECK(cache.find(identity(1), "other") == descriptor("b"));
  CHECK_FALSE(cache.find(identity(2), "k"));
  CHECK_FALSE(cache.find(identity(1), "K"));
}

TEST_CASE("Any change of a file's identity is a miss", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  DigestCache cache(directory.path() / "digests");
  cache.put(identity(1), "k", descriptor("a"), began);
  auto other = identity(1);
  const int field = GENERATE(0, 1, 2, 3, 4);
  (field == 0 ? other.device : field == 1 ? other.inode : other.size_bytes) += field < 3 ? 1 : 0;
  other.mtime_ns += field == 3 ? 1 : 0;
  other.ctime_ns += field == 4 ? 1 : 0;
  CHECK_FALSE(cache.find(other, "k"));
  CHECK(cache.find(identity(1), "k"));
}

TEST_CASE("A file that changed within the clock's grain is not trusted", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  DigestCache cache(directory.path() / "digests");
  const auto trusted = [&](std::int64_t ctime) {
    cache.put(identity(9, ctime), "k", descriptor("a"), began);
    return cache.find(identity(9, ctime), "k").has_value();
  };
  CHECK_FALSE(trusted(began + 1));
  CHECK_FALSE(trusted(began - 1));
  CHECK_FALSE(trusted(began - DigestCache::clock_grain_ns));
  CHECK(trusted(began - DigestCache::clock_grain_ns - 1));
  // Whole seconds: the file system knows no finer time.
  CHECK_FALSE(trusted(began - 1 * second));
  CHECK_FALSE(trusted(began - 2 * second));
  CHECK(trusted(began - 3 * second));
}

TEST_CASE("What was known of a file's earlier states goes", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  DigestCache cache(directory.path() / "digests");
  cache.put(identity(1, changed), "k", descriptor("a"), began);
  cache.put(identity(1, changed), "l", descriptor("a"), began);
  cache.put(identity(1, changed + 1), "k", descriptor("b"), began);
  CHECK_FALSE(cache.find(identity(1, changed), "k"));
  CHECK(cache.find(identity(1, changed), "l"));
  CHECK(cache.find(identity(1, changed + 1), "k") == descriptor("b"));
}

TEST_CASE("A broken cache file is an empty cache", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "digests";
  {
    DigestCache cache(file);
    cache.put(identity(1), "k", descriptor("a"), began);
    cache.save();
  }
  const std::string good = read_file(file);
  REQUIRE(DigestCache(file).find(identity(1), "k"));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    write_file(file, flipped);
    CHECK_FALSE(DigestCache(file).find(identity(1), "k"));
    write_file(file, good.substr(0, i));
    CHECK_FALSE(DigestCache(file).find(identity(1), "k"));
  }
  // It can be saved again.
  DigestCache cache(file);
  cache.put(identity(1), "k", descriptor("a"), began);
  cache.save();
  CHECK(DigestCache(file).find(identity(1), "k"));
}

TEST_CASE("Two processes do not lose each other's digests", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "digests";
  DigestCache one(file);
  DigestCache two(file);
  one.put(identity(1), "k", descriptor("a"), began);
  two.put(identity(2), "k", descriptor("b"), began);
  one.save();
  two.save();
  const DigestCache both(file);
  CHECK(both.find(identity(1), "k") == descriptor("a"));
  CHECK(both.find(identity(2), "k") == descriptor("b"));
}

TEST_CASE("Many savers at once lose nothing", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "digests";
  for_each_index(16, 8, {}, [&](std::size_t i, const Operation&) {
    DigestCache cache(file);
    cache.put(identity(i), "k", descriptor(std::to_string(i)), began);
    cache.save();
  });
  const DigestCache cache(file);
  for (std::size_t i = 0; i < 16; ++i) {
    CHECK(cache.find(identity(i), "k") == descriptor(std::to_string(i)));
  }
  CHECK(names_in(directory.path()) == std::set<std::string>{"digests", "digests.lock"});
}

TEST_CASE("A save without news writes nothing", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "digests";
  {
    DigestCache cache(file);
    cache.save();
    CHECK_FALSE(std::filesystem::exists(file));
    cache.put(identity(1), "k", descriptor("a"), began);
    cache.save();
  }
  const auto before = io::File::open(file).identity();
  DigestCache cache(file);
  CHECK(cache.find(identity(1), "k"));
  cache.save();
  CHECK(io::File::open(file).identity() == before);
}

TEST_CASE("A cache that cannot be written is no error", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  write_file(directory.path() / "file", "x");
  DigestCache cache(directory.path() / "file" / "below" / "digests");
  cache.put(identity(1), "k", descriptor("a"), began);
  cache.save();
  CHECK(cache.find(identity(1), "k"));
}

TEST_CASE("The oldest digests go when there are too many", "[blob][digest_cache]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "digests";
  {
    DigestCache cache(file);
    const auto value = descriptor("a");
    for (std::uint64_t i = 0; i < DigestCache::max_entries + 10; ++i) {
      cache.put(identity(i), "k", value, began);
    }
    cache.save();
  }
  const DigestCache cache(file);
  CHECK(cache.find(identity(DigestCache::max_entries + 9), "k"));
  CHECK(cache.find(identity(DigestCache::max_entries - 1), "k"));
  CHECK_FALSE(cache.find(identity(0), "k"));
}

TEST_CASE("A file's digest is taken from the cache while its state is the same",
          "[blob][digest_cache]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "index";
  write_file(file, "first");
  DigestCache cache(directory.path() / "digests");
  CHECK(blob::file_digest(file, cache, {}) == oci::Digest::of("first"));
  // What the cache says is believed, so a wrong entry shows that it was asked.
  const auto state = io::File::open(file).identity();
  cache.put(state, "file", descriptor("remembered"), state.ctime_ns + 10 * second);
  CHECK(blob::file_digest(file, cache, {}) == oci::Digest::of("remembered"));
  io::write_file_atomically(file, io::as_bytes("other"));
  CHECK(blob::file_digest(file, cache, {}) == oci::Digest::of("other"));
}
