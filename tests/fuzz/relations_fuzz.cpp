// Depends-like fields.
#include "aipack/core/error.hpp"
#include "aipack/deb/control.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    for (const auto& alternatives :
         aipack::deb::parse_relations({reinterpret_cast<const char*>(data), size})) {
      for (const auto& relation : alternatives) {
        if (relation.name.empty() || relation.op.empty() != relation.version.empty()) {
          std::abort();
        }
      }
      if (alternatives.empty()) {
        std::abort();
      }
    }
  } catch (const aipack::Error& error) {
    if (error.code() != aipack::ErrorCode::corrupt) {
      std::abort();
    }
  }
  return 0;
}
