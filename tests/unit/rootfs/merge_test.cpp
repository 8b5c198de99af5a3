#include "aipack/rootfs/rootfs.hpp"

#include "merge.hpp"
#include "sample.hpp"
#include "support/catch.hpp"

#include <algorithm>

using namespace aipack;
using namespace aipack::test;

namespace {

/// A root whose only program is static, so that everything else is about merging; every file is
/// kept by `data`.
rootfs::Request with(std::vector<rootfs::Input> packages, std::string architecture = "amd64") {
  rootfs::Request request;
  request.platform = oci::Platform::parse("linux/" + architecture);
  request.packages = std::move(packages);
  request.data = {"**"};
  request.epoch = 2'000'000'000;
  return request;
}

} // namespace

TEST_CASE("Globs match within parts, and ** across them", "[rootfs]") {
  const auto [pattern, path, matches] = GENERATE(
      table<std::string, std::string, bool>({{"usr/lib/x.so", "usr/lib/x.so", true},
                                             {"usr/lib/x.so", "usr/lib/x.so.1", false},
                                             {"usr/*/x.so", "usr/lib/x.so", true},
                                             {"usr/*/x.so", "usr/lib/a/x.so", false},
                                             {"usr/lib/lib*.so.?", "usr/lib/libfoo.so.1", true},
                                             {"usr/lib/lib*.so.?", "usr/lib/libfoo.so.12", false},
                                             {"usr/**", "usr/a/b/c", true},
                                             {"usr/**", "usr", true},
                                             {"usr/**", "usrx/a", false},
                                             {"usr/**/x", "usr/x", true},
                                             {"usr/**/x", "usr/a/b/x", true},
                                             {"usr/**/*.a", "usr/a/b/lib.a", true},
                                             {"**/x", "x", true},
                                             {"**", "anything/at/all", true},
                                             {"a*b*c", "aXXbYYc", true},
                                             {"a*b*c", "aXXbYY", false},
                                             {"usr/share/x/*", "usr/share/x", false}}));
  CAPTURE(pattern, path);
  CHECK(rootfs::glob_matches(pattern, path) == matches);
}

TEST_CASE("Entries below the aliases of merged /usr go to their real place", "[rootfs][merge]") {
  const std::string architecture = GENERATE(as<std::string>{}, "amd64", "arm64", "riscv64");
  auto old_style = PackageBuilder("old", architecture)
                       .directory("lib")
                       .directory("bin")
                       .directory("lib/deep", 0711)
                       .file("lib/deep/x", "x")
                       .file("bin/tool", "t")
                       .file("var/run/y", "y");
  const auto composition =
      rootfs::compose(with({old_style.build(),
                            PackageBuilder("other", architecture).file("usr/lib/z", "z").build()},
                           architecture),
                      {});
  const auto& tree = composition.tree;
  CHECK(text_of(tree, "usr/lib/deep/x") == "x");
  CHECK(tree.find(at("usr/lib/deep"))->mode == 0711);
  CHECK(text_of(tree, "usr/bin/tool") == "t");
  CHECK(text_of(tree, "run/y") == "y");
  CHECK(tree.find(at("lib"))->link_target == "usr/lib");
  CHECK(tree.find(at("bin"))->link_target == "usr/bin");
  CHECK(tree.find(at("sbin"))->link_target == "usr/sbin");
  CHECK(tree.find(at("var/run"))->link_target == "/run");
  CHECK(tree.find(at("var/lock"))->link_target == "/run/lock");
  CHECK((tree.find(at("lib64")) != nullptr) == (architecture == "amd64"));
  CHECK(tree.find(at("lib32")) == nullptr);
  CHECK(tree.find(at("run/lock"))->mode == 01777);
}

TEST_CASE("/lib32 exists when /usr/lib32 does", "[rootfs][merge]") {
  const auto composition =
      rootfs::compose(with({PackageBuilder("p").file("lib32/x", "x").build()}), {});
  CHECK(composition.tree.find(at("lib32"))->link_target == "usr/lib32");
}

TEST_CASE("A package's own alias must lead where Debian's does", "[rootfs][merge]") {
  CHECK_THROWS_WITH(
      rootfs::compose(with({PackageBuilder("p").link("lib", "usr/lib/x86_64-linux-gnu").build()}),
                      {}),
      ContainsSubstring("its link '/lib' leads to"));
  CHECK_THROWS_WITH(rootfs::compose(with({PackageBuilder("p").file("lib", "x").build()}), {}),
                    ContainsSubstring("'p'"));
}

