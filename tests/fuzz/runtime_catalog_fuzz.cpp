// Any bytes as a catalog entry and as an operator table: a value, or an aipack::Error; never
// anything else.
#include "aipack/core/error.hpp"
#include "aipack/runtime/operator_table.hpp"
#include "aipack/runtime/runtime.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto runtime = aipack::runtime::parse_runtime(text, "fuzz.json");
    for (const auto& platform : runtime.platforms) {
      static_cast<void>(runtime.for_platform(platform));
    }
  } catch (const aipack::Error&) {
  }
  try {
    const auto table = aipack::runtime::OperatorTable::parse(text, "fuzz.json");
    static_cast<void>(table.refuse(
        {.domain = "", .name = "Add", .opset_version = 13, .types = {{"T", "float"}}}));
  } catch (const aipack::Error&) {
  }
  return 0;
}
