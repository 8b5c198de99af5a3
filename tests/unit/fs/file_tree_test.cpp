#include "aipack/core/error.hpp"
#include "aipack/fs/file_tree.hpp"

#include "support/catch.hpp"
#include "support/generate.hpp"

#include <set>

using namespace aipack;
using fs::FileTree;
using fs::FileType;
using fs::RootPath;

namespace {

RootPath p(std::string_view text) {
  return RootPath::parse(text);
}

void put_file(FileTree& tree, std::string_view path) {
  tree.put(p(path), {.content = fs::memory_content("x")});
}
void put_directory(FileTree& tree, std::string_view path) {
  tree.put(p(path), {.type = FileType::directory, .mode = 0755});
}
void put_link(FileTree& tree, std::string_view path, std::string target) {
  tree.put(p(path), {.type = FileType::symlink, .link_target = std::move(target)});
}

/// A usr-merged root, as Debian's base-files makes it.
FileTree merged_root() {
  FileTree tree;
  for (const auto* directory : {"etc", "usr", "usr/lib", "usr/lib/gcc"}) {
    put_directory(tree, directory);
  }
  put_link(tree, "lib", "usr/lib");
  put_link(tree, "etc/lib", "../lib");
  put_file(tree, "usr/lib/libfoo.so.1.2");
  put_link(tree, "usr/lib/libfoo.so.1", "libfoo.so.1.2");
  put_link(tree, "usr/lib/libfoo.so", "/lib/libfoo.so.1");
  put_link(tree, "usr/lib/dangling", "nowhere");
  put_link(tree, "usr/lib/out", "../../../../usr/lib/libfoo.so.1.2");
  put_link(tree, "loop", "loop");
  put_link(tree, "ping", "pong");
  put_link(tree, "pong", "ping");
  put_link(tree, "through", "usr/lib/libfoo.so.1.2/x");
  put_link(tree, "empty", "");
  return tree;
}

} // namespace

TEST_CASE("FileTree::put adds or replaces, find and erase agree", "[fs][file_tree]") {
  FileTree tree;
  put_file(tree, "a/b");
  REQUIRE(tree.find(p("a/b")) != nullptr);
  CHECK(tree.find(p("a/b"))->size() == 1);
  CHECK(tree.find(p("a")) == nullptr);
  put_directory(tree, "a/b");
  CHECK(tree.size() == 1);
  CHECK(tree.find(p("a/b"))->type == FileType::directory);
  CHECK(tree.erase(p("a/b")));
  CHECK_FALSE(tree.erase(p("a/b")));
  CHECK(tree.size() == 0);
}

TEST_CASE("FileTree::resolve follows links beneath the root", "[fs][file_tree]") {
  const auto tree = merged_root();
  const auto [path, expected] = GENERATE(table<std::string, std::string>({
      {"usr/lib/libfoo.so.1.2", "usr/lib/libfoo.so.1.2"},
      {"lib", "usr/lib"},
      {"lib/libfoo.so", "usr/lib/libfoo.so.1.2"},
      {"etc/lib/libfoo.so.1", "usr/lib/libfoo.so.1.2"},
      {"usr/lib/out", "usr/lib/libfoo.so.1.2"},
      {"", ""},
  }));
  CAPTURE(path);
  REQUIRE(tree.resolve(p(path)));
  CHECK(tree.resolve(p(path))->text() == expected);
}

TEST_CASE("FileTree::resolve is empty where a path leads nowhere", "[fs][file_tree]") {
  const auto tree = merged_root();
  const auto path =
      GENERATE(as<std::string>(), "missing", "usr/lib/missing", "usr/lib/dangling", "loop",
               "loop/x", "ping", "through", "empty", "usr/lib/libfoo.so.1.2/x");
  CAPTURE(path);
  CHECK_FALSE(tree.resolve(p(path)));
}

TEST_CASE("FileTree::resolve gives up as the kernel does, after forty links", "[fs][file_tree]") {
  FileTree tree;
  put_file(tree, "l0");
  for (unsigned i = 1; i <= FileTree::max_symlinks + 1; ++i) {
    put_link(tree, "l" + std::to_string(i), "l" + std::to_string(i - 1));
  }
  CHECK(tree.resolve(p("l40")));
  CHECK_FALSE(tree.resolve(p("l41")));
}

