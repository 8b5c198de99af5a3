#include "archive_fixture.hpp"

using namespace aipack;
using namespace aipack::archive_test;

TEST_CASE("fetch_source_file finds the newest file by its suffix", "[deb][source_file]") {
  Fixture fixture;
  const auto source = fixture.open();
  const auto file =
      source->fetch_source_file(fixture.sources(), "hello", ".orig.tar.gz|.orig.tar.xz", {});
  CHECK(content_of(file) == "the tarball");
  CHECK(file.filename().string().find("hello_2.0.orig.tar.xz") != std::string::npos);
  CHECK(error_of([&] {
          (void)source->fetch_source_file(fixture.sources(), "absent", ".dsc", {});
        }).code() == ErrorCode::not_found);
  CHECK(error_of([&] {
          (void)source->fetch_source_file(fixture.sources(), "hello", ".orig.tar.bz2", {});
        }).code() == ErrorCode::not_found);
  fixture.site.put("/debian/pool/main/h/hello/hello_2.0-1.dsc", "dsX");
  CHECK(error_of([&] {
          (void)source->fetch_source_file(fixture.sources(), "hello", ".dsc", {});
        }).code() == ErrorCode::corrupt);
}
