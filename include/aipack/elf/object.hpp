#pragma once

#include "aipack/core/export.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::elf {

/// The machines that aipack composes images for. Values are e_machine of the ELF header.
enum class Machine : std::uint16_t { x86_64 = 62, aarch64 = 183, riscv64 = 243 };

[[nodiscard]] AIPACK_API std::string_view to_string(Machine machine) noexcept;
/// From OCI's name ("amd64", "arm64", "riscv64"); throws Error{unsupported}.
[[nodiscard]] AIPACK_API Machine machine_of(std::string_view oci_architecture);

/// Reader limits.
inline constexpr std::uint64_t max_object_bytes = std::uint64_t{1} << 30;
inline constexpr std::size_t max_dynamic_entries = 4096;
inline constexpr std::size_t max_version_entries = 4096;
inline constexpr std::size_t max_program_headers = 256;
inline constexpr std::size_t max_notes = 4096;
inline constexpr std::size_t max_note_bytes = std::size_t{1} << 20;
inline constexpr std::size_t max_name_bytes = 4096; ///< a soname, a symbol version, an interpreter
inline constexpr std::size_t max_search_path_bytes = 1 << 16; ///< DT_RPATH, DT_RUNPATH
inline constexpr std::size_t max_library_names = 10'000;

/// A recommendation of a library to open at run time. Source: UAPI group, "ELF dlopen metadata"
/// (.note.dlopen, owner FDO, type 0x407c0c0a).
struct DlopenNote {
  std::vector<std::string> sonames; ///< alternatives, best first
  std::string feature;
  std::string description;
  std::string priority; ///< "required", "recommended" (the default) or "suggested"
  bool operator==(const DlopenNote&) const = default;
};

/// What a dynamically linked binary needs from the system it runs on, read from program headers
/// (sections may be stripped).
struct Object {
  std::uint16_t machine = 0; ///< e_machine, also of machines aipack does not compose for
  bool is_64_bit = true;
  bool is_little_endian = true;
  std::uint32_t flags = 0;   ///< e_flags: riscv's float ABI
  std::uint16_t type = 0;    ///< e_type: 2 EXEC, 3 DYN
  std::string interpreter{}; ///< PT_INTERP, empty for libraries
  std::string soname{};
  std::vector<std::string> needed{};      ///< DT_NEEDED in file order
  std::vector<std::string> filters{};     ///< DT_FILTER: loaded as if needed
  std::vector<std::string> auxiliaries{}; ///< DT_AUXILIARY: loaded when they exist
  std::vector<std::string> audit{}; ///< DT_AUDIT and DT_DEPAUDIT: code that runs before the program
  std::string rpath{};
  std::string runpath{};
  std::uint64_t flags_1 = 0; ///< DT_FLAGS_1: NODEFLIB is 0x800
  std::map<std::string, std::set<std::string>>
      versions_needed{}; ///< library → non-weak symbol versions
  std::set<std::string> versions_defined{};
  std::optional<unsigned> isa_level{}; ///< x86-64: 1 (baseline) … 4; empty without a note
  std::vector<DlopenNote> dlopen_notes{};
  bool imports_dlopen = false; ///< has an undefined symbol dlopen
  bool operator==(const Object&) const = default;

  /// Of this machine, and on riscv64 of the double-float calling convention that Debian (lp64d)
  /// uses.
  [[nodiscard]] AIPACK_API bool is(Machine wanted) const noexcept;
};

/// True for bytes that begin with the ELF magic.
[[nodiscard]] AIPACK_API bool is_elf(std::span<const std::byte> head) noexcept;

/// Reads an ELF file that is wholly in memory. `name` is what errors call it. Throws
/// FormatError{corrupt} with the byte offset, or Error{unsupported} for big-endian or 32-bit files.
/// Source: System V gABI chapter 4 and 5; LSB 5.0 "symbol versioning" for DT_VERNEED and DT_VERDEF.
[[nodiscard]] AIPACK_API Object read(std::span<const std::byte> file, std::string_view name);

/// The printable strings of read-only data that look like library names ("libfoo.so.1"), sorted:
/// what a program that imports dlopen may open.
[[nodiscard]] AIPACK_API std::vector<std::string> library_names_in(std::span<const std::byte> file);

} // namespace aipack::elf
