#include "aipack/core/error.hpp"
#include "aipack/elf/object.hpp"

#include "support/catch.hpp"
#include "support/elf_writer.hpp"

#include <fstream>
#include <iterator>
#include <random>

using namespace aipack;
using test::ElfSpec;
using test::make_elf;

namespace {

void put(std::vector<std::byte>& bytes, std::size_t at, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    bytes.at(at + i) = static_cast<std::byte>(value >> (8 * i) & 0xff);
  }
}

/// Offset of the dynamic entry with this tag.
std::size_t dynamic_entry(const std::vector<std::byte>& bytes, std::uint64_t tag) {
  const auto number = [&](std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 8; i-- > 0;) {
      value = value << 8 | std::to_integer<std::uint64_t>(bytes.at(at + i));
    }
    return value;
  };
  for (std::size_t header = 64;; header += 56) {
    if ((number(header) & 0xffffffff) == 2) {
      std::size_t at = number(header + 8);
      while (number(at) != tag) {
        at += 16;
      }
      return at;
    }
  }
}

} // namespace

TEST_CASE("elf::read gives what a library declares, for each machine", "[elf]") {
  const auto machine = GENERATE(elf::Machine::x86_64, elf::Machine::aarch64, elf::Machine::riscv64);
  ElfSpec spec;
  spec.machine = machine;
  spec.soname = "libfoo.so.1";
  spec.needed = {"libbar.so.2", "libc.so.6"};
  spec.rpath = "/opt/lib";
  spec.runpath = "$ORIGIN/../lib";
  spec.versions_needed = {{"libc.so.6", {"GLIBC_2.38", "?GLIBC_2.41"}}, {"libbar.so.2", {"BAR_1"}}};
  spec.versions_defined = {"FOO_1", "FOO_2"};
  spec.undefined_symbols = {"malloc", "dlopen"};
  spec.extra_strings = {
      {0x7ffffffd, "libaux.so.1"}, {0x7fffffff, "libfilter.so.1"}, {0x6ffffefc, "libaudit.so"}};
  spec.extra_tags = {{0x6ffffffb, 0x800}};
  const elf::Object object = elf::read(make_elf(spec), "libfoo.so.1");
  CHECK(object.is(machine));
  CHECK(object.type == 3);
  CHECK(object.soname == "libfoo.so.1");
  CHECK(object.needed == std::vector<std::string>{"libbar.so.2", "libc.so.6"});
  CHECK(object.rpath == "/opt/lib");
  CHECK(object.runpath == "$ORIGIN/../lib");
  CHECK(object.versions_needed.at("libc.so.6") == std::set<std::string>{"GLIBC_2.38"});
  CHECK(object.versions_needed.at("libbar.so.2") == std::set<std::string>{"BAR_1"});
  CHECK(object.versions_defined == std::set<std::string>{"FOO_1", "FOO_2"});
  CHECK(object.auxiliaries == std::vector<std::string>{"libaux.so.1"});
  CHECK(object.filters == std::vector<std::string>{"libfilter.so.1"});
  CHECK(object.audit == std::vector<std::string>{"libaudit.so"});
  CHECK(object.flags_1 == 0x800);
  CHECK(object.imports_dlopen);
  CHECK(object.interpreter.empty());
  CHECK_FALSE(object.isa_level);
}

TEST_CASE("elf::read gives the interpreter, the ISA level and dlopen notes", "[elf]") {
  ElfSpec spec;
  spec.interpreter = "/lib64/ld-linux-x86-64.so.2";
  spec.x86_isa_bits = 0b111;
  spec.dlopen_note =
      R"([{"soname":["liblzma.so.5","liblzma.so.4"],"feature":"lzma","description":"d","priority":"required"},{"soname":["liba.so"]}])";
  const elf::Object object = elf::read(make_elf(spec), "prog");
  CHECK(object.interpreter == "/lib64/ld-linux-x86-64.so.2");
  CHECK(object.isa_level == 3U);
  REQUIRE(object.dlopen_notes.size() == 2);
  CHECK(object.dlopen_notes[0] ==
        elf::DlopenNote{{"liblzma.so.5", "liblzma.so.4"}, "lzma", "d", "required"});
  CHECK(object.dlopen_notes[1] == elf::DlopenNote{{"liba.so"}, "", "", "recommended"});
  CHECK_FALSE(object.imports_dlopen);
}