TEST_CASE("Files below a symlinked directory of another package go where it leads",
          "[rootfs][merge]") {
  const auto a = PackageBuilder("a").directory("opt/new").link("opt/old", "new").build();
  const auto b = PackageBuilder("b")
                     .directory("opt/old")
                     .directory("opt/old/sub")
                     .file("opt/old/sub/x", "x")
                     .file("opt/old/y", "y")
                     .build();
  for (const bool swapped : {false, true}) {
    const auto composition =
        rootfs::compose(with(swapped ? std::vector{b, a} : std::vector{a, b}), {});
    CHECK(text_of(composition.tree, "opt/new/sub/x") == "x");
    CHECK(text_of(composition.tree, "opt/new/y") == "y");
    CHECK(composition.tree.find(at("opt/old"))->link_target == "new");
  }
}

TEST_CASE("Two packages on one path", "[rootfs][merge]") {
  auto a = PackageBuilder("a").file("usr/x", "one");
  auto b = PackageBuilder("b").file("usr/x", "two");
  SECTION("with different content are an error that names both") {
    try {
      (void)rootfs::compose(with({a.build(), b.build()}), {});
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::corrupt);
      CHECK_THAT(error.message(), ContainsSubstring("'/usr/x'") && ContainsSubstring("'a'") &&
                                      ContainsSubstring("'b'"));
    }
  }
  SECTION("with the same content are one file") {
    const auto composition =
        rootfs::compose(with({a.build(), PackageBuilder("b").file("usr/x", "one").build()}), {});
    CHECK(composition.tree.find(at("usr/x"))->package == "a");
    REQUIRE(composition.dropped.size() == 1);
    CHECK(composition.dropped[0] ==
          rootfs::Dropped{"/usr/x", "b", 3, "the same file as in package 'a'"});
  }
  SECTION("are compared in pieces, as far as they are the same") {
    struct Endless final : fs::Content {
      std::byte value;
      explicit Endless(std::byte byte) : value(byte) {}
      [[nodiscard]] std::uint64_t size() const noexcept override { return std::uint64_t{1} << 42; }
      [[nodiscard]] std::unique_ptr<io::ByteSource> open(std::uint64_t) const override {
        struct Source final : io::ByteSource {
          std::byte value;
          explicit Source(std::byte byte) : value(byte) {}
          std::size_t read(std::span<std::byte> into) override {
            std::fill(into.begin(), into.end(), value);
            return into.size();
          }
        };
        return std::make_unique<Source>(value);
      }
    };
    auto left = a.build();
    auto right = b.build();
    left.file.members.back().content = std::make_shared<Endless>(std::byte{1});
    right.file.members.back().content = std::make_shared<Endless>(std::byte{2});
    CHECK_THROWS_WITH(rootfs::compose(with({left, right}), {}),
                      ContainsSubstring("with different content"));
  }
  SECTION("Replaces says who wins") {
    const auto [field, winner] = GENERATE(table<std::string, std::string>(
        {{"a", "two"}, {"a (<< 2)", "two"}, {"a (>> 2)", ""}, {"c, a (= 1.0-1)", "two"}}));
    b.field("Replaces", field);
    if (winner.empty()) {
      CHECK_THROWS_AS(rootfs::compose(with({a.build(), b.build()}), {}), Error);
    } else {
      CHECK(text_of(rootfs::compose(with({a.build(), b.build()}), {}).tree, "usr/x") == winner);
    }
  }
  SECTION("a file and a directory") {
    CHECK_THROWS_WITH(
        rootfs::compose(with({a.build(), PackageBuilder("d").directory("usr/x").build()}), {}),
        ContainsSubstring("directory"));
  }
  SECTION("links with different targets") {
    CHECK_THROWS_AS(rootfs::compose(with({PackageBuilder("l").link("usr/l", "a").build(),
                                          PackageBuilder("m").link("usr/l", "b").build()}),
                                    {}),
                    Error);
  }
}

TEST_CASE("A directory has the mode of base-files, else of the first package by name",
          "[rootfs][merge]") {
  const auto base = PackageBuilder("base-files").directory("srv", 0750).copyright().build();
  const auto a = PackageBuilder("a")
                     .directory("srv", 0700)
                     .directory("opt/d", 0711)
                     .file("opt/d/x", "x")
                     .copyright()
                     .build();
  const auto b = PackageBuilder("b").directory("opt/d", 0755).directory("srv").build();
  const auto composition = rootfs::compose(with({b, a, base}), {});
  CHECK(composition.tree.find(at("srv"))->mode == 0750);
  CHECK(composition.tree.find(at("opt/d"))->mode == 0711);
  REQUIRE(composition.notes.size() == 3); // /srv in two packages
  CHECK_THAT(composition.notes[0], ContainsSubstring("/opt/d has mode 0711"));
}

