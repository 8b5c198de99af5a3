#include "aipack/io/file.hpp"

#include "packages.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <fstream>
#include <thread>

using namespace aipack;
using namespace aipack::solve;
using namespace aipack::solve::test;

namespace {

std::vector<std::filesystem::path> files_below(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::exists(directory)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
      if (entry.is_regular_file()) {
        files.push_back(entry.path());
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void overwrite(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

const std::vector<std::string> world{
    package("app", "1", "Depends: lib (>= 1) | other, python3:any"), package("lib", "1"),
    package("lib", "2"), package("other", "1"),
    package("python3", "3", "Multi-Arch: allowed\nProvides: py (= 3)\nConflicts: py2")};
const Request request{.install = {"app"}};

} // namespace

TEST_CASE(
    "resolve answers the same without a cache, from the parsed index and from the kept answer",
    "[solve][cache]") {
  const Indexes indexes = trixie(world);
  const Options options{.cache_dir = indexes.cache()};
  const Outcome plain = resolve(indexes.get(), request, {}, {});
  CHECK(files_below(indexes.cache()).empty());
  CHECK(outcome_text(plain) == "app 1, lib 2, python3 3");

  CHECK(resolve(indexes.get(), request, options, {}) == plain);
  CHECK(files_below(indexes.cache() / "solv").size() == 1);
  CHECK(files_below(indexes.cache() / "answers").size() == 1);
  std::filesystem::remove_all(indexes.cache() / "answers");
  CHECK(resolve(indexes.get(), request, options, {}) == plain);
  CHECK(resolve(indexes.get(), request, options, {}) == plain);
  // Answers of one request are not those of another.
  CHECK(outcome_text(resolve(indexes.get(), {.install = {"app"}, .assume_installed = {"python3"}},
                             options, {})) == "app 1, lib 2");
  CHECK(outcome_text(resolve(indexes.get(), {.install = {"lib=1"}}, options, {})) == "lib 1");
}

TEST_CASE("resolve keeps reasons as well as solutions", "[solve][cache]") {
  const Indexes indexes = trixie(world);
  const Options options{.cache_dir = indexes.cache()};
  const Outcome first = resolve(indexes.get(), {.install = {"nothing"}}, options, {});
  CHECK(std::holds_alternative<Unsolvable>(first));
  CHECK(resolve(indexes.get(), {.install = {"nothing"}}, options, {}) == first);
}

TEST_CASE("A kept answer serves another mirror of the same content with that mirror's URLs",
          "[solve][cache]") {
  const Indexes indexes = trixie(world);
  const Options options{.cache_dir = indexes.cache()};
  static_cast<void>(resolve(indexes.get(), request, options, {}));
  deb::PackageIndex moved = indexes.get();
  moved.indexes.front().source.mirror = "http://elsewhere.example/debian";
  const Outcome outcome = resolve(moved, request, options, {});
  CHECK(std::get<Solution>(outcome).choices.front().package.url ==
        "http://elsewhere.example/debian/pool/main/app_1.deb");
  CHECK(files_below(indexes.cache() / "answers").size() == 1);
}

TEST_CASE("A cached file with any byte changed, cut off or emptied is a miss and is made again",
          "[solve][cache]") {
  const Indexes indexes = trixie(world);
  const Options options{.cache_dir = indexes.cache()};
  const Outcome expected = resolve(indexes.get(), request, options, {});
  const std::string part = GENERATE("solv", "answers");
  const auto files = files_below(indexes.cache() / part);
  REQUIRE(files.size() == 1);
  const std::string good = io::read_text_file(files.front(), 1 << 20);
  const auto check_damaged = [&](const std::string& bytes) {
    std::filesystem::remove_all(indexes.cache() / "answers");
    std::filesystem::create_directories(files.front().parent_path());
    overwrite(files.front(), bytes);
    REQUIRE(resolve(indexes.get(), request, options, {}) == expected);
    REQUIRE(io::read_text_file(files.front(), 1 << 20) == good);
  };
  for (std::size_t at = 0; at < good.size(); at += 7) {
    CAPTURE(at);
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
    check_damaged(bytes);
  }
  check_damaged("");
  check_damaged(good.substr(0, good.size() / 2));
  check_damaged(good + "x");
  check_damaged(std::string(good.size(), '\0'));
}

TEST_CASE("A parsed index under the name of another one is a miss", "[solve][cache]") {
  const Indexes mine = trixie(world);
  const Indexes other = trixie({package("app", "66")});
  static_cast<void>(resolve(other.get(), request, {.cache_dir = other.cache()}, {}));
  const Outcome expected = resolve(mine.get(), request, {.cache_dir = mine.cache()}, {});
  std::filesystem::remove_all(mine.cache() / "answers");
  std::filesystem::copy_file(files_below(other.cache() / "solv").front(),
                             files_below(mine.cache() / "solv").front(),
                             std::filesystem::copy_options::overwrite_existing);
  CHECK(resolve(mine.get(), request, {.cache_dir = mine.cache()}, {}) == expected);
}

TEST_CASE("resolve works when nothing can be kept", "[solve][cache]") {
  const Indexes indexes = trixie(world);
  overwrite(indexes.cache(), "a file where the directory should be");
  CHECK(outcome_text(resolve(indexes.get(), request, {.cache_dir = indexes.cache()}, {})) ==
        "app 1, lib 2, python3 3");
}

TEST_CASE("resolve keeps an empty index", "[solve][cache]") {
  Indexes indexes = trixie(world);
  indexes.add("trixie-updates", "");
  const Options options{.cache_dir = indexes.cache()};
  const Outcome first = resolve(indexes.get(), request, options, {});
  std::filesystem::remove_all(indexes.cache() / "answers");
  CHECK(resolve(indexes.get(), request, options, {}) == first);
}

TEST_CASE("Eight threads share one cache directory", "[solve][cache]") {
  const Indexes indexes = trixie(world);
  const Options options{.cache_dir = indexes.cache()};
  const Outcome expected = resolve(indexes.get(), request, {}, {});
  std::atomic<int> equal = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        for (int turn = 0; turn < 5; ++turn) {
          equal += resolve(indexes.get(), request, options, {}) == expected ? 1 : 0;
        }
      });
    }
  }
  CHECK(equal == 40);
  CHECK(files_below(indexes.cache()).size() == 2);
}