TEST_CASE("A riscv64 object of another calling convention is not ours", "[elf]") {
  const auto [flags, ours] = GENERATE(table<std::uint32_t, bool>(
      {{0x4, true}, {0x5, true}, {0x1, false}, {0x3, false}, {0x7, false}, {0xd, false}}));
  ElfSpec spec;
  spec.machine = elf::Machine::riscv64;
  spec.flags = flags;
  CHECK(elf::read(make_elf(spec), "x").is(elf::Machine::riscv64) == ours);
}

TEST_CASE("elf::read refuses what is not a 64-bit little-endian ELF file", "[elf]") {
  auto bytes = make_elf({});
  SECTION("32 bits") {
    bytes[4] = std::byte{1};
    CHECK_THROWS_WITH(elf::read(bytes, "x"), ContainsSubstring("32-bit"));
  }
  SECTION("big-endian") {
    bytes[5] = std::byte{2};
    CHECK_THROWS_WITH(elf::read(bytes, "x"), ContainsSubstring("big-endian"));
  }
  SECTION("no magic") {
    bytes[0] = std::byte{0};
    CHECK_THROWS_AS(elf::read(bytes, "x"), FormatError);
    CHECK_FALSE(elf::is_elf(bytes));
  }
  SECTION("empty") {
    CHECK_THROWS_AS(elf::read({}, "x"), FormatError);
  }
}

TEST_CASE("elf::read names the fault of a hostile file", "[elf]") {
  ElfSpec spec;
  spec.soname = "libfoo.so.1";
  spec.needed = {"libc.so.6"};
  spec.versions_needed = {{"libc.so.6", {"GLIBC_2.38"}}};
  spec.versions_defined = {"FOO_1"};
  spec.undefined_symbols = {"malloc"};
  spec.dlopen_note = "[]";
  auto bytes = make_elf(spec);
  const auto set_tag = [&](std::uint64_t tag, std::uint64_t value) {
    put(bytes, dynamic_entry(bytes, tag) + 8, value, 8);
  };
  std::string cause;
  SECTION("program headers past the end") {
    put(bytes, 32, bytes.size() - 8, 8);
    cause = "program header table ends past the end";
  }
  SECTION("program header size") {
    put(bytes, 54, 32, 2);
    cause = "wrong entry size";
  }
  SECTION("a segment past the end: truncated") {
    bytes.resize(bytes.size() - 40);
    cause = "segment ends past the end";
  }
  SECTION("section headers past the end") {
    put(bytes, 40, 1U << 30U, 8);
    put(bytes, 60, 3, 2);
    cause = "section header table ends past the end";
  }
  SECTION("string table outside") {
    set_tag(5, 1U << 30U);
    cause = "dynamic string table lies outside";
  }
  SECTION("string table size wraps") {
    set_tag(10, ~std::uint64_t{0});
    cause = "dynamic string table lies outside";
  }
  SECTION("name outside the string table") {
    set_tag(1, 1U << 20U);
    cause = "name lies outside the dynamic string table";
  }
  SECTION("last name not terminated") {
    const std::size_t at = dynamic_entry(bytes, 10) + 8;
    put(bytes, at, std::to_integer<std::uint64_t>(bytes[at]) - 1, 1);
    cause = "not terminated";
  }
  SECTION("versions needed outside") {
    set_tag(0x6ffffffe, 1U << 30U);
    cause = "needed versions lies outside";
  }
  SECTION("versions needed: a chain past its segment") {
    set_tag(0x6fffffff, 5);
    std::uint64_t at = 0;
    for (std::size_t i = 8; i-- > 0;) {
      at =
          at << 8 | std::to_integer<std::uint64_t>(bytes[dynamic_entry(bytes, 0x6ffffffe) + 8 + i]);
    }
    put(bytes, at + 12, 0x7fffffff, 4);
    cause = "ends past its segment";
  }
  SECTION("symbol table outside") {
    set_tag(6, 1U << 30U);
    cause = "symbol table lies outside";
  }
  const std::string message = [&] {
    try {
      (void)elf::read(bytes, "evil.so");
    } catch (const FormatError& error) {
      CHECK(error.file() == "evil.so");
      CHECK(error.offset());
      return error.message();
    }
    return std::string("no error");
  }();
  CHECK_THAT(message, ContainsSubstring(cause));
}

