#include "object_reader.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>
#include <cstring>

#include <elf.h>

namespace aipack::elf {
namespace {

using ElfPtr = std::unique_ptr<Elf, ElfDeleter>;

// ELF header, 64-bit form (gABI 4, "ELF Header"): what is checked before libelf sees the file.
//   0  e_ident[16]: 7f 'E' 'L' 'F', class, data, version, OS ABI, ABI version
//  16  e_type 2   18 e_machine 2   20 e_version 4   24 e_entry 8   32 e_phoff 8   40 e_shoff 8
//  48  e_flags 4  52 e_ehsize 2    54 e_phentsize 2 56 e_phnum 2   58 e_shentsize 2  60 e_shnum 2
constexpr std::size_t header_bytes = 64;

} // namespace

std::uint64_t little_endian(std::span<const std::byte> bytes, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
  }
  return value;
}

void ObjectReader::check_header() {
  if (file_.size() > max_object_bytes) {
    throw Error(ErrorCode::unsupported,
                "cannot read " + quoted(name_) + ": an ELF file of more than 1 GiB");
  }
  if (!is_elf(file_)) {
    fail(0, "no ELF magic");
  }
  if (file_.size() < header_bytes) {
    fail(file_.size(), "the file ends in the ELF header");
  }
  if (file_[EI_CLASS] == std::byte{ELFCLASS32}) {
    throw Error(ErrorCode::unsupported, "cannot read " + quoted(name_) + ": a 32-bit ELF file");
  }
  if (file_[EI_DATA] == std::byte{ELFDATA2MSB}) {
    throw Error(ErrorCode::unsupported, "cannot read " + quoted(name_) + ": a big-endian ELF file");
  }
  if (file_[EI_CLASS] != std::byte{ELFCLASS64} || file_[EI_DATA] != std::byte{ELFDATA2LSB} ||
      file_[EI_VERSION] != std::byte{EV_CURRENT}) {
    fail(EI_CLASS, "unknown ELF class, byte order or version");
  }
  const auto check_table = [&](std::size_t offset_at, std::size_t entry_size_at,
                               std::size_t count_at, std::size_t entry_size,
                               std::string_view what) {
    const std::uint64_t offset = little_endian(file_, offset_at, 8);
    const std::uint64_t count = little_endian(file_, count_at, 2);
    if (count == 0) {
      return;
    }
    if (little_endian(file_, entry_size_at, 2) != entry_size) {
      fail(entry_size_at, std::string("wrong entry size of the ") + std::string(what) + " table");
    }
    const auto end = try_add(offset, count * entry_size);
    if (offset < header_bytes || !end || *end > file_.size()) {
      fail(offset_at,
           std::string("the ") + std::string(what) + " table ends past the end of the file");
    }
  };
  check_table(32, 54, 56, sizeof(Elf64_Phdr), "program header");
  check_table(40, 58, 60, sizeof(Elf64_Shdr), "section header");
  if (little_endian(file_, 60, 2) == 0 && little_endian(file_, 40, 8) != 0) {
    fail(60, "extended section numbering, which linked files do not use");
  }
  if (little_endian(file_, 56, 2) > max_program_headers) {
    fail(56, "more than 256 program headers");
  }
}

void ObjectReader::open() {
  elf_version(EV_CURRENT);
  // libelf takes a non-const image but does not write to one that is opened for reading.
  elf_.reset(
      elf_memory(const_cast<char*>(reinterpret_cast<const char*>(file_.data())), file_.size()));
  if (!elf_ || gelf_getehdr(elf_.get(), &header_) == nullptr) {
    fail(0, "libelf does not accept the header");
  }
}

