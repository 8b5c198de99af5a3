#include "aipack/image/split.hpp"

#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::image;
using namespace aipack::image::test;

namespace {

std::vector<std::string> names(const LayerPlan& plan) {
  std::vector<std::string> result;
  for (const auto& [at, entry] : plan.entries) {
    result.push_back(at.text());
  }
  return result;
}

const fs::FileEntry& entry(const LayerPlan& plan, std::string_view at) {
  for (const auto& [name, found] : plan.entries) {
    if (name.text() == at) {
      return found;
    }
  }
  throw std::runtime_error("no entry " + std::string(at));
}

Purpose all_model(const fs::RootPath&, const fs::FileEntry&) {
  return Purpose::model;
}
Purpose all_base(const fs::RootPath&, const fs::FileEntry&) {
  return Purpose::base;
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("split cuts by purpose, in order, with parents", "[image][split]") {
  const auto plans =
      split(sample_tree(), sample_purpose, {.compression = gzip, .directory_mtime = 7});
  REQUIRE(plans.size() == 4);
  CHECK(plans[0].purpose == Purpose::base);
  CHECK(names(plans[0]) ==
        Names{"etc", "etc/passwd", "tmp", "usr", "usr/lib", "usr/lib/libc.so.6"});
  CHECK(plans[1].purpose == Purpose::runtime);
  CHECK(names(plans[1]) == Names{"usr", "usr/lib", "usr/lib/libonnx.so", "usr/lib/libonnx.so.1"});
  CHECK(plans[2].purpose == Purpose::server);
  CHECK(names(plans[2]) == Names{"usr", "usr/bin", "usr/bin/serve"});
  CHECK(plans[3].purpose == Purpose::model);
  CHECK(names(plans[3]) == Names{"models", "models/digits.onnx"});

  CHECK(plans[0].compression == gzip);
  CHECK(plans[3].compression == plain);
  CHECK(entry(plans[0], "tmp").mode == 01777);
  CHECK(entry(plans[0], "usr").mtime == 7);
  CHECK(entry(plans[1], "usr").mtime == 7);
  CHECK(entry(plans[0], "etc/passwd").mtime == 1'700'000'000);
}

TEST_CASE("split titles a layer after its largest package or file", "[image][split]") {
  auto tree = sample_tree();
  tree.put(path("usr/lib/libonnx-extra.so"), file("x", "libonnx-extra"));
  const auto plans = split(tree, sample_purpose);
  CHECK(plans[0].title == "base: libc6");
  CHECK(plans[1].title == "runtime: libonnx1 and 1 more");
  CHECK(plans[2].title == "server: serve");
  CHECK(plans[3].title == "model: digits.onnx");
}

TEST_CASE("every entry of the tree is in a layer, files exactly once", "[image][split][property]") {
  const auto tree = sample_tree();
  std::map<std::string, int> seen;
  for (const auto& plan : split(tree, sample_purpose)) {
    for (const auto& [at, planned] : plan.entries) {
      seen[at.text()] += planned.type == fs::FileType::directory ? 0 : 1;
    }
  }
  CHECK(seen.size() == tree.size());
  for (const auto& [at, found] : tree.entries()) {
    CHECK(seen.at(at.text()) == (found.type == fs::FileType::directory ? 0 : 1));
  }
}

TEST_CASE("hard links of one layer follow their first name", "[image][split]") {
  fs::FileTree tree;
  tree.put(path("b"), file("bytes"));
  tree.put(path("a"), hard_link("b"));
  tree.put(path("c"), hard_link("a"));
  const auto plans = split(tree, all_base);
  REQUIRE(plans.size() == 1);
  CHECK(entry(plans[0], "a").type == fs::FileType::regular);
  CHECK(entry(plans[0], "a").size() == 5);
  CHECK(entry(plans[0], "b").type == fs::FileType::hard_link);
  CHECK(entry(plans[0], "b").link_target == "a");
  CHECK(entry(plans[0], "c").link_target == "a");
  MemoryStore store;
  CHECK_NOTHROW(seal(plans[0], store, {}, {}));
}

TEST_CASE("a hard link of another purpose is copied", "[image][split]") {
  fs::FileTree tree;
  tree.put(path("b"), file("bytes"));
  tree.put(path("s1"), hard_link("b"));
  tree.put(path("s2"), hard_link("b"));
  const auto plans = split(tree, [](const fs::RootPath& at, const fs::FileEntry&) {
    return at.text().starts_with("s") ? Purpose::server : Purpose::base;
  });
  REQUIRE(plans.size() == 2);
  CHECK(names(plans[0]) == Names{"b"});
  CHECK(entry(plans[1], "s1").type == fs::FileType::regular);
  CHECK(entry(plans[1], "s1").size() == 5);
  CHECK(entry(plans[1], "s2").type == fs::FileType::hard_link);
  CHECK(entry(plans[1], "s2").link_target == "s1");
}

TEST_CASE("split refuses links and parents that lead nowhere", "[image][split]") {
  fs::FileTree tree;
  SECTION("a hard link to nothing") {
    tree.put(path("a"), hard_link("b"));
    CHECK_THROWS_WITH(split(tree, all_base), ContainsSubstring("is not a file"));
  }
  SECTION("hard links in a circle") {
    tree.put(path("a"), hard_link("b"));
    tree.put(path("b"), hard_link("a"));
    CHECK_THROWS_WITH(split(tree, all_base), ContainsSubstring("circle"));
  }
  SECTION("a missing parent") {
    tree.put(path("a/b"), file("x"));
    CHECK_THROWS_WITH(split(tree, all_base), ContainsSubstring("parent"));
  }
  SECTION("a parent that is a file") {
    tree.put(path("a"), file("x"));
    tree.put(path("a/b"), file("x"));
    CHECK_THROWS_WITH(split(tree, all_base), ContainsSubstring("parent"));
  }
}

TEST_CASE("model files get a layer each while the budget lasts", "[image][split]") {
  fs::FileTree tree;
  tree.put(path("models"), directory());
  const auto count =
      GENERATE(std::size_t{1}, max_model_layers, max_model_layers + 1, std::size_t{40});
  for (std::size_t i = 0; i < count; ++i) {
    tree.put(path("models/" + std::to_string(100 + i)), file(std::string(1000 + i, 'x')));
  }
  const auto plans = split(tree, all_model);
  CHECK(plans.size() == std::min(count, max_model_layers));
  std::size_t files = 0;
  for (const auto& plan : plans) {
    files += plan.file_count();
    CHECK(plan.compression == plain);
    CHECK(plan.entries.front().first == path("models"));
  }
  CHECK(files == count);
  if (count > max_model_layers) {
    // The largest files keep a layer of their own; the first layer has the others.
    CHECK(plans.front().file_count() == count - (max_model_layers - 1));
    CHECK(plans.back().entries.back().first == path("models/" + std::to_string(100 + count - 1)));
  }
}

TEST_CASE("links among model files share one layer", "[image][split]") {
  fs::FileTree tree;
  tree.put(path("models"), directory());
  tree.put(path("models/a.onnx"), file("a"));
  tree.put(path("models/b.onnx"), file("b"));
  tree.put(path("models/latest"), symlink("b.onnx"));
  const auto plans = split(tree, all_model);
  REQUIRE(plans.size() == 3);
  CHECK(names(plans[0]) == Names{"models", "models/latest"});
}

TEST_CASE("model layers do not depend on what else the platform has", "[image][split][property]") {
  fs::FileTree small;
  small.put(path("models"), directory());
  for (int i = 0; i < 12; ++i) {
    small.put(path("models/" + std::to_string(i)), file(noise(100 + static_cast<std::size_t>(i))));
  }
  auto large = small;
  const auto sample = sample_tree();
  for (const auto& [at, found] : sample.entries()) {
    if (!at.is_within(path("models"))) {
      large.put(at, found);
    }
  }
  const auto digests = [](const fs::FileTree& tree) {
    MemoryStore store;
    std::vector<oci::Digest> result;
    for (const auto& layer : seal_all(split(tree, sample_purpose), store)) {
      if (layer.purpose == Purpose::model) {
        result.push_back(layer.diff_id);
      }
    }
    return result;
  };
  CHECK(digests(small) == digests(large));
  CHECK(digests(small).size() == max_model_layers);
}

TEST_CASE("split never makes more layers than an image may have", "[image][split]") {
  auto tree = sample_tree();
  for (int i = 0; i < 50; ++i) {
    tree.put(path("models/" + std::to_string(i)), file("x"));
  }
  tree.put(path("srv"), file("user's"));
  const auto plans = split(tree, [](const fs::RootPath& at, const fs::FileEntry& found) {
    return at == path("srv") ? Purpose::files : sample_purpose(at, found);
  });
  CHECK(plans.size() == max_layers);
}