TEST_CASE("elf::read counts what it reads", "[elf]") {
  ElfSpec spec;
  SECTION("dynamic entries") {
    spec.extra_tags.assign(elf::max_dynamic_entries + 1, {0x6ffffffb, 0});
    CHECK_THROWS_WITH(elf::read(make_elf(spec), "x"), ContainsSubstring("4096 dynamic entries"));
  }
  SECTION("versions") {
    spec.versions_needed["libc.so.6"].assign(elf::max_version_entries + 1, "A");
    CHECK_THROWS_WITH(elf::read(make_elf(spec), "x"), ContainsSubstring("4096 needed versions"));
  }
  SECTION("a version chain that stands still") {
    spec.versions_needed = {{"liba.so", {"A"}}};
    spec.extra_tags = {{0x6fffffff, ~std::uint64_t{0}}};
    CHECK(elf::read(make_elf(spec), "x").versions_needed.size() == 1);
  }
  SECTION("depth of a dlopen note") {
    spec.dlopen_note = std::string(100'000, '[');
    CHECK_THROWS_WITH(elf::read(make_elf(spec), "x"), ContainsSubstring(".note.dlopen"));
  }
}

TEST_CASE("elf::library_names_in finds what a program may open", "[elf]") {
  ElfSpec spec;
  spec.soname = "libself.so.1";
  spec.needed = {"libc.so.6"};
  spec.read_only_strings = {"libonnxruntime_providers_shared.so",
                            "libonnxruntime.so.1.21",
                            "cannot open libx.so",
                            "lib%s.so",
                            "liby.so.x",
                            "plugin.so",
                            "dir/libz.so.2",
                            "lib.so"};
  CHECK(elf::library_names_in(make_elf(spec)) ==
        std::vector<std::string>{"dir/libz.so.2", "libonnxruntime.so.1.21",
                                 "libonnxruntime_providers_shared.so"});
}

TEST_CASE("elf::read reads this very test program", "[elf]") {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const elf::Object object = elf::read(std::as_bytes(std::span(text)), "self");
  CHECK(object.interpreter.starts_with("/lib"));
  CHECK(std::find(object.needed.begin(), object.needed.end(), "libc.so.6") != object.needed.end());
  CHECK(object.versions_needed.at("libc.so.6").size() > 1);
}

TEST_CASE("machine names come from OCI's architecture names", "[elf]") {
  CHECK(elf::machine_of("amd64") == elf::Machine::x86_64);
  CHECK(elf::machine_of("arm64") == elf::Machine::aarch64);
  CHECK(elf::machine_of("riscv64") == elf::Machine::riscv64);
  CHECK_THROWS_WITH(elf::machine_of("s390x"), ContainsSubstring("'s390x'"));
}

TEST_CASE("A file whose bytes were changed at random is read or refused, never more", "[elf]") {
  ElfSpec spec;
  spec.soname = "libfoo.so.1";
  spec.needed = {"libc.so.6"};
  spec.versions_needed = {{"libc.so.6", {"GLIBC_2.38"}}};
  spec.versions_defined = {"FOO_1"};
  spec.undefined_symbols = {"dlopen"};
  spec.x86_isa_bits = 1;
  const auto original = make_elf(spec);
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    auto bytes = original;
    for (int i = 0; i < 4; ++i) {
      bytes[random() % bytes.size()] = static_cast<std::byte>(random() & 0xff);
    }
    try {
      (void)elf::read(bytes, "x");
      (void)elf::library_names_in(bytes);
    } catch (const Error&) {
    }
  }
  SUCCEED();
}
