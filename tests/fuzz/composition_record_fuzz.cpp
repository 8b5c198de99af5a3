#include "aipack/core/error.hpp"
#include "aipack/rootfs/rootfs.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack;
  try {
    const auto record = rootfs::read_record({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const auto& entry : record.kept) {
      (void)rootfs::why(record, entry.path);
    }
  } catch (const Error&) {
  }
  return 0;
}
