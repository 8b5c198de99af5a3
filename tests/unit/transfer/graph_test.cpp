#include "graph.hpp"
#include "support.hpp"
#include "support/catch.hpp"

using namespace aipack;
using namespace aipack::transfer;
using namespace aipack::transfer::test;

namespace {

constexpr auto index_type = oci::media_type::index;

/// An index of these, by hand: what oci::seal refuses is what hostile origins send.
std::string index_text(const std::vector<std::string>& entries) {
  std::string list;
  for (const auto& entry : entries) {
    list += (list.empty() ? "" : ",") + entry;
  }
  return fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}})", index_type,
                     list);
}

std::string entry_text(const oci::Descriptor& descriptor) {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}}})", descriptor.media_type,
                     descriptor.digest.to_string(), descriptor.size_bytes);
}

ErrorCode code_of(MemoryPlace& place, const oci::Descriptor& root) {
  const auto origin = place.open(root);
  Graph graph(*origin, 3);
  try {
    graph.add(root, {});
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.message().starts_with("cannot"));
    return error.code();
  }
  return ErrorCode::internal; // taken
}

oci::Descriptor nested(MemoryPlace& place, unsigned depth) {
  auto descriptor = place.put(index_type, index_text({}));
  for (unsigned i = 0; i < depth; ++i) {
    descriptor = place.put(index_type, index_text({entry_text(descriptor)}));
  }
  return descriptor;
}

} // namespace

TEST_CASE("a graph holds every document once, children before parents", "[transfer][graph]") {
  auto sample = signed_sample();
  auto outer =
      sample.place.put(index_type, index_text({entry_text(sample.root), entry_text(sample.root)}));
  const auto origin = sample.place.open(outer);
  Graph graph(*origin, 2);
  graph.add(outer, {});
  const auto order = graph.below(outer.digest);
  REQUIRE(order.size() == 4);
  CHECK(order[2]->document.descriptor.digest == sample.root.digest);
  CHECK(order[3]->document.descriptor.digest == outer.digest);
  CHECK(graph.below(sample.root.digest).size() == 3);
}

TEST_CASE("names are known without reading manifests", "[transfer][graph]") {
  auto sample = signed_sample();
  for (const auto& manifest : sample.manifests) {
    sample.place.remove(manifest);
  }
  const auto origin = sample.place.open(sample.root);
  Graph graph(*origin, 1);
  const auto names = graph.names(sample.root, {});
  CHECK(std::set(names.begin(), names.end()) ==
        std::set{sample.root.digest, sample.manifests[0], sample.manifests[1]});
}

TEST_CASE("indexes may be nested four deep", "[transfer][graph][hostile]") {
  MemoryPlace place;
  CHECK(code_of(place, nested(place, max_index_depth)) == ErrorCode::internal);
  CHECK(code_of(place, nested(place, max_index_depth + 1)) == ErrorCode::corrupt);
  CHECK(code_of(place, nested(place, 2000)) == ErrorCode::corrupt);
}

TEST_CASE("an index that names itself is other bytes than it says", "[transfer][graph][hostile]") {
  MemoryPlace place;
  oci::Descriptor self{std::string(index_type), oci::Digest::of("anything"), 0};
  self.size_bytes = index_text({entry_text(self)}).size() + 2;
  const auto text = index_text({entry_text(self)});
  REQUIRE(text.size() == self.size_bytes);
  place.put_as(self, text);
  CHECK(code_of(place, self) == ErrorCode::corrupt);
}

TEST_CASE("hostile documents are refused with a cause", "[transfer][graph][hostile]") {
  MemoryPlace place;
  const auto leaf = nested(place, 0);
  const auto wrong = [&](auto change) {
    auto descriptor = leaf;
    change(descriptor);
    return entry_text(descriptor);
  };
  std::string text;
  auto expected = ErrorCode::corrupt;
  SECTION("a negative size") {
    text = index_text(
        {R"({"mediaType":"x","digest":")" + leaf.digest.to_string() + R"(","size":-1})"});
  }
  SECTION("a size that no number holds") {
    text = index_text({R"({"mediaType":"x","digest":")" + leaf.digest.to_string() +
                       R"(","size":99999999999999999999})"});
  }
  SECTION("a manifest that is larger than any may be") {
    text = index_text({wrong([](auto& d) { d.size_bytes = oci::max_manifest_bytes + 1; })});
  }
  SECTION("two sizes for one manifest") {
    text = index_text({entry_text(leaf), wrong([](auto& d) { ++d.size_bytes; })});
  }
  SECTION("two types for one manifest") {
    text = index_text(
        {entry_text(leaf), wrong([](auto& d) { d.media_type = oci::media_type::manifest; })});
  }
  SECTION("a type that is not the document's") {
    text =
        index_text({wrong([](auto& d) { d.media_type = oci::media_type::docker_manifest_list; })});
  }
  SECTION("a type that nobody can follow") {
    text = index_text({wrong([](auto& d) { d.media_type = "application/vnd.example.strange"; })});
    expected = ErrorCode::unsupported;
  }
  SECTION("an algorithm that is none") {
    text = index_text({R"({"mediaType":"x","digest":"md5:00","size":1})"});
  }
  SECTION("a manifest that is not there") {
    text = index_text({wrong([](auto& d) { d.digest = oci::Digest::of("nowhere"); })});
    expected = ErrorCode::not_found;
  }
  SECTION("braces without end") {
    text = std::string(100'000, '[');
  }
  SECTION("nothing") {
    text = "";
  }
  CHECK(code_of(place, place.put(index_type, text)) == expected);
}

TEST_CASE("manifests are bounded in number", "[transfer][graph][hostile]") {
  MemoryPlace place;
  std::vector<std::string> entries;
  for (std::size_t i = 0; i <= max_manifests; ++i) {
    entries.push_back(entry_text(
        {std::string(oci::media_type::manifest), oci::Digest::of(std::to_string(i)), 100}));
  }
  // None of them exists: the limit holds before anything is fetched.
  CHECK(code_of(place, place.put(index_type, index_text(entries))) == ErrorCode::corrupt);
}

TEST_CASE("manifests are bounded in bytes", "[transfer][graph][hostile]") {
  MemoryPlace place;
  std::vector<std::string> entries;
  for (std::size_t i = 0; i < 20; ++i) {
    entries.push_back(entry_text({std::string(oci::media_type::manifest),
                                  oci::Digest::of(std::to_string(i)), oci::max_manifest_bytes}));
  }
  CHECK(code_of(place, place.put(index_type, index_text(entries))) == ErrorCode::corrupt);
}
