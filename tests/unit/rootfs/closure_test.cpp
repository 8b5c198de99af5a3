#include "aipack/rootfs/closure.hpp"

#include "sample.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::test;

namespace {

constexpr auto x86 = elf::Machine::x86_64;
constexpr std::string_view triplet = "x86_64-linux-gnu";

/// A tree written by hand.
struct Tree {
  fs::FileTree tree;
  Tree& file(std::string_view path, const std::vector<std::byte>& bytes) {
    tree.put(at(path), {.content = fs::memory_content(std::string(
                            reinterpret_cast<const char*>(bytes.data()), bytes.size()))});
    return *this;
  }
  Tree& elf(std::string_view path, const ElfSpec& spec) { return file(path, make_elf(spec)); }
  Tree& text(std::string_view path, std::string text) {
    tree.put(at(path), {.content = fs::memory_content(std::move(text))});
    return *this;
  }
  Tree& link(std::string_view path, std::string target) {
    tree.put(at(path), {.type = fs::FileType::symlink, .link_target = std::move(target)});
    return *this;
  }
  [[nodiscard]] rootfs::Closure closure(std::string_view root = "usr/bin/p",
                                        elf::Machine machine = x86,
                                        std::string_view wanted_triplet = triplet) {
    tree.add_missing_parents(0);
    return rootfs::elf_closure(tree, machine, wanted_triplet, {{at(root), {"entrypoint", "test"}}},
                               Operation{});
  }
};

std::vector<std::string> paths_of(const rootfs::Closure& closure) {
  std::vector<std::string> paths;
  for (const auto& node : closure.nodes) {
    paths.push_back(node.path.text());
  }
  return paths;
}

ElfSpec needing(std::vector<std::string> needed) {
  ElfSpec spec;
  spec.needed = std::move(needed);
  return spec;
}
ElfSpec named(std::string soname) {
  ElfSpec spec;
  spec.soname = std::move(soname);
  return spec;
}

} // namespace

