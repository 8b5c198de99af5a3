// Binary packages: ar, compression, tar and control file of a .deb.
#include "aipack/core/error.hpp"
#include "aipack/deb/package_file.hpp"
#include "aipack/io/temp_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const aipack::io::TempDirectory directory;
  const auto file = directory.path() / "fuzz.deb";
  const auto cache = directory.path() / "unpacked";
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  aipack::io::write_file_atomically(file, bytes);
  try {
    const auto package = aipack::deb::open_package(file, aipack::oci::Digest::of(bytes), cache, {});
    if (package.control.find("Package").value_or("").empty()) {
      std::abort();
    }
    aipack::io::NullSink sink;
    for (const auto& member : package.members) {
      if (member.content) {
        const auto source = member.content->open();
        aipack::io::copy(*source, sink, {});
      }
    }
  } catch (const aipack::Error& error) {
    if (error.code() != aipack::ErrorCode::corrupt &&
        error.code() != aipack::ErrorCode::unsupported) {
      std::abort();
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(cache, ignored);
  return 0;
}
