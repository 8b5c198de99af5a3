#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"

#include "download_plan.hpp"
#include "partial_file.hpp"
#include "support/catch.hpp"
#include "support/generate.hpp"
#include "support/temp.hpp"

#include <filesystem>

#include <sys/stat.h>

using namespace aipack;
using namespace aipack::registry;

namespace {

const Operation op;

oci::Descriptor descriptor(const std::string& bytes) {
  return {.media_type = "x", .digest = oci::Digest::of(bytes), .size_bytes = bytes.size()};
}

} // namespace

TEST_CASE("parse_content_range reads what a 206 says", "[registry][download]") {
  struct Row {
    std::string text;
    std::optional<ByteRange> range;
    std::optional<std::uint64_t> total;
  };
  const std::vector<Row> rows{
      {"bytes 0-0/1", ByteRange{0, 1}, 1},
      {"bytes 5-9/10", ByteRange{5, 10}, 10},
      {" bytes 5-9/* ", ByteRange{5, 10}, std::nullopt},
      {"bytes 5-10/10", std::nullopt, std::nullopt}, // past the end
      {"bytes 9-5/10", std::nullopt, std::nullopt},
      {"bytes */10", std::nullopt, std::nullopt},
      {"bytes 5-9", std::nullopt, std::nullopt},
      {"bytes -9/10", std::nullopt, std::nullopt},
      {"bytes 5-/10", std::nullopt, std::nullopt},
      {"bytes 5-18446744073709551615/*", std::nullopt, std::nullopt},
      {"bytes 5-9/10x", std::nullopt, std::nullopt},
      {"items 5-9/10", std::nullopt, std::nullopt},
      {"bytes/5-9", std::nullopt, std::nullopt},
      {"", std::nullopt, std::nullopt},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto parsed = parse_content_range(row.text);
    REQUIRE(parsed.has_value() == row.range.has_value());
    if (parsed) {
      CHECK(parsed->range == *row.range);
      CHECK(parsed->total == row.total);
    }
  }
}

TEST_CASE("ranges are whole blocks, some for each lane", "[registry][download]") {
  for (const std::uint64_t size : {parallel_from_bytes, std::uint64_t{10} << 30}) {
    const std::uint64_t bytes = range_bytes(size, max_lanes);
    CHECK(bytes % block_bytes == 0);
    CHECK(bytes >= block_bytes);
    CHECK(bytes <= size / max_lanes);
  }
}

TEST_CASE("a block map prints and parses back, and takes nothing else", "[registry][download]") {
  AIPACK_TEST_RANDOM(random);
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1}, block_bytes, block_bytes + 1, 37 * block_bytes - 5}) {
    BlockMap map(size);
    std::uint64_t there = 0;
    for (std::size_t block = 0; block < map.count(); ++block) {
      if (random.one_in(2)) {
        map.set(block);
        there += map.range_of(block).end - map.range_of(block).begin;
        CHECK(map.to_string()[map.digit_offset(block)] == '1');
      }
    }
    CHECK(map.bytes_there() == there);
    const std::string text = map.to_string();
    const auto again = BlockMap::parse(text, size);
    REQUIRE(again.has_value());
    CHECK(again->to_string() == text);
    CHECK_FALSE(BlockMap::parse(text, size + block_bytes).has_value());
    CHECK_FALSE(BlockMap::parse(text + "0", size).has_value());
    CHECK_FALSE(BlockMap::parse(text.substr(0, text.size() - 1), size).has_value());
    std::string damaged = text;
    damaged.back() = '2';
    CHECK_FALSE(BlockMap::parse(damaged, size).has_value());
  }
}

