#include "aipack/blob/layout.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/temp.hpp"

#include <functional>

using namespace aipack;
using namespace aipack::testing;
using blob::Layout;

namespace {

oci::Descriptor image(std::string_view text) {
  return {.media_type = std::string(oci::media_type::index),
          .digest = oci::Digest::of(text),
          .size_bytes = text.size()};
}

oci::Descriptor named(oci::Descriptor descriptor, std::string_view tag) {
  descriptor.annotations[std::string(blob::ref_name_annotation)] = tag;
  return descriptor;
}

oci::Descriptor artifact(std::string_view text) {
  auto descriptor = image(text);
  descriptor.media_type = oci::media_type::manifest;
  descriptor.artifact_type = "application/x.signature";
  return descriptor;
}

Error failure_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  FAIL("accepted");
  return {ErrorCode::internal, ""};
}

} // namespace

TEST_CASE("A new layout has the files that the specification asks for", "[blob][layout]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "deep" / "image.oci";
  const auto layout = Layout::create(path);
  CHECK(read_file(path / "oci-layout") == R"({"imageLayoutVersion":"1.0.0"})");
  CHECK(names_in(path) == std::set<std::string>{"blobs", "index.json", "oci-layout"});
  CHECK(read_file(path / "index.json") == oci::seal(oci::Index{}).bytes());
  CHECK(layout.index()->manifests.empty());
  CHECK(Layout::open(path).directory() == path);
  CHECK(layout.blobs().root() == path / "blobs");
}

TEST_CASE("Tags name images", "[blob][layout]") {
  const io::TempDirectory directory;
  auto layout = Layout::create(directory.path() / "l");
  CHECK(layout.tag(image("one"), "v1", {}));
  CHECK(layout.resolve("v1") == named(image("one"), "v1"));
  CHECK(layout.tag(image("two"), "v2", {}));
  CHECK(layout.tag(image("three"), "v1", {}));
  CHECK(layout.resolve("v1") == named(image("three"), "v1"));
  CHECK(layout.resolve("v2") == named(image("two"), "v2"));
  CHECK(layout.index()->manifests.size() == 2);
  CHECK(names_in(layout.directory()) == std::set<std::string>{"blobs", "index.json", "oci-layout"});
}

TEST_CASE("A tag that stands already writes nothing", "[blob][layout]") {
  const io::TempDirectory directory;
  auto layout = Layout::create(directory.path() / "l");
  const std::string tag = GENERATE("v1", "");
  CHECK(layout.tag(image("one"), tag, {}));
  const auto file = layout.directory() / "index.json";
  const auto before = io::File::open(file).identity();
  CHECK_FALSE(layout.tag(image("one"), tag, {}));
  CHECK(io::File::open(file).identity() == before);
}

TEST_CASE("Without a name, an image replaces the image, and an artifact is added",
          "[blob][layout]") {
  const io::TempDirectory directory;
  auto layout = Layout::create(directory.path() / "l");
  CHECK(layout.tag(image("one"), "", {}));
  CHECK(layout.tag(artifact("signature 1"), "", {}));
  CHECK(layout.tag(artifact("signature 2"), "", {}));
  CHECK_FALSE(layout.tag(artifact("signature 1"), "", {}));
  CHECK(layout.tag(image("two"), "", {}));
  CHECK(layout.index()->manifests.size() == 3);
  CHECK(layout.resolve("") == image("two"));
}

TEST_CASE("resolve says which tags exist", "[blob][layout]") {
  const io::TempDirectory directory;
  auto layout = Layout::create(directory.path() / "l");
  CHECK_THAT(failure_of([&] { (void)layout.resolve(""); }).message(),
             ContainsSubstring("it is empty"));
  CHECK_THAT(failure_of([&] { (void)layout.resolve("v1"); }).message(),
             ContainsSubstring("it has no tags"));
  layout.tag(image("one"), "v1", {});
  CHECK(layout.resolve("").digest == image("one").digest);
  layout.tag(image("one"), "latest", {});
  CHECK(layout.resolve("").digest == image("one").digest); // two names, one image
  layout.tag(image("two"), "v2", {});
  const auto unknown = failure_of([&] { (void)layout.resolve("v3"); });
  CHECK(unknown.code() == ErrorCode::not_found);
  CHECK_THAT(unknown.message(), ContainsSubstring("its tags are 'latest', 'v1', 'v2'"));
  const auto ambiguous = failure_of([&] { (void)layout.resolve(""); });
  CHECK(ambiguous.code() == ErrorCode::not_found);
  CHECK_THAT(ambiguous.message(), ContainsSubstring("it holds 3"));
}

