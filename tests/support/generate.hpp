#pragma once

#include "aipack/core/text.hpp"
#include "aipack/fs/file_tree.hpp"
#include "aipack/fs/root_path.hpp"
#include "aipack/io/byte_stream.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

/// Seeded generators for property tests. The seed is fixed, so that a run is the same run
/// everywhere; AIPACK_TEST_SEED=N looks at other cases, and every failure prints the N that repeats
/// it:
///
///   AIPACK_TEST_RANDOM(random);
///   const auto bytes = random_bytes(random, 1000);
namespace aipack::testing {

inline constexpr std::uint64_t default_seed = 20260912;

/// A generator that knows its seed. The numbers are the same on every platform, unlike those of the
/// standard distributions.
class Random {
public:
  Random() : Random(seed_from_environment()) {}
  explicit Random(std::uint64_t seed) : seed_(seed), engine_(seed) {}

  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  /// Uniform enough for tests in [0, below).
  std::uint64_t below(std::uint64_t below) { return engine_() % below; }
  std::uint64_t between(std::uint64_t least, std::uint64_t most) {
    return least + below(most - least + 1);
  }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  const T& pick(const std::vector<T>& items) {
    return items[static_cast<std::size_t>(below(items.size()))];
  }

private:
  static std::uint64_t seed_from_environment() {
    const char* const text = std::getenv("AIPACK_TEST_SEED");
    return text == nullptr ? default_seed : parse_decimal(text).value_or(default_seed);
  }

  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

inline std::string random_bytes(Random& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (auto& byte : bytes) {
    byte = static_cast<char>(random.below(256));
  }
  return bytes;
}

/// One part of a path: mostly plain, sometimes with spaces, UTF-8, bytes around "/", or of great
/// length.
inline std::string random_part(Random& random) {
  static const std::vector<std::string> pieces{"a", "b",    "lib", "usr", ".",  "-",
                                               "_", "0",    "é",   "模",  "\n", " ",
                                               "'", "\x01", "\\",  "~",   "so", "\x7f"};
  const std::size_t most = random.one_in(12) ? random.between(100, 255) : random.between(1, 12);
  std::string part;
  while (part.size() < most) {
    const auto& piece = random.pick(pieces);
    if (part.size() + piece.size() > 255) {
      break;
    }
    part += piece;
  }
  if (part.empty() || part == "." || part == ".." || part.starts_with(".wh.")) {
    part = "x" + part.substr(0, 200);
  }
  return part;
}

/// A path of one to six parts below `directory`.
inline fs::RootPath random_path(Random& random, const fs::RootPath& directory = {},
                                std::size_t max_parts = 6) {
  fs::RootPath path = directory;
  for (std::size_t i = random.between(1, max_parts); i > 0; --i) {
    path = path / random_part(random);
  }
  return path;
}

/// A tree of about `size` entries as an image can hold it: parents are there, hard links point to
/// regular files that sort before them, nothing stands below anything but directories.
inline fs::FileTree random_tree(Random& random, std::size_t size) {
  fs::FileTree tree;
  std::vector<fs::RootPath> directories{fs::RootPath()};
  std::vector<fs::RootPath> files;
  const auto attributes = [&](fs::FileEntry entry) {
    entry.mode = static_cast<std::uint32_t>(random.below(010000));
    entry.uid = static_cast<std::uint32_t>(random.one_in(10) ? random.below(UINT32_MAX) : 0);
    entry.gid = static_cast<std::uint32_t>(random.one_in(10) ? random.below(UINT32_MAX) : 65532);
    entry.mtime = static_cast<std::int64_t>(random.below(std::uint64_t{1} << 32));
    if (random.one_in(20)) {
      entry.mtime = random.one_in(2) ? -entry.mtime : entry.mtime + (std::int64_t{1} << 34);
    }
    return entry;
  };
  for (std::size_t i = 0; i < size; ++i) {
    const auto& parent = random.pick(directories);
    if (parent.text().size() > 3000) {
      continue;
    }
    const auto path = random_path(random, parent, 1);
    if (tree.find(path) != nullptr) {
      continue;
    }
    const auto earlier =
        std::find_if(files.begin(), files.end(), [&](const auto& file) { return file < path; });
    switch (random.below(6)) {
    case 0:
    case 1:
      tree.put(path, attributes({.type = fs::FileType::directory}));
      directories.push_back(path);
      break;
    case 2:
      tree.put(path,
               attributes({.type = fs::FileType::symlink,
                           .link_target = random.one_in(2) ? "../" + random_path(random).text()
                                                           : random_path(random).to_string()}));
      break;
    case 3:
      if (earlier != files.end()) {
        tree.put(path,
                 attributes({.type = fs::FileType::hard_link, .link_target = earlier->text()}));
        break;
      }
      [[fallthrough]];
    default: {
      const std::size_t length = random.one_in(4) ? 512 * random.below(4) : random.below(3000);
      tree.put(path, attributes({.content = fs::memory_content(random_bytes(random, length))}));
      files.push_back(path);
    }
    }
  }
  return tree;
}

/// Delivers at most `most` bytes per read, in sizes that vary: no reader may rely on full buffers.
class ChoppedSource final : public io::ByteSource {
public:
  ChoppedSource(std::string bytes, Random& random, std::size_t most)
      : bytes_(std::move(bytes)), rest_(bytes_), random_(random), most_(most) {}

  std::size_t read(std::span<std::byte> into) override {
    const std::size_t wish = static_cast<std::size_t>(random_.between(1, most_));
    const std::size_t count = std::min({into.size(), rest_.size(), wish});
    std::copy_n(io::as_bytes(rest_).begin(), count, into.begin());
    rest_.remove_prefix(count);
    return count;
  }

private:
  std::string bytes_;
  std::string_view rest_;
  Random& random_;
  std::size_t most_;
};

} // namespace aipack::testing

/// Declares a generator whose seed is printed when a check fails.
#define AIPACK_TEST_RANDOM(name)                                                                   \
  aipack::testing::Random name;                                                                    \
  INFO("repeat with AIPACK_TEST_SEED=" << name.seed())
