#pragma once

#include "aipack/core/error.hpp"
#include "aipack/elf/object.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gelf.h>
#include <libelf.h>

namespace aipack::elf {

struct ElfDeleter {
  void operator()(Elf* elf) const noexcept { elf_end(elf); }
};
using ElfPtr = std::unique_ptr<Elf, ElfDeleter>;

/// The number of `width` bytes at `at`, which the caller has found to be inside.
[[nodiscard]] std::uint64_t little_endian(std::span<const std::byte> bytes, std::size_t at,
                                          std::size_t width);

/// A part of the file that a virtual address range is loaded from.
struct Place {
  std::uint64_t offset = 0;
  std::uint64_t available = 0; ///< bytes up to the end of the segment's file part
};

/// Walks one file. Every offset is checked against the segment it lies in before libelf
/// dereferences it.
class ObjectReader {
public:
  ObjectReader(std::span<const std::byte> file, std::string_view name) : file_(file), name_(name) {
    check_header();
    open();
    read_segments();
  }

  Object read();
  [[nodiscard]] std::vector<std::span<const std::byte>> read_only_segments() const;

private:
  [[noreturn]] void fail(std::uint64_t offset, std::string_view cause) const {
    throw FormatError(name_, offset, cause);
  }
  void check_header();
  void open();
  void read_segments();
  [[nodiscard]] std::optional<Place> place_of(std::uint64_t address) const;
  [[nodiscard]] Place require(std::uint64_t address, std::uint64_t size,
                              std::string_view what) const;
  Elf_Data* chunk(const Place& place, std::uint64_t size, Elf_Type type,
                  std::string_view what) const;
  void read_interpreter(Object& object) const;
  void read_dynamic(Object& object);
  void read_dynamic_entry(Object& object, const GElf_Dyn& entry);
  [[nodiscard]] std::string string_at(std::uint64_t index,
                                      std::size_t limit = max_name_bytes) const;
  void read_versions_needed(Object& object) const;
  void read_versions_defined(Object& object) const;
  [[nodiscard]] bool imports(std::string_view wanted) const;
  [[nodiscard]] std::uint64_t undefined_symbol_bound() const;
  void read_notes(Object& object) const;
  void read_properties(Object& object, std::span<const std::byte> note, std::uint64_t offset) const;

  std::span<const std::byte> file_;
  std::string name_;
  ElfPtr elf_;
  GElf_Ehdr header_{};
  std::vector<GElf_Phdr> segments_;

  // Of the dynamic section.
  std::vector<GElf_Dyn> dynamic_;
  Place strings_;
  [[nodiscard]] std::optional<std::uint64_t> tag(std::int64_t wanted) const;
};

} // namespace aipack::elf
