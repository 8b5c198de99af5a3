// Any bytes as a page of tags, as a listing of referrers, and as a manifest: values that hold what
// they promise, or an aipack::Error; what is merged reads back.
#include "aipack/core/error.hpp"
#include "aipack/oci/document.hpp"

#include "../../lib/registry/manifests.hpp"
#include "../../lib/registry/memory.hpp"
#include "../../lib/registry/referrers_index.hpp"
#include "../../lib/registry/tags.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

using namespace aipack;

namespace {

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

template <class Fn>
void run(Fn fn) {
  try {
    fn();
  } catch (const Error& error) {
    require(error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported);
  }
}

void merge(std::string_view bytes) {
  auto index = registry::ReferrersIndex::parse(bytes, "index");
  const auto before = index.referrers();
  registry::Referrer mine{.media_type = std::string(oci::media_type::manifest),
                          .digest = oci::Digest::of("mine"),
                          .size_bytes = 7,
                          .annotations = {{"a", "b"}},
                          .artifact_type = "application/x"};
  index.add(mine);
  require(!index.add(mine));
  const auto again = registry::ReferrersIndex::parse(index.bytes(), "index");
  require(again.referrers() == index.referrers() && again.bytes() == index.bytes());
  // Nothing that was there is lost.
  std::set<oci::Digest> after;
  for (const auto& referrer : again.referrers()) {
    require(after.insert(referrer.digest).second);
  }
  require(std::all_of(before.begin(), before.end(),
                      [&](const auto& referrer) { return after.contains(referrer.digest); }));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  run([&] {
    for (const std::string& tag : registry::parse_tags_page(bytes, "tags")) {
      require(!tag.empty() && tag.size() <= 128 && tag.find_first_of("/:@ \x1b") == tag.npos);
    }
  });
  run([&] { merge(bytes); });
  run([&] {
    const std::string type = registry::manifest_media_type(bytes, "", "manifest");
    require(oci::is_index(type) != oci::is_manifest(type));
  });
  const registry::Document document{
      .descriptor = {.media_type = "x", .digest = oci::Digest::of(bytes), .size_bytes = size},
      .bytes = std::string(bytes)};
  run([&] { static_cast<void>(registry::subject_of(document)); });
  run([&] { static_cast<void>(registry::referrer_of(document)); });
  return 0;
}
