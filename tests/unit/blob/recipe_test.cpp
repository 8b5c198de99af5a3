#include "aipack/blob/blob.hpp"
#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/generate.hpp"
#include "support/temp.hpp"

#include <cstdint>
#include <limits>

using namespace aipack;
using namespace aipack::testing;
using blob::Recipe;

namespace {

fs::FileExtent extent_of(const std::filesystem::path& file, std::uint64_t offset,
                         std::uint64_t length) {
  return {file, offset, length, io::File::open(file).identity()};
}

std::string read(io::ByteSource& source) {
  return io::read_text(source, UINT64_MAX, "test");
}

ErrorCode code_of(io::ByteSource& source) {
  try {
    (void)read(source);
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("read to the end");
  return ErrorCode::internal;
}

} // namespace

TEST_CASE("A recipe reads as its parts in order, from any offset", "[blob][recipe]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "model";
  write_file(file, "0123456789");
  Recipe recipe;
  recipe.add(std::string("head"));
  recipe.add(std::string("er|"));
  recipe.add(extent_of(file, 2, 5));
  recipe.add(extent_of(file, 4, 0));
  recipe.add(std::string());
  recipe.add(extent_of(file, 9, 1));
  recipe.add(std::string("|end"));
  const std::string whole = "header|234569|end";
  CHECK(recipe.size() == whole.size());
  CHECK(std::get<std::string>(recipe.parts().front()) == "header|"); // literals join
  for (std::size_t offset = 0; offset <= whole.size() + 1; ++offset) {
    CAPTURE(offset);
    CHECK(read(*recipe.open(offset)) == whole.substr(std::min(offset, whole.size())));
  }
}

TEST_CASE("A recipe's source outlives the recipe", "[blob][recipe]") {
  std::unique_ptr<io::ByteSource> source;
  {
    Recipe recipe;
    recipe.add(std::string("literal"));
    source = recipe.open();
  }
  CHECK(read(*source) == "literal");
}

TEST_CASE("An empty recipe is empty", "[blob][recipe]") {
  const Recipe recipe;
  CHECK(recipe.size() == 0);
  CHECK(read(*recipe.open()).empty());
}

TEST_CASE("Sizes that do not fit 64 bits are refused", "[blob][recipe]") {
  const io::TempDirectory directory;
  constexpr auto huge = std::numeric_limits<std::uint64_t>::max();
  Recipe recipe;
  recipe.add(fs::FileExtent(directory.path() / "f", 0, huge, {.size_bytes = huge}));
  CHECK_THROWS_AS(recipe.add(std::string("x")), Error);
}

TEST_CASE("A file that changed is an error, before and while it is read", "[blob][recipe]") {
  const io::TempDirectory directory;
  const auto file = directory.path() / "model";
  const std::string content(10'000, 'm');
  write_file(file, content);
  Recipe recipe;
  recipe.add(std::string("h"));
  recipe.add(extent_of(file, 0, content.size()));

  SECTION("before") {
    write_file(file, content + "more");
    CHECK(code_of(*recipe.open()) == ErrorCode::io);
  }
  SECTION("replaced by another file of the same size") {
    write_file(directory.path() / "other", content);
    std::filesystem::rename(directory.path() / "other", file);
    CHECK(code_of(*recipe.open()) == ErrorCode::io);
  }
  SECTION("between two reads") {
    const auto source = recipe.open();
    std::vector<std::byte> some(100);
    while (source->read(some) == 1) {
    }
    write_file(file, content + "more");
    CHECK(code_of(*source) == ErrorCode::io);
  }
  SECTION("it shrinks between two reads") {
    const auto source = recipe.open();
    std::vector<std::byte> some(100);
    while (source->read(some) == 1) {
    }
    std::filesystem::resize_file(file, 200);
    CHECK(code_of(*source) == ErrorCode::io);
  }
  SECTION("it vanishes") {
    std::filesystem::remove(file);
    CHECK(code_of(*recipe.open()) == ErrorCode::not_found);
  }
}

TEST_CASE("memory_blob holds only the bytes of its descriptor", "[blob]") {
  const std::string text = "manifest";
  const oci::Descriptor descriptor{"t", oci::Digest::of(text), text.size()};
  const auto blob = blob::memory_blob(descriptor, text);
  CHECK(blob->descriptor() == descriptor);
  CHECK(read(*blob->open()) == text);
  CHECK(read(*blob->open(5)) == "est");
  CHECK(read(*blob->open(99)).empty());
  CHECK_THROWS_AS(blob::memory_blob(descriptor, "Manifest"), Error);
  CHECK_THROWS_AS(blob::memory_blob(descriptor, "manifest2"), Error);
}

TEST_CASE("A derived blob must have the size of its recipe", "[blob][recipe]") {
  Recipe recipe;
  recipe.add(std::string("abc"));
  const blob::DerivedBlob good({"t", oci::Digest::of("abc"), 3}, recipe);
  CHECK(read(*good.open()) == "abc");
  CHECK(read(*good.open(1)) == "bc");
  const blob::DerivedBlob bad({"t", oci::Digest::of("abc"), 4}, recipe);
  CHECK_THROWS_AS(bad.open(), Error);
}