void ObjectReader::read_segments() {
  std::size_t count = 0;
  if (elf_getphdrnum(elf_.get(), &count) != 0 || count > max_program_headers) {
    fail(56, "libelf does not accept the program header table");
  }
  segments_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr& segment = segments_[i];
    if (gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) == nullptr) {
      fail(header_.e_phoff, "libelf does not accept a program header");
    }
    const auto end = try_add<std::uint64_t>(segment.p_offset, segment.p_filesz);
    if (segment.p_filesz != 0 && (!end || *end > file_.size())) {
      fail(segment.p_offset, "a segment ends past the end of the file");
    }
    if (!try_add<std::uint64_t>(segment.p_vaddr, std::max(segment.p_memsz, segment.p_filesz))) {
      fail(header_.e_phoff, "a segment wraps around the address space");
    }
  }
}

std::optional<Place> ObjectReader::place_of(std::uint64_t address) const {
  for (const GElf_Phdr& segment : segments_) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz) {
      const std::uint64_t delta = address - segment.p_vaddr;
      return Place{segment.p_offset + delta, segment.p_filesz - delta};
    }
  }
  return std::nullopt;
}

Place ObjectReader::require(std::uint64_t address, std::uint64_t size,
                            std::string_view what) const {
  const auto place = place_of(address);
  if (!place || place->available < size) {
    fail(header_.e_phoff, std::string(what) + " lies outside the loaded segments");
  }
  return *place;
}

Elf_Data* ObjectReader::chunk(const Place& place, std::uint64_t size, Elf_Type type,
                              std::string_view what) const {
  Elf_Data* data =
      elf_getdata_rawchunk(elf_.get(), static_cast<std::int64_t>(place.offset), size, type);
  if (data == nullptr || data->d_size != size) {
    fail(place.offset, std::string("libelf does not accept ") + std::string(what));
  }
  return data;
}

void ObjectReader::read_interpreter(Object& object) const {
  for (const GElf_Phdr& segment : segments_) {
    if (segment.p_type != PT_INTERP) {
      continue;
    }
    const auto bytes =
        file_.subspan(segment.p_offset, std::min<std::uint64_t>(segment.p_filesz, max_name_bytes));
    const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
    if (end == bytes.begin() || end == bytes.end()) {
      fail(segment.p_offset, "the interpreter's name is empty or not terminated");
    }
    object.interpreter.assign(reinterpret_cast<const char*>(bytes.data()),
                              static_cast<std::size_t>(end - bytes.begin()));
    return;
  }
}

std::optional<std::uint64_t> ObjectReader::tag(std::int64_t wanted) const {
  std::optional<std::uint64_t> value;
  for (const GElf_Dyn& entry : dynamic_) {
    if (entry.d_tag == wanted) {
      value = entry.d_un.d_val; // the last one counts, as in ld.so
    }
  }
  return value;
}

std::string ObjectReader::string_at(std::uint64_t index, std::size_t limit) const {
  if (index >= strings_.available) {
    fail(strings_.offset, "a name lies outside the dynamic string table");
  }
  const char* begin = reinterpret_cast<const char*>(file_.data()) + strings_.offset + index;
  const std::size_t rest =
      static_cast<std::size_t>(std::min<std::uint64_t>(strings_.available - index, limit + 1));
  const void* end = std::memchr(begin, 0, rest);
  if (end == nullptr) {
    fail(strings_.offset + index,
         "a name in the dynamic string table is not terminated or too long");
  }
  return {begin, static_cast<const char*>(end)};
}

Object ObjectReader::read() {
  Object object;
  object.machine = header_.e_machine;
  object.flags = header_.e_flags;
  object.type = header_.e_type;
  read_interpreter(object);
  read_dynamic(object);
  read_notes(object);
  return object;
}

std::vector<std::span<const std::byte>> ObjectReader::read_only_segments() const {
  std::vector<std::span<const std::byte>> parts;
  for (const GElf_Phdr& segment : segments_) {
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) == 0 && segment.p_filesz != 0) {
      parts.push_back(file_.subspan(segment.p_offset, segment.p_filesz));
    }
  }
  return parts;
}

} // namespace aipack::elf
