// The JSON documents of the image specification: whatever parses must survive being written and
// read again.
#include "aipack/core/error.hpp"
#include "aipack/oci/document.hpp"

#include <cstdlib>
#include <string>

namespace {

template <class Parse>
void round_trip(const std::string& bytes, Parse parse) {
  try {
    const auto first = parse(bytes, "input");
    if (first.bytes() != bytes) {
      std::abort();
    }
    const auto sealed = aipack::oci::seal(first.value());
    if (parse(sealed.bytes(), "sealed").value() != sealed.value()) {
      std::abort();
    }
  } catch (const aipack::Error& error) {
    if (error.code() == aipack::ErrorCode::internal) {
      std::abort();
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  round_trip(bytes, aipack::oci::parse_manifest);
  round_trip(bytes, aipack::oci::parse_index);
  round_trip(bytes, aipack::oci::parse_config);
  return 0;
}
