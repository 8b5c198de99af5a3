// References and platforms as people type them: what is accepted prints, and the print parses to
// the same value.
#include "aipack/core/error.hpp"
#include "aipack/oci/platform.hpp"
#include "aipack/oci/reference.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto reference = aipack::oci::Reference::try_parse(text)) {
    if (aipack::oci::Reference::parse(reference->to_string()) != *reference ||
        reference->to_string() != text) {
      std::abort();
    }
  }
  try {
    const auto platform = aipack::oci::Platform::parse(text);
    if (aipack::oci::Platform::parse(platform.to_string()) != platform) {
      std::abort();
    }
  } catch (const aipack::Error& error) {
    if (error.code() != aipack::ErrorCode::invalid_input) {
      std::abort();
    }
  }
  return 0;
}