TEST_CASE("Fields that other tools wrote survive", "[blob][layout]") {
  const io::TempDirectory directory;
  auto layout = Layout::create(directory.path() / "l");
  const std::string entry =
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
      image("x").digest.to_string() +
      R"(","size":1,"urls":["https://example.org/x"],"platform":{"architecture":"amd64","os":"linux","os.version":"7"}})";
  write_file(layout.directory() / "index.json",
             R"({"schemaVersion":2,"x-field":{"b":1,"a":2},"manifests":[)" + entry + "]}");
  CHECK(layout.tag(image("one"), "v1", {}));
  const std::string bytes = read_file(layout.directory() / "index.json");
  CHECK_THAT(bytes, ContainsSubstring(entry));
  CHECK_THAT(bytes, ContainsSubstring(R"("x-field":{"b":1,"a":2})"));
  CHECK(layout.index()->manifests.size() == 2);
}

TEST_CASE("index.json is a pure function of what was tagged", "[blob][layout]") {
  const io::TempDirectory directory;
  auto layout = Layout::create(directory.path() / "l");
  layout.tag(image("one"), "v1", {});
  layout.tag(image("two"), "v2", {});
  oci::Index expected;
  expected.manifests = {named(image("one"), "v1"), named(image("two"), "v2")};
  CHECK(read_file(layout.directory() / "index.json") == oci::seal(expected).bytes());
}

TEST_CASE("Two of a name become one", "[blob][layout]") {
  const io::TempDirectory directory;
  auto layout = Layout::create(directory.path() / "l");
  oci::Index twice;
  twice.manifests = {named(image("one"), "v1"), named(image("two"), "v1")};
  write_file(layout.directory() / "index.json", oci::seal(twice).bytes());
  CHECK(layout.tag(image("two"), "v1", {}));
  CHECK(layout.index()->manifests.size() == 1);
}

TEST_CASE("Taggers side by side lose no tag", "[blob][layout]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "l";
  for_each_index(8, 4, {}, [&](std::size_t i, const Operation& op) {
    auto layout = Layout::create(path, io::Durability::cached);
    layout.tag(image(std::to_string(i)), "v" + std::to_string(i), op);
  });
  const auto layout = Layout::open(path);
  CHECK(layout.index()->manifests.size() == 8);
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(layout.resolve("v" + std::to_string(i)).digest == image(std::to_string(i)).digest);
  }
  CHECK(names_in(path) == std::set<std::string>{"blobs", "index.json", "oci-layout"});
}

TEST_CASE("A directory that is something else is refused", "[blob][layout]") {
  const io::TempDirectory directory;
  write_file(directory.path() / "precious", "x");
  const auto refused = failure_of([&] { (void)Layout::create(directory.path()); });
  CHECK(refused.code() == ErrorCode::already_exists);
  CHECK_FALSE(refused.hint().empty());
  CHECK(names_in(directory.path()) == std::set<std::string>{"precious"});
  CHECK(failure_of([&] { (void)Layout::open(directory.path()); }).code() == ErrorCode::not_found);
  CHECK(failure_of([&] { (void)Layout::open(directory.path() / "no"); }).code() ==
        ErrorCode::not_found);
  CHECK(failure_of([&] { (void)Layout::create(directory.path() / "precious"); }).code() !=
        ErrorCode::internal);
}

TEST_CASE("An empty directory, and what a killed run left, become a layout", "[blob][layout]") {
  const io::TempDirectory directory;
  SECTION("empty") {}
  SECTION("a temporary file") {
    write_file(directory.path() / ".aipack-tmp-123", "x");
  }
  SECTION("killed after the first file") {
    write_file(directory.path() / "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  }
  auto layout = Layout::create(directory.path());
  CHECK(layout.tag(image("one"), "v1", {}));
  CHECK(Layout::open(directory.path()).resolve("v1").digest == image("one").digest);
}

TEST_CASE("Broken layouts are refused", "[blob][layout]") {
  const io::TempDirectory directory;
  const auto path = directory.path() / "l";
  (void)Layout::create(path);
  SECTION("no version") {
    write_file(path / "oci-layout", GENERATE("", "{}", "[]", "no", R"({"imageLayoutVersion":1})"));
    CHECK(failure_of([&] { (void)Layout::open(path); }).code() == ErrorCode::corrupt);
    CHECK(failure_of([&] { (void)Layout::create(path); }).code() == ErrorCode::corrupt);
  }
  SECTION("a version of the future") {
    write_file(path / "oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
    CHECK(failure_of([&] { (void)Layout::open(path); }).code() == ErrorCode::unsupported);
  }
  SECTION("no index") {
    std::filesystem::remove(path / "index.json");
    CHECK(failure_of([&] { (void)Layout::open(path); }).code() == ErrorCode::corrupt);
  }
  SECTION("no blobs") {
    std::filesystem::remove_all(path / "blobs");
    CHECK(failure_of([&] { (void)Layout::open(path); }).code() == ErrorCode::corrupt);
  }
  SECTION("an index that is none") {
    write_file(path / "index.json", "{}");
    auto layout = Layout::open(path);
    CHECK(failure_of([&] { (void)layout.index(); }).code() == ErrorCode::corrupt);
    CHECK(failure_of([&] { layout.tag(image("x"), "v1", {}); }).code() == ErrorCode::corrupt);
    CHECK(read_file(path / "index.json") == "{}");
  }
}
