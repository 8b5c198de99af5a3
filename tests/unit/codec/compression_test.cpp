#include "aipack/codec/compression.hpp"
#include "aipack/core/error.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <random>

#include <zstd.h>

using namespace aipack;
using codec::Codec;
using codec::Compression;

namespace {

/// Text-like bytes: compressible, but not so much that a codec has nothing to decide.
std::string words(std::size_t size) {
  std::mt19937 random(7);
  std::string text;
  text.reserve(size + 16);
  while (text.size() < size) {
    text += "word";
    text += std::to_string(random() % 5000);
    text += random() % 8 == 0 ? '\n' : ' ';
  }
  text.resize(size);
  return text;
}

std::vector<std::byte> compressed(std::string_view text, Compression compression,
                                  unsigned threads = 1, std::size_t piece = SIZE_MAX) {
  io::MemorySink sink;
  const auto compressor = codec::make_compressor(compression, sink, threads);
  for (auto rest = io::as_bytes(text); !rest.empty();) {
    const std::size_t count = std::min(piece, rest.size());
    compressor->write(rest.first(count));
    rest = rest.subspan(count);
  }
  compressor->finish();
  return sink.take();
}

std::string decompressed(const std::vector<std::byte>& bytes) {
  const auto source =
      codec::make_decompressor(std::make_unique<io::MemorySource>(bytes), UINT64_MAX, "test");
  return io::read_text(*source, UINT64_MAX, "test");
}

} // namespace

TEST_CASE("Compression prints what it parses", "[codec][compression]") {
  const auto [text, printed] = GENERATE(table<const char*, const char*>({{"zstd", "zstd:19"},
                                                                         {"zstd:3", "zstd:3"},
                                                                         {"gzip", "gzip:9"},
                                                                         {"gzip:1", "gzip:1"},
                                                                         {"none", "none"}}));
  const Compression compression = Compression::parse(text);
  CHECK(compression.to_string() == printed);
  CHECK(Compression::parse(compression.to_string()) == compression);
}

TEST_CASE("Compression with level 0 is the default level", "[codec][compression]") {
  CHECK(Compression{} == Compression::parse("zstd:19"));
  CHECK(Compression{.codec = Codec::gzip} == Compression::parse("gzip:9"));
  CHECK(Compression{.codec = Codec::gzip} != Compression{});
  CHECK(Compression{}.to_string() == "zstd:19");
}

TEST_CASE("Compression::parse refuses unknown codecs and levels", "[codec][compression]") {
  const char* text = GENERATE("", "xz", "zstd:", "zstd:0", "zstd:20", "zstd:-1", "gzip:10",
                              "gzip:a", "none:1", "ZSTD", "zstd:3:4");
  CAPTURE(text);
  try {
    (void)Compression::parse(text);
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    CHECK_THAT(error.hint(), ContainsSubstring("zstd:9"));
  }
}

TEST_CASE("make_compressor refuses a level outside the codec's range", "[codec][compression]") {
  io::NullSink sink;
  CHECK_THROWS_AS(codec::make_compressor({.codec = Codec::zstd, .level = 22}, sink), Error);
  CHECK_THROWS_AS(codec::make_compressor({.codec = Codec::gzip, .level = -1}, sink), Error);
}

TEST_CASE("What is compressed decompresses to the same bytes", "[codec][compression]") {
  const auto compression = GENERATE(Compression{Codec::none, 0}, Compression{Codec::gzip, 1},
                                    Compression{Codec::gzip, 9}, Compression{Codec::zstd, 1},
                                    Compression{Codec::zstd, 19});
  const std::size_t size = GENERATE(0U, 1U, 1000U, 300'000U);
  CAPTURE(compression.to_string(), size);
  const std::string text = words(size);
  const auto bytes = compressed(text, compression);
  CHECK(decompressed(bytes) == text);
  CHECK((compression.codec == Codec::none || size < 1000 || bytes.size() < size / 2));
}

TEST_CASE("zstd bytes do not depend on the number of threads", "[codec][compression]") {
  const int level = GENERATE(1, 3, 9);
  const std::string text = words(20 << 20); // three jobs
  const auto one = compressed(text, {Codec::zstd, level}, 1);
  CHECK(compressed(text, {Codec::zstd, level}, 2) == one);
  CHECK(compressed(text, {Codec::zstd, level}, 4, 1 << 20) == one);
  CHECK(decompressed(one) == text);
}

TEST_CASE("zstd's default level does not depend on the number of threads", "[codec][compression]") {
  std::string text = words(1 << 20);
  text.append(9 << 20, '\0'); // two jobs, in a second
  const auto one = compressed(text, {}, 1);
  CHECK(compressed(text, {}, 2) == one);
  CHECK(compressed(text, {}, 4, 100'000) == one);
  CHECK(decompressed(one) == text);
}

TEST_CASE("Bytes do not depend on how the writer cuts them", "[codec][compression]") {
  const auto compression = GENERATE(Compression{Codec::gzip, 6}, Compression{Codec::zstd, 3});
  const std::size_t size = GENERATE(0U, 1U, 700'000U);
  const std::string text = words(size);
  const auto whole = compressed(text, compression);
  const std::size_t piece = GENERATE(1U, 1000U, 131'072U, 131'073U);
  CAPTURE(compression.to_string(), size, piece);
  CHECK(compressed(text, compression, 1, piece) == whole);
}

TEST_CASE("zstd writes one frame with a checksum and a window that all decoders take",
          "[codec][compression]") {
  const std::string text = words(600'000);
  const auto bytes = compressed(text, {});
  CHECK(ZSTD_findFrameCompressedSize(bytes.data(), bytes.size()) == bytes.size());
  // RFC 8878, 3.1.1.1.1: bit 2 of the frame header descriptor is the content checksum flag.
  CHECK((std::to_integer<unsigned>(bytes.at(4)) & 0x04U) != 0);
  // Section 3.1.1.1.2: without single-segment flag a window descriptor follows; 8 MiB are the
  // recommended maximum.
  REQUIRE((std::to_integer<unsigned>(bytes.at(4)) & 0x20U) == 0);
  const unsigned window_log = 10 + (std::to_integer<unsigned>(bytes.at(5)) >> 3U);
  CHECK(window_log <= 23);
}

TEST_CASE("gzip's header tells no time, name or system", "[codec][compression]") {
  const auto bytes = compressed("abc", {.codec = Codec::gzip});
  const std::vector<unsigned> expected{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(std::to_integer<unsigned>(bytes.at(i)) == expected[i]);
  }
}

TEST_CASE("codec_version names codec and library", "[codec][compression]") {
  CHECK(codec::codec_version(Codec::zstd) == std::string("zstd ") + ZSTD_versionString());
  CHECK_THAT(codec::codec_version(Codec::gzip), ContainsSubstring("gzip zlib-1."));
  CHECK(codec::codec_version(Codec::none) == "none");
}

TEST_CASE("A sink that fails stops a compressor", "[codec][compression]") {
  struct Full final : io::ByteSink {
    void write(std::span<const std::byte>) override {
      throw Error(ErrorCode::io, "cannot write: full");
    }
  } full;
  const auto codec = GENERATE(Codec::none, Codec::gzip, Codec::zstd);
  const auto compressor =
      codec::make_compressor({.codec = codec, .level = codec == Codec::none ? 0 : 1}, full, 2);
  const std::string text = words(1000);
  CHECK_THROWS_AS((compressor->write(io::as_bytes(text)), compressor->finish()), Error);
}
