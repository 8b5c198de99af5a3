#include "aipack/codec/compression.hpp"
#include "aipack/core/error.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <functional>
#include <optional>

#include <bzlib.h>
#include <lzma.h>
#include <zstd.h>

using namespace aipack;
using codec::Codec;
using codec::Encoding;

namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
  const auto bytes = io::as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

std::string sample() {
  std::string text;
  for (int i = 0; i < 400; ++i) {
    text += "line " + std::to_string(i * i) + "\n";
  }
  return text;
}

Bytes with_codec(std::string_view text, Codec codec) {
  io::MemorySink sink;
  const auto compressor = codec::make_compressor({.codec = codec, .level = 1}, sink);
  compressor->write(io::as_bytes(text));
  compressor->finish();
  return sink.take();
}

Bytes bzip2(std::string_view text) {
  std::string input(text);
  Bytes out(text.size() + 1000);
  auto size = static_cast<unsigned>(out.size());
  REQUIRE(BZ2_bzBuffToBuffCompress(reinterpret_cast<char*>(out.data()), &size, input.data(),
                                   static_cast<unsigned>(input.size()), 1, 0, 0) == BZ_OK);
  out.resize(size);
  return out;
}

Bytes lzma(std::string_view text, bool is_xz) {
  lzma_options_lzma options;
  lzma_lzma_preset(&options, 0);
  lzma_stream stream = LZMA_STREAM_INIT;
  REQUIRE((is_xz ? lzma_easy_encoder(&stream, 0, LZMA_CHECK_CRC64)
                 : lzma_alone_encoder(&stream, &options)) == LZMA_OK);
  Bytes out(text.size() + 1000);
  stream.next_in = reinterpret_cast<const std::uint8_t*>(text.data());
  stream.avail_in = text.size();
  stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
  stream.avail_out = out.size();
  REQUIRE(lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  lzma_end(&stream);
  return out;
}

Bytes encoded(std::string_view text, Encoding encoding) {
  switch (encoding) {
  case Encoding::plain:
    return bytes_of(text);
  case Encoding::gzip:
    return with_codec(text, Codec::gzip);
  case Encoding::zstd:
    return with_codec(text, Codec::zstd);
  case Encoding::xz:
    return lzma(text, true);
  case Encoding::lzma:
    return lzma(text, false);
  case Encoding::bzip2:
    return bzip2(text);
  }
  return {};
}

/// Delivers a few bytes at a time.
class Trickle final : public io::ByteSource {
public:
  Trickle(Bytes bytes, std::size_t piece) : bytes_(std::move(bytes)), piece_(piece) {}
  std::size_t read(std::span<std::byte> into) override {
    const std::size_t count = std::min({piece_, bytes_.size() - at_, into.size()});
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), count, into.begin());
    at_ += count;
    return count;
  }

private:
  Bytes bytes_;
  std::size_t piece_;
  std::size_t at_ = 0;
};

std::string decoded(const Bytes& bytes, std::uint64_t limit = UINT64_MAX,
                    std::size_t piece = SIZE_MAX) {
  const auto source =
      codec::make_decompressor(std::make_unique<Trickle>(bytes, piece), limit, "sample");
  return io::read_text(*source, UINT64_MAX, "sample");
}

std::string cause_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.file() == "sample");
    return error.message();
  }
  FAIL("accepted");
  return {};
}

const auto packed = {Encoding::gzip, Encoding::xz, Encoding::zstd, Encoding::bzip2, Encoding::lzma};

} // namespace

TEST_CASE("Encodings are recognised by their first bytes", "[codec][decompression]") {
  for (const Encoding encoding : packed) {
    const Bytes bytes = encoded(sample(), encoding);
    CHECK(codec::detect_encoding(std::span(bytes).first(6)) == encoding);
  }
  const auto detect = [](std::string_view head) {
    return codec::detect_encoding(io::as_bytes(head));
  };
  CHECK(detect("Packag") == Encoding::plain);
  CHECK(detect("") == Encoding::plain);
  CHECK(detect("\xfd") == Encoding::plain);
  CHECK(detect("BZh9ab") == Encoding::plain);
  CHECK(detect(std::string_view("]\0\0ab", 5)) == Encoding::plain);
  CHECK(detect("\x5f\x2a\x4d\x18") == Encoding::zstd);
}

TEST_CASE("Every encoding decodes, however its bytes arrive", "[codec][decompression]") {
  const std::size_t piece = GENERATE(1U, 7U, 4096U);
  for (const Encoding encoding : packed) {
    CAPTURE(static_cast<int>(encoding), piece);
    CHECK(decoded(encoded(sample(), encoding), UINT64_MAX, piece) == sample());
    CHECK(decoded(encoded("", encoding), UINT64_MAX, piece).empty());
  }
  CHECK(decoded(bytes_of(sample()), UINT64_MAX, piece) == sample());
  CHECK(decoded({}, UINT64_MAX, piece).empty());
}