TEST_CASE("what is missing is claimed once, in order, in stretches", "[registry][download]") {
  AIPACK_TEST_RANDOM(random);
  for (int round = 0; round < 50; ++round) {
    const std::uint64_t size = random.between(1, 60 * block_bytes);
    BlockMap map(size);
    for (std::size_t block = 0; block < map.count(); ++block) {
      if (random.one_in(3)) {
        map.set(block);
      }
    }
    const BlockMap before = map;
    const std::uint64_t most = random.between(1, 5) * block_bytes;
    std::uint64_t claimed = 0;
    std::uint64_t at = 0;
    while (const auto range = map.claim(most)) {
      CHECK(range->begin >= at);
      CHECK(range->end > range->begin);
      CHECK(range->end - range->begin <= most);
      for (std::uint64_t block = range->begin / block_bytes; block * block_bytes < range->end;
           ++block) {
        CHECK_FALSE(before.has(static_cast<std::size_t>(block)));
      }
      claimed += range->end - range->begin;
      at = range->end;
    }
    CHECK(claimed == size - before.bytes_there());
  }
}

TEST_CASE("a partial file is found again with what it has", "[registry][download]") {
  AIPACK_TEST_RANDOM(random);
  const io::TempDirectory directory;
  blob::DirectoryStore store(directory.path());
  const std::string bytes = testing::random_bytes(random, 3 * block_bytes - 100);
  const auto wanted = descriptor(bytes);
  const auto part = [&](std::size_t block) {
    return io::as_bytes(std::string_view(bytes).substr(block * block_bytes, block_bytes));
  };
  {
    auto file = PartialFile::open(store, wanted, op);
    CHECK(file.map().bytes_there() == 0);
    file.write_at(block_bytes, part(1));
    file.set(1);
  }
  auto file = PartialFile::open(store, wanted, op);
  CHECK(file.map().bytes_there() == block_bytes);
  CHECK(file.map().has(1));
  struct stat info {};
  const auto path = directory.path() / "partial" / wanted.digest.hex();
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);

  file.write_at(0, part(0));
  file.set(0);
  file.write_at(2 * block_bytes, part(2));
  file.set(2);
  CHECK_FALSE(store.contains(wanted));
  file.give_to(store, wanted);
  CHECK(store.contains(wanted));
  CHECK((testing::read_file(store.path_of(wanted.digest)) == bytes));
  CHECK(testing::names_in(directory.path()) == std::set<std::string>{"sha256"});
  REQUIRE(::stat(store.path_of(wanted.digest).c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0644);
}

TEST_CASE("a damaged or foreign partial file begins anew", "[registry][download]") {
  const io::TempDirectory directory;
  blob::DirectoryStore store(directory.path());
  const std::string bytes(2 * block_bytes, 'x');
  const auto wanted = descriptor(bytes);
  const auto path = directory.path() / "partial" / wanted.digest.hex();
  {
    auto file = PartialFile::open(store, wanted, op);
    file.set(0);
  }
  std::string content = testing::read_file(path);
  content[bytes.size()] = 'X';
  for (const std::string& text : {content, std::string(), std::string("short"), bytes}) {
    testing::write_file(path, text);
    auto file = PartialFile::open(store, wanted, op);
    CHECK(file.map().bytes_there() == 0);
  }
}

TEST_CASE("two downloads of one blob wait for each other", "[registry][download]") {
  const io::TempDirectory directory;
  blob::DirectoryStore store(directory.path());
  const auto wanted = descriptor(std::string(100, 'x'));
  auto file = PartialFile::open(store, wanted, op);
  std::stop_source stop;
  stop.request_stop();
  CHECK_THROWS_AS(PartialFile::open(store, wanted, {.stop = stop.get_token()}), Error);
  file.remove();
  // The name is free, though the first still has its file open.
  CHECK_NOTHROW(PartialFile::open(store, wanted, op).remove());
  CHECK_FALSE(std::filesystem::exists(directory.path() / "partial"));
}

TEST_CASE("a blob that no disk can hold is an error before it is fetched", "[registry][download]") {
  const io::TempDirectory directory;
  blob::DirectoryStore store(directory.path());
  auto wanted = descriptor("x");
  wanted.size_bytes = std::uint64_t{8} << 40;
  try {
    PartialFile::open(store, wanted, op).remove();
    WARN("this file system has 8 TiB to spare");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
  }
  CHECK_FALSE(std::filesystem::exists(directory.path() / "partial"));
}
