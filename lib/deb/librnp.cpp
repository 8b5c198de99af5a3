#include "librnp.hpp"

#include "aipack/core/error.hpp"

#include <array>
#include <cstdint>

#include <dlfcn.h>
#include <fmt/format.h>

namespace aipack::deb {
namespace {

// What a packager's tools cannot see among the libraries that are linked. Source: UAPI group, "ELF
// dlopen() metadata": a note of type 0x407c0c0a by "FDO".
constexpr char note_text[] =
    R"([{"feature":"openpgp","description":"Signatures of package archives",)"
    R"("priority":"required","soname":[")" AIPACK_LIBRNP R"("]}])";
struct DlopenNote {
  std::uint32_t name_bytes;
  std::uint32_t text_bytes;
  std::uint32_t type;
  std::array<char, sizeof "FDO"> name;
  std::array<char, sizeof note_text> text;
};
[[gnu::used, gnu::section(".note.dlopen"), gnu::aligned(4)]] constexpr DlopenNote dlopen_note{
    sizeof "FDO", sizeof note_text, 0x407c0c0a, std::to_array("FDO"), std::to_array(note_text)};

void* open_library() {
  void* const library = ::dlopen(AIPACK_LIBRNP, RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    const char* const cause = ::dlerror(); // NOLINT(concurrency-mt-unsafe): glibc's is per thread
    throw Error(ErrorCode::not_found,
                fmt::format("cannot open the OpenPGP library: {}", cause != nullptr ? cause : "?"))
        .with_hint("install librnp (Debian: the package librnp0)");
  }
  return library;
}

} // namespace

Librnp::Librnp() : library_(open_library()) {}

Librnp::Symbol Librnp::symbol(const char* name) const {
  void* const address = ::dlsym(library_, name);
  if (address == nullptr) {
    throw Error(ErrorCode::not_found,
                fmt::format("cannot use {}: it has no function {}", AIPACK_LIBRNP, name))
        .with_hint("install librnp 0.16 or newer");
  }
  return {address};
}

const Librnp& librnp() {
  static const Librnp library;
  return library;
}

} // namespace aipack::deb