TEST_CASE("links that double at every step end at the limit", "[fs][file_tree]") {
  // Each link names the one before it a thousand times: without the limit, 1000^40 parts.
  FileTree tree;
  put_directory(tree, "d");
  put_link(tree, "l0", "d/..");
  for (int i = 1; i < 40; ++i) {
    std::string target;
    for (int j = 0; j < 1000; ++j) {
      target += "l" + std::to_string(i - 1) + "/";
    }
    put_link(tree, "l" + std::to_string(i), target.substr(0, 4000));
  }
  CHECK_FALSE(tree.resolve(p("l39")));
}

TEST_CASE("visited lists the links that were passed, in order", "[fs][file_tree]") {
  const auto tree = merged_root();
  std::vector<RootPath> visited;
  REQUIRE(tree.resolve(p("etc/lib/libfoo.so"), &visited));
  CHECK(visited == std::vector<RootPath>{p("etc/lib"), p("lib"), p("usr/lib/libfoo.so"), p("lib"),
                                         p("usr/lib/libfoo.so.1")});
}

TEST_CASE("FileTree::resolve_parent gives the name under which an entry is stored",
          "[fs][file_tree]") {
  const auto tree = merged_root();
  const auto [path, expected] = GENERATE(table<std::string, std::string>({
      {"lib", "lib"},
      {"lib/libfoo.so", "usr/lib/libfoo.so"},
      {"etc/lib/new", "usr/lib/new"},
      {"etc/lib/new/deep", "usr/lib/new/deep"},
      {"opt/new", "opt/new"},
      {"loop", "loop"},
      {"", ""},
  }));
  CAPTURE(path);
  REQUIRE(tree.resolve_parent(p(path)));
  CHECK(tree.resolve_parent(p(path))->text() == expected);
  CHECK_FALSE(tree.resolve_parent(p("loop/x")));
  CHECK_FALSE(tree.resolve_parent(p("usr/lib/libfoo.so.1/x")));
}

TEST_CASE("directories that only their content implies can be walked", "[fs][file_tree]") {
  FileTree tree;
  put_file(tree, "usr/lib/x86/libc.so.6");
  put_link(tree, "lib64", "usr/lib");
  CHECK(tree.resolve(p("lib64/x86/libc.so.6"))->text() == "usr/lib/x86/libc.so.6");
  CHECK(tree.resolve(p("usr/lib"))->text() == "usr/lib");
  CHECK_FALSE(tree.resolve(p("usr/li")));
}

TEST_CASE("add_missing_parents adds every ancestor once, with the time given", "[fs][file_tree]") {
  FileTree tree;
  put_file(tree, "a/b/c");
  put_file(tree, "a/b/d");
  put_file(tree, "a.b/x");
  tree.put(p("a"), {.type = FileType::directory, .mode = 0700, .mtime = 7});
  tree.add_missing_parents(42);
  REQUIRE(tree.size() == 6);
  CHECK(tree.find(p("a"))->mode == 0700);
  CHECK(tree.find(p("a"))->mtime == 7);
  CHECK(tree.find(p("a/b"))->type == FileType::directory);
  CHECK(tree.find(p("a/b"))->mode == 0755);
  CHECK(tree.find(p("a/b"))->mtime == 42);
  CHECK(tree.find(RootPath()) == nullptr);
}

TEST_CASE("a file cannot be a parent", "[fs][file_tree]") {
  FileTree tree;
  put_file(tree, "a");
  put_file(tree, "a/b/c");
  try {
    tree.add_missing_parents(0);
    FAIL("it was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
    CHECK(error.message() == "cannot add '/a/b/c': '/a' is not a directory");
  }
}

TEST_CASE("children lists the entries directly inside", "[fs][file_tree]") {
  FileTree tree;
  for (const auto* path : {"a/x", "a/y", "a/z/deep", "a.b", "b/q", "a/z", "c"}) {
    put_file(tree, path);
  }
  CHECK(tree.children(p("a")) == std::vector<RootPath>{p("a/x"), p("a/y"), p("a/z")});
  CHECK(tree.children(RootPath()) == std::vector<RootPath>{p("a.b"), p("c")});
  CHECK(tree.children(p("nothing")).empty());
}

TEST_CASE("parents precede children in every tree", "[fs][file_tree]") {
  AIPACK_TEST_RANDOM(random);
  for (int round = 0; round < 20; ++round) {
    auto tree = testing::random_tree(random, 60);
    tree.add_missing_parents(0);
    std::set<RootPath> before{RootPath()};
    for (const auto& [path, entry] : tree.entries()) {
      CAPTURE(path.text());
      CHECK(before.contains(path.parent()));
      before.insert(path);
      if (entry.type == FileType::regular || entry.type == FileType::directory) {
        CHECK(tree.resolve(path) == path);
      }
    }
  }
}
