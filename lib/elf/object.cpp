#include "aipack/elf/object.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "object_reader.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include <elf.h>

namespace aipack::elf {
namespace {

// e_flags of riscv (RISC-V ELF psABI, "File Header").
constexpr std::uint32_t riscv_float_abi_mask = 0x6;
constexpr std::uint32_t riscv_float_abi_double = 0x4;
constexpr std::uint32_t riscv_embedded = 0x8;

bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-' || c == '+' || c == '/';
}

/// "libfoo.so", "libfoo.so.1.2", "dir/libfoo.so".
bool looks_like_library(std::string_view text) noexcept {
  if (text.size() > 255 || !std::all_of(text.begin(), text.end(), is_name_character)) {
    return false;
  }
  const std::string_view base = text.substr(text.rfind('/') + 1);
  const std::size_t suffix = base.find(".so");
  if (!base.starts_with("lib") || suffix == std::string_view::npos || suffix <= 3) {
    return false;
  }
  const std::string_view version = base.substr(suffix + 3);
  return version.empty() ||
         (version.size() > 1 && version[0] == '.' && version[1] >= '0' && version[1] <= '9');
}

} // namespace

std::string_view to_string(Machine machine) noexcept {
  switch (machine) {
  case Machine::x86_64:
    return "x86_64";
  case Machine::aarch64:
    return "aarch64";
  case Machine::riscv64:
    return "riscv64";
  }
  return "unknown";
}

Machine machine_of(std::string_view oci_architecture) {
  if (oci_architecture == "amd64") {
    return Machine::x86_64;
  }
  if (oci_architecture == "arm64") {
    return Machine::aarch64;
  }
  if (oci_architecture == "riscv64") {
    return Machine::riscv64;
  }
  throw Error(ErrorCode::unsupported, "cannot compose for architecture " +
                                          quoted(oci_architecture) + ": no known machine type")
      .with_hint("aipack composes for amd64, arm64 and riscv64");
}

bool Object::is(Machine wanted) const noexcept {
  if (machine != static_cast<std::uint16_t>(wanted)) {
    return false;
  }
  return wanted != Machine::riscv64 || ((flags & riscv_float_abi_mask) == riscv_float_abi_double &&
                                        (flags & riscv_embedded) == 0);
}

bool is_elf(std::span<const std::byte> head) noexcept {
  return head.size() >= SELFMAG && std::memcmp(head.data(), ELFMAG, SELFMAG) == 0;
}

Object read(std::span<const std::byte> file, std::string_view name) {
  return ObjectReader(file, name).read();
}

std::vector<std::string> library_names_in(std::span<const std::byte> file) {
  ObjectReader reader(file, "the program");
  const Object object = reader.read();
  std::set<std::string> names;
  for (const auto part : reader.read_only_segments()) {
    const std::string_view text(reinterpret_cast<const char*>(part.data()), part.size());
    for (std::size_t at = text.find(".so"); at != std::string_view::npos;
         at = text.find(".so", at)) {
      const std::size_t before = text.find_last_of('\0', at);
      const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
      const std::size_t end = std::min(text.find('\0', at), text.size());
      const std::string_view candidate = text.substr(begin, end - begin);
      if (end < text.size() && looks_like_library(candidate) && names.size() < max_library_names) {
        names.emplace(candidate);
      }
      at = end;
    }
  }
  // The dynamic string table is read-only data too: what it links against is not what it opens.
  for (const auto& needed : object.needed) {
    names.erase(needed);
  }
  for (const auto& [library, versions] : object.versions_needed) {
    names.erase(library);
  }
  names.erase(object.soname);
  return {names.begin(), names.end()};
}

} // namespace aipack::elf
