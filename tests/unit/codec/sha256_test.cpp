#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <array>

using namespace aipack;
using codec::Sha256;
using codec::VerifyingSource;
using oci::Digest;

namespace {

std::unique_ptr<io::ByteSource> source_of(std::string_view text) {
  return std::make_unique<io::MemorySource>(io::as_bytes(text));
}

ErrorCode code_of(io::ByteSource& source, std::size_t piece, std::string* delivered = nullptr) {
  std::vector<std::byte> buffer(piece);
  try {
    while (const std::size_t count = source.read(buffer)) {
      if (delivered != nullptr) {
        *delivered += io::as_text(std::span(buffer).first(count));
      }
    }
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("read to the end");
  return ErrorCode::internal;
}

} // namespace

TEST_CASE("Sha256 gives one digest however the bytes are cut", "[codec][sha256]") {
  const std::string text(100'000, 'a');
  const auto bytes = io::as_bytes(text);
  const std::size_t piece = GENERATE(1U, 63U, 64U, 65U, 4096U, 100'000U);
  Sha256 hash;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    hash.update(bytes.subspan(at, std::min(piece, bytes.size() - at)));
  }
  CHECK(hash.digest() == Digest::of(text));
}

TEST_CASE("Sha256 goes on after digest, and copies carry the common prefix", "[codec][sha256]") {
  Sha256 hash;
  CHECK(hash.digest() == Digest::of(""));
  hash.update(io::as_bytes("ab"));
  CHECK(hash.digest() == Digest::of("ab"));
  Sha256 copy = hash;
  copy.update(io::as_bytes("x"));
  hash.update(io::as_bytes("c"));
  CHECK(hash.digest() == Digest::of("abc"));
  CHECK(copy.digest() == Digest::of("abx"));
  hash = copy;
  CHECK(hash.digest() == Digest::of("abx"));
  const Sha256 moved = std::move(copy);
  CHECK(moved.digest() == Digest::of("abx"));
}

TEST_CASE("HashingSink passes bytes on and names them", "[codec][sha256]") {
  io::MemorySink target;
  codec::HashingSink sink(target);
  sink.write(io::as_bytes("ab"));
  sink.write(io::as_bytes("c"));
  CHECK(sink.digest() == Digest::of("abc"));
  CHECK(sink.size() == 3);
  CHECK(io::as_text(target.bytes()) == "abc");
}

TEST_CASE("sha256 reads a source to its end", "[codec][sha256]") {
  const std::string text(1'000'001, 'z');
  CHECK(codec::sha256(*source_of(text), Operation{}) == Digest::of(text));
}

TEST_CASE("sha256 stops when it is asked to", "[codec][sha256]") {
  std::stop_source stop;
  stop.request_stop();
  const std::string text(10, 'z');
  auto source = source_of(text);
  try {
    (void)codec::sha256(*source, Operation{.stop = stop.get_token()});
    FAIL("went on");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
}

TEST_CASE("VerifyingSource delivers what it promised", "[codec][sha256]") {
  const std::string text = "hello world";
  const std::size_t piece = GENERATE(1U, 4U, 11U, 100U);
  VerifyingSource source(source_of(text), Digest::of(text), text.size(), "greeting");
  std::string read;
  std::vector<std::byte> buffer(piece);
  while (const std::size_t count = source.read(buffer)) {
    read += io::as_text(std::span(buffer).first(count));
  }
  CHECK(read == text);
  CHECK(source.read(buffer) == 0);
}

TEST_CASE("VerifyingSource takes an empty blob", "[codec][sha256]") {
  std::array<std::byte, 4> buffer{};
  VerifyingSource good(source_of(""), Digest::of(""), 0, "empty");
  CHECK(good.read(buffer) == 0);
  VerifyingSource bad(source_of(""), Digest::of("x"), 0, "empty");
  CHECK(code_of(bad, 4) == ErrorCode::corrupt);
}

TEST_CASE("VerifyingSource throws on short, long and wrong content", "[codec][sha256]") {
  const std::string text = "hello world";
  const std::size_t piece = GENERATE(1U, 4U, 11U, 100U);
  CAPTURE(piece);
  std::string delivered;

  VerifyingSource shorter(source_of("hello worl"), Digest::of(text), text.size(), "x");
  CHECK(code_of(shorter, piece) == ErrorCode::corrupt);

  // Neither a byte beyond the promised size nor, when the read reaches the end, the last ones.
  VerifyingSource longer(source_of("hello worldly"), Digest::of(text), text.size(), "x");
  CHECK(code_of(longer, piece, &delivered) == ErrorCode::corrupt);
  CHECK(delivered.size() < text.size());

  delivered.clear();
  VerifyingSource wrong(source_of("hello_world"), Digest::of(text), text.size(), "x");
  CHECK(code_of(wrong, piece, &delivered) == ErrorCode::corrupt);
  CHECK(delivered.size() < text.size());
}

TEST_CASE("VerifyingSource checks a reader that stops at the known size", "[codec][sha256]") {
  const std::string text = "hello_world";
  VerifyingSource wrong(source_of(text), Digest::of("hello world"), text.size(), "x");
  std::vector<std::byte> buffer(text.size());
  CHECK_THROWS_AS(wrong.read(buffer), Error);
}
