#include "aipack/core/error.hpp"
#include "aipack/elf/object.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    (void)aipack::elf::read(bytes, "fuzz");
    (void)aipack::elf::library_names_in(bytes);
  } catch (const aipack::Error&) {
  }
  return 0;
}
