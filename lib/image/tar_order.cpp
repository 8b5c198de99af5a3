#include "tar_order.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include <fmt/format.h>

namespace aipack::image {
namespace {

[[noreturn]] void refuse(const fs::RootPath& path, std::string_view cause) {
  throw Error(ErrorCode::invalid_input,
              fmt::format("cannot pack {}: {}", quoted(path.to_string()), cause));
}

} // namespace

std::vector<const PlannedEntry*> tar_order(const LayerPlan& plan) {
  std::vector<const PlannedEntry*> order;
  order.reserve(plan.entries.size());
  for (const auto& entry : plan.entries) {
    order.push_back(&entry);
  }
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->first < b->first; });

  std::map<std::string_view, fs::FileType> earlier;
  for (const auto* planned : order) {
    const auto& [path, entry] = *planned;
    if (path.is_root()) {
      refuse(path, "the root is not an entry of a layer");
    }
    if (!earlier.emplace(path.text(), entry.type).second) {
      refuse(path, "the layer holds it twice");
    }
    if (const auto parent = path.parent(); !parent.is_root()) {
      const auto found = earlier.find(parent.text());
      const bool is_below = found == earlier.end() && plan.has_layers_below;
      if (!is_below && (found == earlier.end() || found->second != fs::FileType::directory)) {
        refuse(path, "its parent is not a directory of the layer");
      }
    }
    if (entry.type == fs::FileType::hard_link) {
      // Extractors link to what they have already written.
      const auto found = earlier.find(entry.link_target);
      if (found == earlier.end() || found->second != fs::FileType::regular) {
        refuse(path, fmt::format("the target {} of the hard link does not precede it",
                                 quoted(entry.link_target)));
      }
    }
  }
  return order;
}

} // namespace aipack::image
