// Any bytes as an ONNX model: a Model, or an aipack::Error; never anything else.
#include "aipack/core/error.hpp"
#include "aipack/model/model.hpp"

#include "../support/memory_access.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const aipack::test::MemoryAccess bytes(std::string(reinterpret_cast<const char*>(data), size));
  try {
    const auto model = aipack::model::inspect(
        aipack::model::ModelSource{.bytes = bytes, .name = "fuzz.onnx", .directory = {}}, {});
    aipack::model::require_acceptable(model);
  } catch (const aipack::Error&) {
  }
  return 0;
}
