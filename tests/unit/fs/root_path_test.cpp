#include "aipack/core/error.hpp"
#include "aipack/fs/root_path.hpp"

#include "support/catch.hpp"
#include "support/generate.hpp"

using namespace aipack;
using fs::RootPath;

TEST_CASE("RootPath::parse accepts the spellings of one path", "[fs][root_path]") {
  const auto [text, expected] = GENERATE(table<std::string, std::string>({
      {"usr/lib", "usr/lib"},
      {"/usr/lib", "usr/lib"},
      {"./usr/lib", "usr/lib"},
      {"usr/lib/", "usr/lib"},
      {"./usr/lib/", "usr/lib"},
      {"", ""},
      {"/", ""},
      {".", ""},
      {"./", ""},
      {"...", "..."},
      {".hidden/..x", ".hidden/..x"},
      {"a b/\xff", "a b/\xff"},
  }));
  CHECK(RootPath::parse(text).text() == expected);
  CHECK(RootPath::try_parse(text) == RootPath::parse(text));
}

TEST_CASE("RootPath::parse refuses what could leave the root or mean two things",
          "[fs][root_path]") {
  using namespace std::string_literals;
  const auto text = GENERATE(as<std::string>(), "..", "../x", "a/../b", "a/..", "a/./b", "a//b",
                             "//a", "./..", "./.", ".//a", "a//", "a\0b"s, "\0"s,
                             std::string(256, 'a'), "x/" + std::string(256, 'a'));
  CAPTURE(text);
  CHECK_FALSE(RootPath::try_parse(text));
  try {
    (void)RootPath::parse(text);
    FAIL("it was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_input);
  }
}

TEST_CASE("RootPath has the kernel's lengths", "[fs][root_path]") {
  std::string path = std::string(255, 'a');
  while (path.size() + 256 <= RootPath::max_bytes) {
    path += "/" + std::string(255, 'a');
  }
  CHECK(path.size() == 4095);
  CHECK(RootPath::try_parse(path));
  CHECK(RootPath::try_parse("./" + path + "/"));
  CHECK_FALSE(RootPath::try_parse(path + "/a"));
  CHECK_THROWS_AS(RootPath::parse(path) / "a", Error);
}

TEST_CASE("RootPath takes a path apart", "[fs][root_path]") {
  const auto path = RootPath::parse("usr/lib/libfoo.so");
  CHECK(path.filename() == "libfoo.so");
  CHECK(path.parent().text() == "usr/lib");
  CHECK(path.parent().parent().parent().is_root());
  CHECK(RootPath().parent().is_root());
  CHECK(RootPath().filename().empty());
  CHECK(path.to_string() == "/usr/lib/libfoo.so");
  CHECK(RootPath().to_string() == "/");
  CHECK((RootPath() / "a" / "b/c").text() == "a/b/c");
  CHECK((path / "").text() == path.text());
}

TEST_CASE("is_within counts whole parts", "[fs][root_path]") {
  const auto lib = RootPath::parse("usr/lib");
  CHECK(lib.is_within(lib));
  CHECK(lib.is_within(RootPath()));
  CHECK(RootPath::parse("usr/lib/x").is_within(lib));
  CHECK_FALSE(RootPath::parse("usr/lib64").is_within(lib));
  CHECK_FALSE(RootPath::parse("usr").is_within(lib));
}

TEST_CASE("resolve_link follows a target lexically and stays beneath the root", "[fs][root_path]") {
  const auto [link, target, expected] = GENERATE(table<std::string, std::string, std::string>({
      {"usr/bin/sh", "dash", "usr/bin/dash"},
      {"usr/bin/sh", "../lib/x", "usr/lib/x"},
      {"usr/bin/sh", "/etc/alternatives/sh", "etc/alternatives/sh"},
      {"lib", "usr/lib/", "usr/lib"},
      {"lib", "./usr//lib/.", "usr/lib"},
      {"a/b", "../../../../etc/passwd", "etc/passwd"},
      {"a/b", "..", ""},
      {"a/b", "/", ""},
      {"a/b", "/../x/../y", "y"},
  }));
  CHECK(RootPath::parse(link).resolve_link(target).text() == expected);
}

TEST_CASE("a directory's content follows it at once", "[fs][root_path]") {
  const auto sorted = [](std::vector<std::string> texts) {
    std::vector<RootPath> paths;
    for (const auto& text : texts) {
      paths.push_back(RootPath::parse(text));
    }
    std::sort(paths.begin(), paths.end());
    texts.clear();
    for (const auto& path : paths) {
      texts.push_back(path.text());
    }
    return texts;
  };
  CHECK(sorted({"a.b", "a/b", "a", "a-", "", "a/b/c", "a/b.c", "b", "a\x01", "\xff"}) ==
        std::vector<std::string>{"", "a", "a/b", "a/b/c", "a/b.c", "a\x01", "a-", "a.b", "b",
                                 "\xff"});
}

TEST_CASE("the order of RootPath equals comparing part by part", "[fs][root_path]") {
  AIPACK_TEST_RANDOM(random);
  const auto parts = [](const RootPath& path) {
    std::vector<std::vector<unsigned char>> bytes;
    if (!path.is_root()) {
      for (const auto part : split(path.text(), '/')) {
        bytes.emplace_back(part.begin(), part.end());
      }
    }
    return bytes;
  };
  for (int round = 0; round < 2000; ++round) {
    const auto directory = testing::random_path(random, {}, 2);
    const auto a = random.one_in(2) ? testing::random_path(random, directory, 2) : directory;
    const auto b = random.one_in(2) ? testing::random_path(random, directory, 2)
                                    : testing::random_path(random, {}, 3);
    CAPTURE(a.text(), b.text());
    CHECK((a <=> b) == (parts(a) <=> parts(b)));
    CHECK(((a <=> b) == 0) == (a == b));
    CHECK(a.parent() < a);
    CHECK(RootPath::parse(a.to_string()) == a);
  }
}
