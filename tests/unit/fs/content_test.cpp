#include "aipack/core/error.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/generate.hpp"
#include "support/temp.hpp"

using namespace aipack;

namespace {

fs::FileExtent extent_of(const std::filesystem::path& path, std::uint64_t offset,
                         std::uint64_t length) {
  return {path, offset, length, io::File::open(path).identity()};
}

std::string text_of(const fs::Content& content, std::uint64_t offset = 0) {
  const auto source = content.open(offset);
  return io::read_text(*source, 1 << 20, "content");
}

} // namespace

TEST_CASE("memory content opens again and again, at any offset", "[fs][content]") {
  const auto content = fs::memory_content("0123456789");
  CHECK(content->size() == 10);
  CHECK(text_of(*content) == "0123456789");
  CHECK(text_of(*content) == "0123456789");
  CHECK(text_of(*content, 7) == "789");
  CHECK(text_of(*content, 11).empty());
}

TEST_CASE("a source outlives the memory content it came from", "[fs][content]") {
  auto content = fs::memory_content(std::string(100, 'x'));
  const auto source = content->open(90);
  content.reset();
  CHECK(io::read_text(*source, 100, "content") == std::string(10, 'x'));
}

TEST_CASE("FileExtent delivers its span of the file", "[fs][content]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "f";
  testing::write_file(path, "0123456789");
  const auto extent = extent_of(path, 2, 5);
  CHECK(extent.size() == 5);
  CHECK(text_of(extent) == "23456");
  CHECK(text_of(extent, 3) == "56");
  CHECK(text_of(extent, 5).empty());
  CHECK(text_of(extent, 500).empty());
}

TEST_CASE("FileExtent refuses a span past the end", "[fs][content]") {
  const io::TempDirectory directory;
  testing::write_file(directory.path() / "f", "0123456789");
  const auto [offset, length] = GENERATE(table<std::uint64_t, std::uint64_t>(
      {{0, 11}, {10, 1}, {11, 0}, {UINT64_MAX, 2}, {1, UINT64_MAX}}));
  try {
    (void)extent_of(directory.path() / "f", offset, length);
    FAIL("it was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::corrupt);
  }
}

TEST_CASE("a file that changes between two reads is an error, never a mixture", "[fs][content]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "f";
  testing::write_file(path, std::string(1000, 'a'));
  const auto extent = extent_of(path, 0, 1000);
  const auto change = GENERATE(as<std::string>(), std::string(1000, 'b'), std::string(10, 'b'),
                               std::string(2000, 'b'));
  const bool while_reading = GENERATE(false, true);

  std::unique_ptr<io::ByteSource> source;
  std::string buffer(500, '\0');
  if (while_reading) {
    source = extent.open();
    REQUIRE(source->read(std::as_writable_bytes(std::span(buffer))) == 500);
  }
  testing::write_file(path, change);
  try {
    if (!while_reading) {
      source = extent.open();
    }
    (void)io::read_text(*source, 10'000, "content");
    FAIL("the change went unnoticed");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::io);
    CHECK_THAT(error.message(), ContainsSubstring("it changed while it was being packed"));
  }
}

TEST_CASE("another file under the same name is a change", "[fs][content]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "f";
  testing::write_file(path, "same");
  const auto extent = extent_of(path, 0, 4);
  testing::write_file(directory.path() / "g", "same");
  std::filesystem::rename(directory.path() / "g", path);
  CHECK_THROWS_AS(extent.open(), Error);
}

TEST_CASE("a file that is gone is not found", "[fs][content]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "f";
  testing::write_file(path, "x");
  const auto extent = extent_of(path, 0, 1);
  std::filesystem::remove(path);
  try {
    (void)extent.open();
    FAIL("it opened");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_found);
  }
}
