#include "aipack/core/error.hpp"
#include "aipack/io/byte_stream.hpp"

#include "support/catch.hpp"
#include "support/generate.hpp"

using namespace aipack;

TEST_CASE("copy moves every byte, whatever sizes the source delivers", "[io][byte_stream]") {
  AIPACK_TEST_RANDOM(random);
  for (int round = 0; round < 20; ++round) {
    const auto bytes =
        testing::random_bytes(random, static_cast<std::size_t>(random.below(700'000)));
    testing::ChoppedSource source(bytes, random, round % 2 == 0 ? 600'000 : 5'000);
    io::MemorySink sink;
    CHECK(io::copy(source, sink, {}) == bytes.size());
    CHECK(io::as_text(sink.bytes()) == bytes);
  }
}

TEST_CASE("copy stops when the caller asks", "[io][byte_stream]") {
  struct Endless final : io::ByteSource {
    std::stop_source stop;
    std::size_t read(std::span<std::byte> into) override {
      stop.request_stop();
      return into.size();
    }
  } source;
  io::NullSink sink;
  const Operation op{.stop = source.stop.get_token()};
  CHECK_THROWS_AS(io::copy(source, sink, op), Error);
  CHECK(sink.count() == io::copy_buffer_bytes);
}

TEST_CASE("read_all takes up to the limit and not one byte more", "[io][byte_stream]") {
  AIPACK_TEST_RANDOM(random);
  const std::size_t size = GENERATE(as<std::size_t>(), 0, 1, 4095, 4096, 4097, 100'000);
  const auto bytes = testing::random_bytes(random, size);
  {
    testing::ChoppedSource source(bytes, random, 10'000);
    CHECK(io::as_text(io::read_all(source, size, "x")) == bytes);
  }
  {
    testing::ChoppedSource source(bytes, random, 10'000);
    CHECK(io::read_text(source, UINT64_MAX, "x") == bytes);
  }
  if (size > 0) {
    testing::ChoppedSource source(bytes, random, 10'000);
    try {
      (void)io::read_text(source, size - 1, "the manifest");
      FAIL("it read too much");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::corrupt);
      CHECK(error.message() ==
            "cannot read the manifest: larger than " + std::to_string(size - 1) + " bytes");
    }
  }
}

TEST_CASE("same_bytes compares whatever pieces come", "[io][byte_stream]") {
  AIPACK_TEST_RANDOM(random);
  const std::size_t size =
      GENERATE(as<std::size_t>(), 0, 1, 1000, io::copy_buffer_bytes, io::copy_buffer_bytes + 1);
  const auto bytes = testing::random_bytes(random, size);
  const auto same_as = [&](std::string_view other) {
    testing::ChoppedSource a(bytes, random, 90'000);
    testing::ChoppedSource b(std::string(other), random, 300'000);
    return io::same_bytes(a, b, {});
  };
  CHECK(same_as(bytes));
  CHECK_FALSE(same_as(bytes + "x"));
  if (size > 0) {
    CHECK_FALSE(same_as(std::string_view(bytes).substr(1)));
    CHECK_FALSE(same_as(std::string_view(bytes).substr(0, size - 1)));
    std::string other = bytes;
    char& changed = other[static_cast<std::size_t>(random.below(size))];
    changed = static_cast<char>(changed ^ 1);
    CHECK_FALSE(same_as(other));
  }
}

TEST_CASE("MemorySource keeps its owner alive", "[io][byte_stream]") {
  auto owner = std::make_shared<const std::string>("abcdef");
  const std::weak_ptr<const std::string> watch = owner;
  {
    io::MemorySource source(owner, io::as_bytes(*owner));
    owner.reset();
    CHECK_FALSE(watch.expired());
    CHECK(io::read_text(source, 6, "x") == "abcdef");
  }
  CHECK(watch.expired());
}
