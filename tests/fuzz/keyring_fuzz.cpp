// A keyring, cut into certificates: whatever the bytes, the pieces are a partition of them and each
// has a form that librnp is given.
#include "../../lib/deb/certificates.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto certificates = deb::read_certificates(bytes);
  if (!certificates) {
    return 0;
  }
  std::size_t at = 0;
  for (const auto& certificate : *certificates) {
    if (certificate.bytes.data() != bytes.data() + at || certificate.bytes.empty()) {
      std::abort();
    }
    at += certificate.bytes.size();
    for (const auto& id : certificate.key_ids) {
      if (id.size() != 16) {
        std::abort();
      }
    }
  }
  if (at != bytes.size()) {
    std::abort();
  }
  return 0;
}
