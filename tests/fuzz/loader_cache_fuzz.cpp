#include "aipack/core/error.hpp"
#include "aipack/elf/loader_cache.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

// What can be read can be written, and reads back the same: order is the writer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack;
  try {
    const auto entries = elf::read_loader_cache(std::as_bytes(std::span(data, size)));
    const auto once = elf::write_loader_cache(elf::Machine::aarch64, entries);
    if (elf::write_loader_cache(elf::Machine::aarch64, elf::read_loader_cache(once)) != once) {
      std::abort();
    }
  } catch (const Error&) {
  }
  return 0;
}