TEST_CASE("Several members, streams and frames are one stream", "[codec][decompression]") {
  for (const Encoding encoding : {Encoding::gzip, Encoding::xz, Encoding::zstd, Encoding::bzip2}) {
    CAPTURE(static_cast<int>(encoding));
    const Bytes two = encoded("one ", encoding) + encoded("", encoding) + encoded("two", encoding);
    CHECK(decoded(two) == "one two");
    CHECK(decoded(two, UINT64_MAX, 1) == "one two");
  }
  const Bytes skippable = bytes_of(std::string_view("\x50\x2a\x4d\x18\x03\0\0\0abc", 11));
  CHECK(decoded(skippable + encoded("x", Encoding::zstd) + skippable) == "x");
  const Bytes padding(8);
  CHECK(decoded(encoded("x", Encoding::xz) + padding) == "x");
}

TEST_CASE("Truncation at any byte is an error", "[codec][decompression]") {
  for (const Encoding encoding : packed) {
    const Bytes whole = encoded(sample().substr(0, 300), encoding);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(static_cast<int>(encoding), size, whole.size());
      const auto source = codec::make_decompressor(
          encoding,
          std::make_unique<Trickle>(
              Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)), SIZE_MAX),
          UINT64_MAX, "sample");
      // The .lzma format without a size ends where its end marker has been read: a checksum it has
      // not.
      CHECK_THAT(cause_of([&] { (void)io::read_text(*source, UINT64_MAX, "sample"); }),
                 ContainsSubstring("too early"));
    }
  }
}

TEST_CASE("Trailing garbage is an error", "[codec][decompression]") {
  for (const Encoding encoding : packed) {
    CAPTURE(static_cast<int>(encoding));
    const Bytes bad = encoded(sample(), encoding) + bytes_of("garbage that is no member");
    (void)cause_of([&] { (void)decoded(bad); });
    (void)cause_of([&] { (void)decoded(bad, UINT64_MAX, 1); });
  }
}

TEST_CASE("A flipped bit is an error or changes nothing", "[codec][decompression]") {
  // .lzma has no checksum, so it is left out.
  for (const Encoding encoding : {Encoding::gzip, Encoding::xz, Encoding::zstd, Encoding::bzip2}) {
    const std::string text = sample().substr(0, 200);
    const Bytes whole = encoded(text, encoding);
    std::size_t refused = 0;
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      Bytes flipped = whole;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      CAPTURE(static_cast<int>(encoding), bit);
      std::optional<std::string> read;
      try {
        const auto source = codec::make_decompressor(
            encoding, std::make_unique<Trickle>(flipped, SIZE_MAX), 1 << 20, "sample");
        read = io::read_text(*source, UINT64_MAX, "sample");
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::corrupt);
        ++refused;
      }
      CHECK(read.value_or(text) == text);
    }
    CHECK(refused > 7 * whole.size()); // all but the fields of a header that say nothing
  }
}

TEST_CASE("The limit of the output holds to the byte", "[codec][decompression]") {
  const std::string text = sample();
  for (const Encoding encoding : {Encoding::plain, Encoding::gzip, Encoding::xz, Encoding::zstd,
                                  Encoding::bzip2, Encoding::lzma}) {
    CAPTURE(static_cast<int>(encoding));
    const Bytes bytes = encoded(text, encoding);
    CHECK(decoded(bytes, text.size()) == text);
    CHECK_THAT(cause_of([&] { (void)decoded(bytes, text.size() - 1); }),
               ContainsSubstring("more than " + std::to_string(text.size() - 1) + " bytes"));
    (void)cause_of([&] { (void)decoded(bytes, 0); });
  }
}

TEST_CASE("A bomb ends at the limit", "[codec][decompression]") {
  const std::string zeros(16 << 20, '\0');
  for (const Encoding encoding : packed) {
    const Bytes bomb = encoded(zeros, encoding);
    const auto source =
        codec::make_decompressor(std::make_unique<Trickle>(bomb, SIZE_MAX), 1 << 20, "sample");
    std::vector<std::byte> buffer(100'000);
    std::uint64_t total = 0;
    (void)cause_of([&] {
      while (const std::size_t count = source->read(buffer)) {
        total += count;
      }
    });
    CHECK(total <= 1 << 20);
  }
}

TEST_CASE("Memory that a stream asks for is limited", "[codec][decompression]") {
  // .lzma: properties byte, dictionary of 1 GiB, unknown size.
  const Bytes lzma_1g =
      bytes_of(std::string_view("\x5d\0\0\0\x40\xff\xff\xff\xff\xff\xff\xff\xff\0", 14)) +
      Bytes(100);
  CHECK_THAT(cause_of([&] { (void)decoded(lzma_1g); }), ContainsSubstring("256 MiB"));
  // zstd: magic, frame header descriptor 0 (no single segment, no size), window descriptor of 256
  // MiB.
  const Bytes zstd_256m = bytes_of(std::string_view("\x28\xb5\x2f\xfd\0\x90\x01\0\0", 9));
  CHECK_THAT(cause_of([&] { (void)decoded(zstd_256m); }), ContainsSubstring("128 MiB"));
}

TEST_CASE("Errors name stream and place", "[codec][decompression]") {
  Bytes bad = encoded(sample(), Encoding::gzip);
  bad[bad.size() - 6] ^= std::byte{1}; // the CRC
  try {
    (void)decoded(bad);
    FAIL("accepted");
  } catch (const FormatError& error) {
    CHECK(error.file() == "sample");
    REQUIRE(error.offset().has_value());
    CHECK(*error.offset() <= bad.size());
  }
}
