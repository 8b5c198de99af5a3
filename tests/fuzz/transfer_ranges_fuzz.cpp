// What a server says about ranges, and the map of an unfinished download: numbers that hold
// together, or nothing.
#include "../../lib/registry/download_plan.hpp"
#include "../../lib/registry/upload_plan.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace aipack::registry;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto range = parse_content_range(text);
      range && (range->range.begin >= range->range.end ||
                (range->total && range->range.end > *range->total))) {
    std::abort();
  }
  if (const auto stored = parse_stored(text); stored && *stored == 0) {
    std::abort();
  }
  for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{1}, 5 * block_bytes + 1}) {
    if (auto map = BlockMap::parse(text, bytes)) {
      if (map->to_string() != text) {
        std::abort();
      }
      std::uint64_t there = map->bytes_there();
      while (const auto range = map->claim(2 * block_bytes)) {
        there += range->end - range->begin;
      }
      if (there != bytes) {
        std::abort();
      }
    }
  }
  return 0;
}
