#include "aipack/core/error.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "user_files.hpp"

#include <filesystem>
#include <fstream>

using namespace aipack;
using namespace aipack::build;

namespace {

void write(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::vector<rootfs::ExtraFile> collect(const std::filesystem::path& source,
                                       std::string_view target) {
  return collect_user_files({{source, fs::RootPath::parse(target)}}, 42, {});
}

} // namespace

TEST_CASE("a folder is added with everything in it, in a fixed order and with plain modes",
          "[build][user_files]") {
  const io::TempDirectory directory;
  write(directory.path() / "app/b.txt", "b");
  write(directory.path() / "app/a/run", "#!");
  std::filesystem::permissions(directory.path() / "app/a/run", std::filesystem::perms::owner_all);
  std::filesystem::permissions(directory.path() / "app/b.txt", std::filesystem::perms::owner_read);
  std::filesystem::create_symlink("a/run", directory.path() / "app/start");
  const auto files = collect(directory.path() / "app", "/srv/app");
  REQUIRE(files.size() == 5);
  CHECK(files[0].path.to_string() == "/srv/app");
  CHECK(files[1].path.to_string() == "/srv/app/a");
  CHECK(files[2].path.to_string() == "/srv/app/a/run");
  CHECK(files[2].entry.mode == 0755);
  CHECK(files[3].entry.mode == 0644);
  CHECK(files[4].entry.link_target == "a/run");
  for (const auto& file : files) {
    CHECK(file.entry.mtime == 42);
    CHECK(file.entry.uid == 0);
  }
}

TEST_CASE("a link out of the folder is refused", "[build][user_files]") {
  const io::TempDirectory directory;
  const auto* target = GENERATE("/etc/passwd", "../outside", "a/../../outside");
  std::filesystem::create_directories(directory.path() / "app/a");
  std::filesystem::create_symlink(target, directory.path() / "app/link");
  CHECK_THROWS_AS(collect(directory.path() / "app", "/srv/app"), Error);
}

TEST_CASE("what is neither file, folder nor link is refused", "[build][user_files]") {
  CHECK_THROWS_AS(collect("/dev/null", "/srv/null"), Error);
  CHECK_THROWS_AS(collect("/nonexistent/file", "/srv/x"), Error);
}
