#include "aipack/core/error.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack;
  try {
    const auto record = rootfs::read_record({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (std::size_t i = 0; i < std::min<std::size_t>(record.kept.size(), 16); ++i) {
      (void)rootfs::why(record, record.kept[i].path);
    }
  } catch (const Error&) {
  }
  return 0;
}
