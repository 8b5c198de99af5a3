#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/faulty.hpp"
#include "support/generate.hpp"
#include "support/temp.hpp"
#include "upload_content.hpp"

#include <future>
#include <utility>

using namespace aipack;
using namespace aipack::registry;

namespace {

std::string take(io::ByteSource& source, std::size_t step = 100'000) {
  std::string out;
  std::vector<std::byte> buffer(step);
  while (const std::size_t count = source.read(buffer)) {
    out += io::as_text(std::span(buffer).first(count));
  }
  return out;
}

std::unique_ptr<io::ByteSource> source_of(const std::string& bytes) {
  return std::make_unique<io::MemorySource>(io::as_bytes(bytes));
}

/// A header, a file and padding, as a weights layer has them.
struct Weights {
  explicit Weights(const std::string& payload) {
    const auto path = directory.path() / "weights.bin";
    testing::write_file(path, payload);
    recipe.add("header");
    recipe.add(fs::FileExtent(path, 0, payload.size(), io::File::open(path).identity()));
    recipe.add("padding");
    bytes = "header" + payload + "padding";
  }
  io::TempDirectory directory;
  blob::Recipe recipe;
  std::string bytes;
};

} // namespace

TEST_CASE("ReadAhead delivers what the source has, and shows it to the other",
          "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const std::size_t ring = ReadAhead::buffers * ReadAhead::buffer_bytes;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, ReadAhead::buffer_bytes - 1,
                                 ReadAhead::buffer_bytes, ring, 2 * ring + 12345}) {
    const std::string bytes = testing::random_bytes(random, size);
    std::string seen;
    ReadAhead ahead(source_of(bytes),
                    [&](std::span<const std::byte> part) { seen += io::as_text(part); });
    CHECK((take(ahead, random.between(1000, 600'000)) == bytes));
    CHECK((seen == bytes)); // complete once the end was seen
  }
}

TEST_CASE("ReadAhead can be left at any point", "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const std::string bytes =
      testing::random_bytes(random, 3 * ReadAhead::buffers * ReadAhead::buffer_bytes);
  for (int i = 0; i < 20; ++i) {
    ReadAhead ahead(source_of(bytes));
    std::vector<std::byte> buffer(random.between(1, 100'000));
    for (std::uint64_t reads = random.below(50); reads > 0; --reads) {
      static_cast<void>(ahead.read(buffer));
    }
  }
}

TEST_CASE("who takes from ReadAhead reads for himself while its thread looks at bytes",
          "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const std::size_t ahead_of_other = (ReadAhead::buffers - 1) * ReadAhead::buffer_bytes;
  const std::string bytes =
      testing::random_bytes(random, ReadAhead::buffers * ReadAhead::buffer_bytes);
  std::promise<void> taken;
  bool is_first = true;
  std::string seen;
  ReadAhead ahead(source_of(bytes), [&](std::span<const std::byte> part) {
    if (std::exchange(is_first, false)) {
      taken.get_future().wait(); // the taker gets that far without this thread
    }
    seen += io::as_text(part);
  });
  std::string got;
  std::vector<std::byte> buffer(100'000);
  while (got.size() < ahead_of_other) {
    got += io::as_text(std::span(buffer).first(ahead.read(buffer)));
  }
  taken.set_value();
  got += take(ahead);
  CHECK((got == bytes));
  CHECK((seen == bytes));
}

TEST_CASE("an error of what looks at the bytes comes out of ReadAhead", "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const std::string bytes =
      testing::random_bytes(random, 3 * ReadAhead::buffers * ReadAhead::buffer_bytes);
  int calls = 0;
  ReadAhead ahead(source_of(bytes), [&](std::span<const std::byte>) {
    if (++calls == 3) {
      throw Error(ErrorCode::internal, "cannot look");
    }
  });
  CHECK_THROWS_AS(take(ahead), Error);
}

TEST_CASE("an error of the source comes out of ReadAhead after the bytes before it",
          "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const std::string bytes = testing::random_bytes(random, 3'000'000);
  auto plan = std::make_shared<testing::FaultPlan>();
  plan->at_call = 3;
  ReadAhead ahead(std::make_unique<testing::FaultySource>(source_of(bytes), plan));
  std::string got;
  std::vector<std::byte> buffer(ReadAhead::buffer_bytes);
  CHECK_THROWS_AS(
      [&] {
        for (;;) {
          const std::size_t count = ahead.read(buffer);
          got += io::as_text(std::span(buffer).first(count));
        }
      }(),
      Error);
  CHECK((got == bytes.substr(0, got.size())));
}

TEST_CASE("a recipe is hashed while its pieces are read, whatever their order and size",
          "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const Weights weights(testing::random_bytes(random, 5'000'000));
  const Operation op;
  const Reading reading = GENERATE(Reading::ahead, Reading::in_place);
  for (int round = 0; round < 20; ++round) {
    UploadContent content(weights.recipe, reading);
    CHECK_FALSE(content.digest_known());
    std::uint64_t at = 0;
    while (at < content.size_bytes()) {
      const std::uint64_t end = random.between(at + 1, content.size_bytes());
      const auto piece = content.open(at, end);
      if (random.one_in(3)) { // broken, and a part of it arrived
        std::vector<std::byte> buffer(static_cast<std::size_t>(random.between(1, end - at)));
        const std::size_t count = piece->read(buffer);
        at += random.below(count + 1);
        content.hash_up_to(at, op);
        continue;
      }
      CHECK((take(*piece) == weights.bytes.substr(static_cast<std::size_t>(at),
                                                  static_cast<std::size_t>(end - at))));
      at = end;
    }
    CHECK(content.digest(op) == oci::Digest::of(weights.bytes));
  }
}

TEST_CASE("a piece that is opened again loses nothing of what was not hashed before it",
          "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const Weights weights(testing::random_bytes(random, 5'000'000));
  const Reading reading = GENERATE(Reading::ahead, Reading::in_place);
  for (int round = 0; round < 20; ++round) {
    UploadContent content(weights.recipe, reading);
    const std::uint64_t middle = random.between(1, content.size_bytes() - 1);
    take(*content.open(0, middle));
    // As after a 401: the same piece once more, at once.
    std::vector<std::byte> buffer(1000);
    REQUIRE(content.open(middle, content.size_bytes())->read(buffer) > 0);
    take(*content.open(middle, content.size_bytes()));
    CHECK(content.digest({}) == oci::Digest::of(weights.bytes));
  }
}

TEST_CASE("the prefix that a registry has is hashed without being sent", "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const Weights weights(testing::random_bytes(random, 3'000'000));
  const Operation op;
  const std::uint64_t begin = random.between(1, weights.recipe.size());
  UploadContent content(weights.recipe, GENERATE(Reading::ahead, Reading::in_place));
  content.hash_up_to(begin, op);
  const auto rest = content.open(begin, content.size_bytes());
  CHECK((take(*rest) == weights.bytes.substr(static_cast<std::size_t>(begin))));
  CHECK(content.digest(op) == oci::Digest::of(weights.bytes));
}

TEST_CASE("a file that changed while it was sent is an error at the last byte",
          "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const Weights weights(testing::random_bytes(random, 6'000'000));
  UploadContent content(weights.recipe, GENERATE(Reading::ahead, Reading::in_place));
  const auto piece = content.open(0, content.size_bytes());
  std::vector<std::byte> buffer(1000);
  REQUIRE(piece->read(buffer) > 0);
  testing::write_file(weights.directory.path() / "weights.bin", "something else");
  CHECK_THROWS_AS(take(*piece), Error);
}

TEST_CASE("pieces of a stored blob come from one verified stream", "[registry][upload]") {
  AIPACK_TEST_RANDOM(random);
  const io::TempDirectory directory;
  blob::DirectoryStore store(directory.path());
  const std::string bytes = testing::random_bytes(random, 3'000'000);
  const auto source = source_of(bytes);
  const Operation op;
  const auto stored = store.ingest("application/octet-stream", *source, op);
  // Damaged at the end: the last piece must fail, although it did not begin at 0.
  std::string damaged = bytes;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  testing::write_file(store.path_of(stored->descriptor().digest), damaged);
  UploadContent content(*stored, GENERATE(Reading::ahead, Reading::in_place));
  CHECK(content.digest_known());
  CHECK((take(*content.open(0, 1'000'000)) == bytes.substr(0, 1'000'000)));
  CHECK((take(*content.open(1'000'000, 2'000'000)) == bytes.substr(1'000'000, 1'000'000)));
  const auto last = content.open(2'000'000, 3'000'000);
  CHECK_THROWS_AS(take(*last), Error);
}
