#include "aipack/core/error.hpp"
#include "aipack/deb/package_file.hpp"
#include "aipack/io/temp_file.hpp"

#include "support/catch.hpp"
#include "support/debian_archive.hpp"

#include <algorithm>
#include <fstream>
#include <thread>

using namespace aipack;
using test::ar;
using test::TestPackage;
using test::xz;

namespace {

struct Fixture {
  io::TempDirectory directory{};
  std::filesystem::path cache = directory.path() / "unpacked";

  [[nodiscard]] deb::PackageFile open(const std::string& bytes) const {
    const auto file = directory.path() / "test.deb";
    std::ofstream(file, std::ios::binary) << bytes;
    return deb::open_package(file, oci::Digest::of(bytes), cache, {});
  }
  [[nodiscard]] Error error_of(const std::string& bytes) const {
    try {
      (void)open(bytes);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorCode::internal, "it was opened");
  }
  /// The names in the cache that end in `extension`.
  [[nodiscard]] std::vector<std::filesystem::path> cached(std::string_view extension) const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(cache)) {
      if (entry.path().extension() == extension) {
        files.push_back(entry.path());
      }
    }
    return files;
  }
};

TestPackage example() {
  return {.name = "libfoo1",
          .fields = "Depends: libc6 (>= 2.38)\n",
          .control_files = {{"postinst", "#!/bin/sh\nset -e\n"},
                            {"md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/share/empty\n"},
                            {"triggers", "activate-noawait ldconfig\n"},
                            {"templates", "not kept"}},
          .files = {{"usr/lib/x86_64-linux-gnu/libfoo.so.1", "->libfoo.so.1.2"},
                    {"usr/lib/x86_64-linux-gnu/libfoo.so.1.2", std::string(100'000, 'f')},
                    {"usr/share/empty", ""},
                    {"usr/share/doc/libfoo1/copyright", "free"}}};
}

std::string text_of(const fs::ContentPtr& content) {
  return io::read_text(*content->open(), 1 << 20, "content");
}

/// The content of the example's library.
std::string library_of(const deb::PackageFile& package) {
  const auto found =
      std::find_if(package.members.begin(), package.members.end(),
                   [](const auto& item) { return item.member.path.filename() == "libfoo.so.1.2"; });
  return found == package.members.end() ? "" : text_of(found->content);
}

} // namespace

TEST_CASE("open_package lists control data and files", "[deb][package]") {
  const Fixture fixture;
  const TestPackage package = example();
  const auto opened = fixture.open(package.deb());
  CHECK(opened.control_text == package.control());
  CHECK(opened.control.get("Depends") == "libc6 (>= 2.38)");
  CHECK(opened.scripts == std::map<std::string, std::string>{{"postinst", "#!/bin/sh\nset -e\n"}});
  CHECK(opened.metadata.size() == 2);
  CHECK(opened.metadata.at("triggers") == "activate-noawait ldconfig\n");
  std::map<std::string, const deb::PackageMember*> by_path;
  for (const auto& member : opened.members) {
    by_path[member.member.path.text()] = &member;
  }
  REQUIRE(by_path.count("usr/lib/x86_64-linux-gnu/libfoo.so.1") == 1);
  CHECK(by_path.at("usr/lib/x86_64-linux-gnu/libfoo.so.1")->member.link_target == "libfoo.so.1.2");
  CHECK_FALSE(by_path.at("usr/lib/x86_64-linux-gnu/libfoo.so.1")->content);
  CHECK_FALSE(by_path.at("usr")->content);
  CHECK((text_of(by_path.at("usr/lib/x86_64-linux-gnu/libfoo.so.1.2")->content) ==
         std::string(100'000, 'f')));
  CHECK(by_path.at("usr/share/empty")->content->size() == 0);
  CHECK(text_of(by_path.at("usr/share/doc/libfoo1/copyright")->content) == "free");
  // A second time from the cache, to the same extents.
  const auto again = fixture.open(package.deb());
  CHECK(again.members.size() == opened.members.size());
  CHECK(fixture.cached(".tar").size() == 1);
}

TEST_CASE("open_package takes every compression, told by the bytes", "[deb][package]") {
  const Fixture fixture;
  const std::string control = test::tar({{"control", example().control()}});
  const std::string data = test::tar(example().files);
  std::string packed_control;
  std::string packed_data;
  std::string suffix;
  SECTION("none") {
    packed_control = control, packed_data = data, suffix = "";
  }
  SECTION("xz") {
    packed_control = xz(control), packed_data = xz(data), suffix = ".xz";
  }
  SECTION("gzip") {
    packed_control = test::compress(control, {.codec = codec::Codec::gzip}),
    packed_data = test::compress(data, {.codec = codec::Codec::gzip});
    suffix = ".gz";
  }
  SECTION("zstd") {
    packed_control = test::compress(control, {.level = 1}),
    packed_data = test::compress(data, {.level = 1}), suffix = ".zst";
  }
  SECTION("a wrong name") {
    packed_control = xz(control), packed_data = xz(data), suffix = ".gz";
  }
  const auto opened = fixture.open(ar({{"debian-binary", "2.0\n"},
                                       {"_extra", "ignored"},
                                       {"control.tar" + suffix, packed_control},
                                       {"data.tar" + suffix, packed_data},
                                       {"trailer", "ignored"}}));
  CHECK(opened.control.get("Package") == "libfoo1");
  CHECK(opened.members.size() == 10);
}

TEST_CASE("open_package refuses what is no Debian package", "[deb][package]") {
  const Fixture fixture;
  const std::string control = xz(test::tar({{"control", example().control()}}));
  const std::string data = xz(test::tar(example().files));
  const std::pair<std::string, std::string> format{"debian-binary", "2.0\n"};
  std::string bad;
  ErrorCode code = ErrorCode::corrupt;
  SECTION("empty") {
    bad = "";
  }
  SECTION("no ar") {
    bad = "PK\x03\x04 something else altogether";
  }
  SECTION("no members") {
    bad = ar({});
  }
  SECTION("another first member") {
    bad = ar({{"control.tar.xz", control}, format, {"data.tar.xz", data}});
  }
  SECTION("another format version") {
    bad = ar({{"debian-binary", "3.0\n"}, {"control.tar.xz", control}, {"data.tar.xz", data}});
    code = ErrorCode::unsupported;
  }
  SECTION("data before control") {
    bad = ar({format, {"data.tar.xz", data}, {"control.tar.xz", control}});
  }
  SECTION("no data") {
    bad = ar({format, {"control.tar.xz", control}});
  }
  SECTION("no control") {
    bad = ar({format, {"data.tar.xz", data}});
  }
  SECTION("a stranger in between") {
    bad = ar({format, {"control.tar.xz", control}, {"other", "x"}, {"data.tar.xz", data}});
  }
  SECTION("control.tar without control") {
    bad = ar({format, {"control.tar.xz", xz(test::tar({{"md5sums", ""}}))}, {"data.tar.xz", data}});
  }
  SECTION("control with two paragraphs") {
    bad = ar({format,
              {"control.tar.xz",
               xz(test::tar({{"control", example().control() + "\nPackage: evil\n"}}))},
              {"data.tar.xz", data}});
  }
  SECTION("control without a version") {
    bad = ar({format,
              {"control.tar.xz", xz(test::tar({{"control", "Package: x\nArchitecture: all\n"}}))},
              {"data.tar.xz", data}});
  }
  SECTION("truncated data") {
    bad =
        ar({format, {"control.tar.xz", control}, {"data.tar.xz", data.substr(0, data.size() / 2)}});
  }
  SECTION("truncated tar") {
    const std::string tar = test::tar(example().files);
    bad = ar({format, {"control.tar.xz", control}, {"data.tar", tar.substr(0, tar.size() / 2)}});
  }
  SECTION("truncated file") {
    const std::string deb = example().deb();
    bad = deb.substr(0, deb.size() - 20);
  }
  const Error error = fixture.error_of(bad);
  CHECK(error.code() == code);
  CHECK_FALSE(error.context().empty());
}

TEST_CASE("open_package may run on several threads for one package", "[deb][package]") {
  const Fixture fixture;
  const std::string bytes = example().deb();
  const auto file = fixture.directory.path() / "test.deb";
  std::ofstream(file, std::ios::binary) << bytes;
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const auto opened = deb::open_package(file, oci::Digest::of(bytes), fixture.cache, {});
        good += library_of(opened).size() == 100'000 ? 1 : 0;
      });
    }
  }
  CHECK(good == 4);
  REQUIRE(fixture.cached(".tar").size() == 1);
  // A late one may have remembered a digest, whose lock stays.
  CHECK_FALSE(std::filesystem::exists(fixture.cached(".tar").front() += ".lock"));
}

