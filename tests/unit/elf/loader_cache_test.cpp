#include "aipack/core/error.hpp"
#include "aipack/elf/loader_cache.hpp"

#include "support/catch.hpp"
#include "support/elf_writer.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/wait.h>

using namespace aipack;
namespace filesystem = std::filesystem;

namespace {

std::vector<std::byte> read_all(const filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void write(const filesystem::path& path, const std::vector<std::byte>& bytes) {
  filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

/// The text of section 0 of the extension block.
std::string generator_of(const std::vector<std::byte>& cache) {
  const std::string text(reinterpret_cast<const char*>(cache.data()), cache.size());
  return text.substr(text.find("ldconfig "));
}

} // namespace

TEST_CASE("A loader cache that was written reads back in ldconfig's order", "[elf][cache]") {
  const auto machine = GENERATE(elf::Machine::x86_64, elf::Machine::aarch64, elf::Machine::riscv64);
  const std::vector<elf::CacheEntry> entries{
      {"liba.so.2", "/lib/t/liba.so.2"},
      {"liba.so.10", "/lib/t/liba.so.10"},
      {"libz.so.1", "/lib/t/libz.so.1"},
      {"libz.so.1", "/lib/t/glibc-hwcaps/x86-64-v3/libz.so.1", "x86-64-v3"},
      {"libz.so.1", "/opt/lib/libz.so.1"},
      {"libz.so.1", "/lib/t/glibc-hwcaps/x86-64-v2/libz.so.1", "x86-64-v2"},
  };
  const auto bytes = elf::write_loader_cache(machine, entries);
  CHECK(elf::read_loader_cache(bytes) == std::vector<elf::CacheEntry>{entries[5], entries[3],
                                                                      entries[2], entries[4],
                                                                      entries[1], entries[0]});
  const auto flags = static_cast<unsigned>(bytes[48]) | static_cast<unsigned>(bytes[49]) << 8U;
  CHECK(flags == (machine == elf::Machine::x86_64    ? 0x0303U
                  : machine == elf::Machine::aarch64 ? 0x0a03U
                                                     : 0x1003U));
  CHECK(elf::read_loader_cache(elf::write_loader_cache(machine, {})).empty());
}

TEST_CASE("A loader cache is byte for byte what ldconfig writes", "[elf][cache][interop]") {
  if (std::system("command -v /sbin/ldconfig >/dev/null 2>&1") != 0) {
    WARN("skipped: this machine has no /sbin/ldconfig");
    return;
  }
  char name[] = "/tmp/aipack-test-XXXXXX";
  REQUIRE(mkdtemp(name) != nullptr);
  const filesystem::path root = name;
  // The directory order of ld.so.conf, which is the order of entries of one name.
  const auto library = [&](const std::string& directory, const std::string& file,
                           const std::string& hwcap = "") {
    test::ElfSpec spec;
    spec.soname = file;
    write(root / directory / file, test::make_elf(spec));
    return elf::CacheEntry{file, "/" + directory + "/" + file, hwcap};
  };
  std::vector<elf::CacheEntry> entries{
      library("opt/b", "libfoo.so.1"),    library("opt/b", "libstdc++.so.6"),
      library("opt/b", "libfoo-2.so.11"), library("opt/b", "libfoo-2.so.9"),
      library("opt/b", "libfoo.so.1.2"),  library("opt/b", "libre2.so.11"),
      library("opt/b", "ld-linux.so.2"),  library("opt/b", "libFoo.so.1"),
      library("opt/b", "lib2geom.so.1")};
  SECTION("without subdirectories") {}
  SECTION("with glibc-hwcaps") {
    entries.push_back(library("opt/b/glibc-hwcaps/x86-64-v3", "libfoo.so.1", "x86-64-v3"));
    entries.push_back(library("opt/b/glibc-hwcaps/x86-64-v2", "libfoo.so.1", "x86-64-v2"));
    entries.push_back(library("opt/b/glibc-hwcaps/x86-64-v2", "libonly.so.1", "x86-64-v2"));
  }
  entries.push_back(library("opt/a", "libfoo.so.1"));
  filesystem::create_directories(root / "etc");
  std::ofstream(root / "etc/ld.so.conf") << "/opt/b\n/opt/a\n";
  const std::string command =
      "/sbin/ldconfig -X -r " + root.string() + " >" + root.string() + "/log 2>&1";
  REQUIRE(std::system(command.c_str()) == 0);
  const auto theirs = read_all(root / "etc/ld.so.cache");
  filesystem::remove_all(root);
  const auto ours = elf::write_loader_cache(elf::Machine::x86_64, entries, generator_of(theirs));
  CHECK(elf::read_loader_cache(theirs) == elf::read_loader_cache(ours));
  CHECK(theirs == ours);
}

TEST_CASE("read_loader_cache refuses broken caches", "[elf][cache]") {
  auto bytes = elf::write_loader_cache(
      elf::Machine::x86_64, {{"liba.so", "/lib/liba.so"}, {"liba.so", "/lib/v3/liba.so", "v3"}});
  SECTION("truncated anywhere before the generator") {
    for (std::size_t size = 0; size + 6 < bytes.size(); ++size) {
      CHECK_THROWS_AS(elf::read_loader_cache(std::span(bytes).first(size)), FormatError);
    }
  }
  SECTION("more entries than bytes") {
    bytes[22] = std::byte{0x0e};
    CHECK_THROWS_WITH(elf::read_loader_cache(bytes), ContainsSubstring("entries end past"));
  }
  SECTION("too many entries") {
    bytes[23] = std::byte{0x7f};
    CHECK_THROWS_WITH(elf::read_loader_cache(bytes), ContainsSubstring("1000000"));
  }
  SECTION("a string outside") {
    bytes[55] = std::byte{0x7f};
    CHECK_THROWS_WITH(elf::read_loader_cache(bytes), ContainsSubstring("outside the file"));
  }
  SECTION("a subdirectory that is not listed") {
    bytes[48 + 16] = std::byte{9};
    CHECK_THROWS_WITH(elf::read_loader_cache(bytes), ContainsSubstring("glibc-hwcaps"));
  }
  SECTION("another file") {
    CHECK_THROWS_WITH(elf::read_loader_cache(test::make_elf({})),
                      ContainsSubstring("not a loader cache"));
  }
}
