// Key files: whatever is read as a public key must be written and read again as the same one.
#include "aipack/core/error.hpp"
#include "aipack/sign/key.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

template <class Fn>
void tolerate(Fn fn) {
  try {
    fn();
  } catch (const aipack::Error& error) {
    if (error.code() == aipack::ErrorCode::internal) {
      std::abort();
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace aipack::sign;
  const std::string text(reinterpret_cast<const char*>(data), size);
  tolerate([&] {
    const PublicKey key = PublicKey::parse(text, "input");
    if (!(PublicKey::parse(key.to_pem(), "again") == key)) {
      std::abort();
    }
  });
  tolerate([&] { (void)PublicKey::parse_der(text, "input"); });
  // Without a password: its derivation costs a tenth of a second, and comes after the reading.
  tolerate([&] { (void)PrivateKey::parse(text, "input"); });
  return 0;
}