TEST_CASE("The closure follows the interpreter and DT_NEEDED through links", "[closure]") {
  Tree t;
  auto root = needing({"liba.so.1"});
  root.interpreter = "/lib64/ld-linux-x86-64.so.2";
  auto a = named("liba.so.1");
  a.needed = {"libb.so.1"};
  t.elf("usr/bin/p", root)
      .link("lib64", "usr/lib64")
      .link("lib", "usr/lib")
      .link("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
  t.elf("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", named("ld-linux-x86-64.so.2"));
  t.elf("usr/lib/x86_64-linux-gnu/liba.so.1.0", a)
      .link("usr/lib/x86_64-linux-gnu/liba.so.1", "liba.so.1.0");
  t.elf("usr/lib/libb.so.1", named("libb.so.1")).elf("usr/lib/libunused.so", named("libunused.so"));
  const auto closure = t.closure();
  CHECK(paths_of(closure) ==
        std::vector<std::string>{"usr/bin/p", "usr/lib/libb.so.1",
                                 "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
                                 "usr/lib/x86_64-linux-gnu/liba.so.1.0"});
  CHECK(closure.missing.empty());
  const auto& library = closure.nodes[3];
  CHECK(library.reason == fs::Reason{"needed", "DT_NEEDED liba.so.1", at("usr/bin/p")});
  CHECK(library.links ==
        std::vector<fs::RootPath>{at("lib"), at("usr/lib/x86_64-linux-gnu/liba.so.1")});
  CHECK(closure.nodes[2].reason.rule == "interpreter");
  CHECK(closure.nodes[1].reason.from == at("usr/lib/x86_64-linux-gnu/liba.so.1.0"));
}

TEST_CASE("Libraries are searched in the order of the target's loader", "[closure]") {
  Tree t;
  auto root = needing({"libx.so"});
  std::string expected;
  // Everywhere at once; each section removes what would come first.
  for (const char* directory :
       {"opt/rpath", "opt/runpath", "usr/local/lib", "usr/lib/x86_64-linux-gnu", "usr/lib"}) {
    t.elf(std::string(directory) + "/libx.so", named("libx.so"));
  }
  t.text("etc/ld.so.conf", "include ld.so.conf.d/*.conf # all\n")
      .text("etc/ld.so.conf.d/l.conf", "/usr/local/lib/\n");
  SECTION("RPATH alone") {
    root.rpath = "/opt/rpath";
    expected = "opt/rpath/libx.so";
  }
  SECTION("RUNPATH silences RPATH") {
    root.rpath = "/opt/rpath";
    root.runpath = "/opt/runpath";
    expected = "opt/runpath/libx.so";
  }
  SECTION("a relative and an empty RUNPATH entry are passed over") {
    root.runpath = ":opt/rpath:/opt/runpath";
    expected = "opt/runpath/libx.so";
  }
  SECTION("ld.so.conf before the defaults") {
    expected = "usr/local/lib/libx.so";
  }
  SECTION("the multiarch directory before /usr/lib") {
    t.tree.erase(at("usr/local/lib/libx.so"));
    expected = "usr/lib/x86_64-linux-gnu/libx.so";
  }
  SECTION("a literal path") {
    root.needed = {"/opt/rpath/libx.so"};
    expected = "opt/rpath/libx.so";
  }
  SECTION("an object of another machine is passed over") {
    ElfSpec foreign = named("libx.so");
    foreign.machine = elf::Machine::aarch64;
    t.elf("usr/local/lib/libx.so", foreign);
    expected = "usr/lib/x86_64-linux-gnu/libx.so";
  }
  SECTION("a text file is passed over, as a linker script would be") {
    t.text("usr/local/lib/libx.so", "INPUT(-lx)");
    expected = "usr/lib/x86_64-linux-gnu/libx.so";
  }
  t.elf("usr/bin/p", root);
  const auto paths = paths_of(t.closure());
  REQUIRE(paths.size() == 2);
  CHECK((paths[0] == expected || paths[1] == expected));
}

TEST_CASE("$ORIGIN, $LIB and $PLATFORM are expanded for the target", "[closure]") {
  const auto [runpath, place] =
      GENERATE(table<std::string, std::string>({{"$ORIGIN/../private", "usr/private"},
                                                {"${ORIGIN}", "usr/bin"},
                                                {"/opt/$LIB", "opt/lib/aarch64-linux-gnu"},
                                                {"/opt/$PLATFORM/x", "opt/aarch64/x"}}));
  Tree t;
  auto root = needing({"libx.so"});
  root.machine = elf::Machine::aarch64;
  root.runpath = runpath;
  auto library = named("libx.so");
  library.machine = elf::Machine::aarch64;
  t.elf("usr/bin/p", root).elf(place + "/libx.so", library);
  CHECK(t.closure("usr/bin/p", elf::Machine::aarch64, "aarch64-linux-gnu").missing.empty());
}

TEST_CASE("DT_RPATH is inherited from the loader, DT_RUNPATH is not", "[closure]") {
  const bool inherited = GENERATE(true, false);
  Tree t;
  auto root = needing({"liba.so"});
  (inherited ? root.rpath : root.runpath) = "/opt/private";
  auto a = named("liba.so");
  a.needed = {"libb.so"};
  t.elf("usr/bin/p", root)
      .elf("opt/private/liba.so", a)
      .elf("opt/private/libb.so", named("libb.so"));
  CHECK(t.closure().missing.empty() == inherited);
}

TEST_CASE("What nothing provides is missing, with the chain that leads to it", "[closure]") {
  Tree t;
  auto a = named("liba.so");
  a.needed = {"libgone.so.3", "libcuda.so.1"};
  t.elf("usr/bin/p", needing({"liba.so"})).elf("usr/lib/liba.so", a);
  const auto closure = t.closure();
  REQUIRE(closure.missing.size() == 1); // the driver's library is injected at run time
  CHECK(closure.missing[0].soname == "libgone.so.3");
  CHECK(closure.missing[0].needed_by == at("usr/lib/liba.so"));
  CHECK(closure.missing[0].chain ==
        std::vector<fs::RootPath>{at("usr/bin/p"), at("usr/lib/liba.so")});
}

TEST_CASE("A missing interpreter is missing", "[closure]") {
  Tree t;
  ElfSpec root;
  root.interpreter = "/lib64/ld-linux-x86-64.so.2";
  t.elf("usr/bin/p", root);
  REQUIRE(t.closure().missing.size() == 1);
  CHECK(t.closure().missing[0].soname == "/lib64/ld-linux-x86-64.so.2");
}

TEST_CASE("A library that is loaded already satisfies a name that the search does not find",
          "[closure]") {
  Tree t;
  auto root = needing({"/opt/private/libcore.so.1.0", "libplugin.so"});
  auto plugin = named("libplugin.so");
  plugin.needed = {"libcore.so.1"};
  t.elf("usr/bin/p", root)
      .elf("opt/private/libcore.so.1.0", named("libcore.so.1"))
      .elf("usr/lib/libplugin.so", plugin);
  CHECK(t.closure().missing.empty());
}

TEST_CASE("dlopen notes are edges by their priority", "[closure]") {
  const auto [priority, there, nodes, missing] =
      GENERATE(table<std::string, bool, std::size_t, std::size_t>({{"required", true, 2, 0},
                                                                   {"required", false, 1, 1},
                                                                   {"recommended", true, 2, 0},
                                                                   {"recommended", false, 1, 0},
                                                                   {"suggested", true, 1, 0}}));
  Tree t;
  ElfSpec root;
  root.dlopen_note =
      R"([{"soname":["libnew.so.2","libold.so.1"],"priority":")" + priority + R"("}])";
  t.elf("usr/bin/p", root);
  if (there) {
    t.elf("usr/lib/libold.so.1", named("libold.so.1"));
  }
  const auto closure = t.closure();
  CHECK(closure.nodes.size() == nodes);
  CHECK(closure.missing.size() == missing);
}

TEST_CASE("DT_AUXILIARY is optional, DT_AUDIT is refused", "[closure]") {
  Tree t;
  ElfSpec root;
  SECTION("auxiliary") {
    root.extra_strings = {{0x7ffffffd, "libaux.so"}};
    t.elf("usr/bin/p", root);
    CHECK(t.closure().missing.empty());
    t.elf("usr/lib/libaux.so", named("libaux.so"));
    CHECK(t.closure().nodes.size() == 2);
  }
  SECTION("audit") {
    root.extra_strings = {{0x6ffffefc, "libaudit.so"}};
    t.elf("usr/bin/p", root);
    CHECK_THROWS_WITH(t.closure(), ContainsSubstring("libaudit.so"));
  }
}

TEST_CASE("glibc-hwcaps variants are kept beside the baseline", "[closure]") {
  Tree t;
  t.elf("usr/bin/p", needing({"libz.so.1"}))
      .elf("usr/lib/x86_64-linux-gnu/libz.so.1", named("libz.so.1"))
      .link("lib", "usr/lib");
  t.elf("usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libz.so.1", named("libz.so.1"));
  CHECK(t.closure().nodes.size() == 3);
}

TEST_CASE("A symbol version that no library defines is unsatisfiable", "[closure]") {
  const auto [wanted, fine] = GENERATE(table<std::string, bool>(
      {{"GLIBC_2.41", true}, {"GLIBC_2.43", false}, {"?GLIBC_2.43", true}}));
  Tree t;
  auto root = needing({"libc.so.6"});
  root.versions_needed = {{"libc.so.6", {wanted}}};
  auto libc = named("libc.so.6");
  libc.versions_defined = {"GLIBC_2.38", "GLIBC_2.41"};
  t.elf("usr/bin/p", root).elf("usr/lib/libc.so.6", libc);
  if (fine) {
    CHECK_NOTHROW(t.closure());
  } else {
    try {
      (void)t.closure();
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::unsatisfiable);
      CHECK_THAT(error.message(), ContainsSubstring("'/usr/bin/p'") &&
                                      ContainsSubstring("GLIBC_2.43") &&
                                      ContainsSubstring("'/usr/lib/libc.so.6'"));
      CHECK_THAT(error.hint(), ContainsSubstring("GLIBC_2.38, GLIBC_2.41"));
    }
  }
}

TEST_CASE("A root must be a program of the image's machine", "[closure]") {
  Tree t;
  SECTION("another machine") {
    ElfSpec root;
    root.machine = elf::Machine::aarch64;
    t.elf("usr/bin/p", root);
    CHECK_THROWS_WITH(t.closure(), ContainsSubstring("made for aarch64, the image for x86_64"));
  }
  SECTION("another float ABI") {
    ElfSpec root;
    root.machine = elf::Machine::riscv64;
    root.flags = 0x1;
    t.elf("usr/bin/p", root);
    CHECK_THROWS_WITH(t.closure("usr/bin/p", elf::Machine::riscv64, "riscv64-linux-gnu"),
                      ContainsSubstring("another float ABI"));
  }
  SECTION("no ELF file") {
    t.text("usr/bin/p", "hello");
    CHECK_THROWS_WITH(t.closure(), ContainsSubstring("not a 64-bit little-endian ELF file"));
  }
  SECTION("nothing") {
    CHECK_THROWS_WITH(t.closure("usr/bin/none"), ContainsSubstring("no such file"));
  }
}
