// A keyring and, from the head line of a clear-signed message on, a message: what aipack's own
// reader finds good beyond doubt must be good for librnp too, with the same text and the same
// signers.
#include "aipack/core/error.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "../../lib/deb/plain_signature.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace aipack;

/// A day after the seeds were signed.
constexpr std::int64_t now = 1735689600 + 86400;

std::optional<deb::SignedText> by_librnp(std::string_view keyring, std::string_view message) {
  static const io::TempDirectory directory;
  const std::filesystem::path file = directory.path() / "keyring";
  io::write_file_atomically(file, io::as_bytes(keyring));
  try {
    return deb::Keyring::open(std::span(&file, 1))->verify_with_librnp(message, "it", now);
  } catch (const Error&) {
    return std::nullopt;
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t begin = bytes.find("-----BEGIN PGP SIGNED MESSAGE-----");
  if (begin == std::string_view::npos) {
    return 0;
  }
  const std::string keyring(bytes.substr(0, begin));
  const std::string message(bytes.substr(begin));
  if (const auto plain = deb::PlainKeyring({keyring}).verify(message, now)) {
    const auto judged = by_librnp(keyring, message);
    if (!judged || judged->text != plain->text || judged->signed_by != plain->signed_by) {
      std::abort();
    }
  }
  return 0;
}