TEST_CASE("Owners are numbers of Debian's static table", "[rootfs][merge]") {
  auto package = PackageBuilder("p")
                     .file("etc/secret", "s", 0640)
                     .owned_by("root", "shadow")
                     .file("var/www/x", "x")
                     .owned_by("www-data", "www-data");
  const auto composition = rootfs::compose(with({package.build()}), {});
  CHECK(composition.tree.find(at("etc/secret"))->gid == 42);
  CHECK(composition.tree.find(at("var/www/x"))->uid == 33);
  CHECK_THAT(text_of(composition.tree, "etc/group"),
             ContainsSubstring("shadow:*:42:\n") && ContainsSubstring("www-data:*:33:\n"));
  CHECK_THAT(text_of(composition.tree, "etc/passwd"), ContainsSubstring("www-data:*:33:33:"));

  auto unknown =
      with({PackageBuilder("q").file("usr/x", "x").owned_by("messagebus", "root").build()});
  CHECK_THROWS_WITH(rootfs::compose(unknown, {}),
                    ContainsSubstring("'/usr/x'") && ContainsSubstring("'messagebus'"));
  unknown.data.clear(); // the file is not kept
  CHECK_NOTHROW(rootfs::compose(unknown, {}));
}

TEST_CASE("Hard links survive pruning: the first kept name is the file", "[rootfs][merge]") {
  auto package = PackageBuilder("p")
                     .file("usr/b", "same")
                     .hard_link("usr/a", "usr/b")
                     .hard_link("usr/c", "usr/b")
                     .file("usr/d", "same")
                     .build();
  auto request = with({package});
  const auto whole = rootfs::compose(request, {}).tree;
  CHECK(whole.find(at("usr/a"))->type == fs::FileType::regular);
  CHECK(whole.find(at("usr/b"))->type == fs::FileType::hard_link);
  CHECK(whole.find(at("usr/b"))->link_target == "usr/a");
  CHECK(whole.find(at("usr/c"))->link_target == "usr/a");
  CHECK(whole.find(at("usr/d"))->type == fs::FileType::regular);
  request.data = {"/usr/c"};
  const auto part = rootfs::compose(request, {}).tree;
  CHECK(part.find(at("usr/c"))->type == fs::FileType::regular);
  CHECK(part.find(at("usr/b")) == nullptr);
  CHECK_THROWS_WITH(
      rootfs::compose(with({PackageBuilder("p").hard_link("usr/a", "usr/none").build()}), {}),
      ContainsSubstring("hard link '/usr/a'"));
}

TEST_CASE("setuid and setgid bits are cleared from files and told", "[rootfs][merge]") {
  const auto composition = rootfs::compose(with({PackageBuilder("p")
                                                     .file("usr/bin/su", "x", 04755)
                                                     .file("usr/bin/wall", "y", 02755)
                                                     .directory("var/mail", 02775)
                                                     .copyright()
                                                     .build()}),
                                           {});
  CHECK(composition.tree.find(at("usr/bin/su"))->mode == 0755);
  CHECK(composition.tree.find(at("usr/bin/wall"))->mode == 0755);
  CHECK(composition.tree.find(at("var/mail"))->mode == 02775);
  CHECK(composition.notes == std::vector<std::string>{"/usr/bin/su lost its setuid bit",
                                                      "/usr/bin/wall lost its setgid bit"});
}

TEST_CASE("Times are at most the epoch", "[rootfs][merge]") {
  auto request = with({PackageBuilder("p").file("usr/x", "x").build()});
  request.epoch = 1000;
  CHECK(rootfs::compose(request, {}).tree.find(at("usr/x"))->mtime == 1000);
}

TEST_CASE("A package of another architecture is refused, and one that is given twice",
          "[rootfs][merge]") {
  CHECK_THROWS_WITH(rootfs::compose(with({PackageBuilder("p", "arm64").build()}), {}),
                    ContainsSubstring("'p' is for architecture 'arm64'"));
  CHECK_THROWS_WITH(
      rootfs::compose(with({PackageBuilder("p").build(), PackageBuilder("p").build()}), {}),
      ContainsSubstring("given twice"));
}

TEST_CASE("The user's files win over packages", "[rootfs][merge]") {
  auto request =
      with({PackageBuilder("p").file("usr/lib/x", "old").directory("usr/share/d").build()});
  request.extra = {{at("lib/x"), {.mode = 0600, .content = fs::memory_content("new")}}};
  const auto composition = rootfs::compose(request, {});
  CHECK(text_of(composition.tree, "usr/lib/x") == "new");
  CHECK(composition.tree.find(at("usr/lib/x"))->reason->rule == "file");
  CHECK(reason_of(composition, "/usr/lib/x") == "replaced by the user's file");
  request.extra = {{at("usr/share/d"), {.content = fs::memory_content("x")}}};
  CHECK_THROWS_WITH(rootfs::compose(request, {}), ContainsSubstring("'/usr/share/d'"));
}