TEST_CASE("an unpacked package that was changed in the cache is unpacked again",
          "[deb][package][tamper]") {
  const Fixture fixture;
  const std::string bytes = example().deb();
  (void)fixture.open(bytes);
  (void)fixture.open(bytes); // hashed, and perhaps remembered
  const auto tar = fixture.cached(".tar").at(0);
  const auto sum = fixture.cached(".sha256").at(0);
  const std::string good = io::read_text_file(tar, 1 << 20);
  const std::string good_sum = io::read_text_file(sum, 1 << 20);
  std::string bad = good;
  bad[bad.find(std::string(1000, 'f')) + 500] = 'g';
  SECTION("one byte, in place") {
    std::ofstream(tar, std::ios::in | std::ios::binary) << bad;
  }
  SECTION("another file") {
    io::write_file_atomically(tar, io::as_bytes(bad));
  }
  SECTION("cut off") {
    std::filesystem::resize_file(tar, 1024);
  }
  SECTION("its digest is gone") {
    io::write_file_atomically(tar, io::as_bytes(bad));
    std::filesystem::remove(sum);
  }
  SECTION("its digest is of something else") {
    io::write_file_atomically(sum, io::as_bytes(std::string(64, 'a') + good_sum.substr(64)));
  }
  const auto again = fixture.open(bytes);
  CHECK((library_of(again) == std::string(100'000, 'f')));
  CHECK((io::read_text_file(tar, 1 << 20) == good));
  CHECK(io::read_text_file(sum, 1 << 20) == good_sum);
  CHECK(good_sum == oci::Digest::of(good).hex() + "  " + tar.filename().string() + "\n");
}

TEST_CASE("dpkg-deb's packages open too", "[deb][package][interop]") {
  if (std::system("dpkg-deb --version >/dev/null 2>&1") != 0) {
    WARN("skipped: requires dpkg-deb");
    return;
  }
  const Fixture fixture;
  const auto root = fixture.directory.path() / "root";
  const std::string long_name(150, 'n');
  test::write_files(
      root, {{"DEBIAN/control", example().control()}, {"usr/share/" + long_name, "content"}});
  const std::string compression = GENERATE("none", "gzip", "xz", "zstd");
  const std::string command =
      "dpkg-deb --root-owner-group -Z" + compression + " -b '" + root.string() + "' '" +
      (fixture.directory.path() / "made.deb").string() + "' >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) {
    WARN("skipped: this dpkg-deb cannot write " + compression);
    return;
  }
  const auto file = fixture.directory.path() / "made.deb";
  const auto opened = deb::open_package(file, oci::Digest::of(compression), fixture.cache, {});
  CHECK(opened.control_text == example().control());
  const auto& last = opened.members.back();
  CHECK(last.member.path.text() == "usr/share/" + long_name);
  CHECK(text_of(last.content) == "content");
  CHECK(last.member.uid == 0);
}
