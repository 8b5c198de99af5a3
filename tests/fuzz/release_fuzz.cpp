// InRelease files: the bytes as a mirror may serve them, which must never be accepted, and the same
// bytes under a good signature, so that the parser behind the verification is reached as well.
#include "aipack/core/error.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/io/temp_file.hpp"

#include "../support/debian_archive.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr std::int64_t now = 1735689600;

struct Fixture {
  aipack::io::TempDirectory directory{};
  aipack::test::SigningKey key{{.created = static_cast<std::uint64_t>(now - 86400)}};
  aipack::deb::VerifyOptions options{.keyrings = {directory.path() / "keyring.gpg"}, .now = now};
  Fixture() {
    aipack::io::write_file_atomically(options.keyrings.front(),
                                      aipack::io::as_bytes(key.public_key()));
  }
};

bool accepted(std::string_view in_release, const Fixture& fixture) {
  try {
    const auto release = aipack::deb::verify_release(in_release, "trixie", fixture.options);
    for (const auto& file : release.files) {
      if (release.find(file.path) == nullptr) {
        std::abort();
      }
    }
    return true;
  } catch (const aipack::Error& error) {
    if (error.code() != aipack::ErrorCode::corrupt &&
        error.code() != aipack::ErrorCode::unavailable) {
      std::abort();
    }
    return false;
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Fixture fixture;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (accepted(bytes, fixture)) {
    std::abort(); // The key is made by this process: nobody else can have signed with it.
  }
  std::string signed_bytes;
  try {
    signed_bytes = fixture.key.clear_sign(bytes);
  } catch (const std::runtime_error&) {
    return 0; // librnp does not sign everything, for example nothing at all.
  }
  static_cast<void>(accepted(signed_bytes, fixture));
  return 0;
}
