#include "aipack/elf/object.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "dlopen_note.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include <elf.h>
#include <gelf.h>
#include <libelf.h>

namespace aipack::elf {
namespace {

struct ElfDeleter {
  void operator()(Elf* elf) const noexcept { elf_end(elf); }
};
using ElfPtr = std::unique_ptr<Elf, ElfDeleter>;

// ELF header, 64-bit form (gABI 4, "ELF Header"): what is checked before libelf sees the file.
//   0  e_ident[16]: 7f 'E' 'L' 'F', class, data, version, OS ABI, ABI version
//  16  e_type 2   18 e_machine 2   20 e_version 4   24 e_entry 8   32 e_phoff 8   40 e_shoff 8
//  48  e_flags 4  52 e_ehsize 2    54 e_phentsize 2 56 e_phnum 2   58 e_shentsize 2  60 e_shnum 2
constexpr std::size_t header_bytes = 64;

// e_flags of riscv (RISC-V ELF psABI, "File Header").
constexpr std::uint32_t riscv_float_abi_mask = 0x6;
constexpr std::uint32_t riscv_float_abi_double = 0x4;
constexpr std::uint32_t riscv_embedded = 0x8;

// Notes.
constexpr std::uint32_t note_dlopen = 0x407c0c0a;         // owner FDO
constexpr std::uint32_t property_x86_needed = 0xc0008002; // GNU_PROPERTY_X86_ISA_1_NEEDED

std::uint64_t little_endian(std::span<const std::byte> bytes, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
  }
  return value;
}

/// A part of the file that a virtual address range is loaded from.
struct Place {
  std::uint64_t offset = 0;
  std::uint64_t available = 0; ///< bytes up to the end of the segment's file part
};

/// Walks one file. Every offset is checked against the segment it lies in before libelf
/// dereferences it.
class Reader {
public:
  Reader(std::span<const std::byte> file, std::string_view name) : file_(file), name_(name) {
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

void Reader::check_header() {
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

void Reader::open() {
  elf_version(EV_CURRENT);
  // libelf takes a non-const image but does not write to one that is opened for reading.
  elf_.reset(
      elf_memory(const_cast<char*>(reinterpret_cast<const char*>(file_.data())), file_.size()));
  if (!elf_ || gelf_getehdr(elf_.get(), &header_) == nullptr) {
    fail(0, "libelf does not accept the header");
  }
}

void Reader::read_segments() {
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

std::optional<Place> Reader::place_of(std::uint64_t address) const {
  for (const GElf_Phdr& segment : segments_) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz) {
      const std::uint64_t delta = address - segment.p_vaddr;
      return Place{segment.p_offset + delta, segment.p_filesz - delta};
    }
  }
  return std::nullopt;
}

Place Reader::require(std::uint64_t address, std::uint64_t size, std::string_view what) const {
  const auto place = place_of(address);
  if (!place || place->available < size) {
    fail(header_.e_phoff, std::string(what) + " lies outside the loaded segments");
  }
  return *place;
}

Elf_Data* Reader::chunk(const Place& place, std::uint64_t size, Elf_Type type,
                        std::string_view what) const {
  Elf_Data* data =
      elf_getdata_rawchunk(elf_.get(), static_cast<std::int64_t>(place.offset), size, type);
  if (data == nullptr || data->d_size != size) {
    fail(place.offset, std::string("libelf does not accept ") + std::string(what));
  }
  return data;
}

void Reader::read_interpreter(Object& object) const {
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

std::optional<std::uint64_t> Reader::tag(std::int64_t wanted) const {
  std::optional<std::uint64_t> value;
  for (const GElf_Dyn& entry : dynamic_) {
    if (entry.d_tag == wanted) {
      value = entry.d_un.d_val; // the last one counts, as in ld.so
    }
  }
  return value;
}

std::string Reader::string_at(std::uint64_t index, std::size_t limit) const {
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

void Reader::read_dynamic(Object& object) {
  const auto segment = std::find_if(segments_.begin(), segments_.end(),
                                    [](const GElf_Phdr& s) { return s.p_type == PT_DYNAMIC; });
  if (segment == segments_.end() || segment->p_filesz == 0) {
    return; // static
  }
  const std::uint64_t count = segment->p_filesz / sizeof(Elf64_Dyn);
  const Place place = require(segment->p_vaddr, segment->p_filesz, "the dynamic section");
  Elf_Data* data = chunk(place, count * sizeof(Elf64_Dyn), ELF_T_DYN, "the dynamic section");
  for (std::uint64_t i = 0; i < count; ++i) {
    GElf_Dyn entry;
    if (gelf_getdyn(data, static_cast<int>(i), &entry) == nullptr) {
      fail(place.offset, "libelf does not accept a dynamic entry");
    }
    if (entry.d_tag == DT_NULL) {
      break;
    }
    if (i >= max_dynamic_entries) {
      fail(place.offset, "more than 4096 dynamic entries");
    }
    dynamic_.push_back(entry);
  }
  if (const auto address = tag(DT_STRTAB)) {
    const std::uint64_t size = tag(DT_STRSZ).value_or(0);
    strings_ = require(*address, size, "the dynamic string table");
    strings_.available = size;
  }
  for (const GElf_Dyn& entry : dynamic_) {
    read_dynamic_entry(object, entry);
  }
  if (const auto runpath = tag(DT_RUNPATH)) {
    object.runpath = string_at(*runpath, max_search_path_bytes);
  }
  if (const auto rpath = tag(DT_RPATH)) {
    object.rpath = string_at(*rpath, max_search_path_bytes);
  }
  read_versions_needed(object);
  read_versions_defined(object);
  object.imports_dlopen = imports("dlopen") || imports("dlmopen");
}

void Reader::read_dynamic_entry(Object& object, const GElf_Dyn& entry) {
  switch (entry.d_tag) {
  case DT_NEEDED:
    object.needed.push_back(string_at(entry.d_un.d_val));
    break;
  case DT_SONAME:
    object.soname = string_at(entry.d_un.d_val);
    break;
  case DT_FILTER:
    object.filters.push_back(string_at(entry.d_un.d_val));
    break;
  case DT_AUXILIARY:
    object.auxiliaries.push_back(string_at(entry.d_un.d_val));
    break;
  case DT_AUDIT:
  case DT_DEPAUDIT:
    object.audit.push_back(string_at(entry.d_un.d_val));
    break;
  case DT_FLAGS_1:
    object.flags_1 = entry.d_un.d_val;
    break;
  default:
    break;
  }
}

// DT_VERNEED: a chain of Verneed (16 bytes: version 2, cnt 2, file 4, aux 4, next 4), each with a
// chain of Vernaux (16 bytes: hash 4, flags 2, other 2, name 4, next 4). Offsets are relative to
// the structure they stand in and point forward.
void Reader::read_versions_needed(Object& object) const {
  const auto address = tag(DT_VERNEED);
  if (!address) {
    return;
  }
  const Place place = require(*address, sizeof(Elf64_Verneed), "the table of needed versions");
  Elf_Data* data = chunk(place, place.available, ELF_T_VNEED, "the table of needed versions");
  std::size_t seen = 0;
  std::uint64_t at = 0;
  for (std::uint64_t left = tag(DT_VERNEEDNUM).value_or(0); left > 0; --left) {
    GElf_Verneed need;
    if (at > place.available || gelf_getverneed(data, static_cast<int>(at), &need) == nullptr) {
      fail(place.offset, "the table of needed versions ends past its segment");
    }
    auto& versions = object.versions_needed[string_at(need.vn_file)];
    std::uint64_t aux_at = at + need.vn_aux;
    for (unsigned i = 0; i < need.vn_cnt; ++i) {
      GElf_Vernaux aux;
      if (++seen > max_version_entries) {
        fail(place.offset, "more than 4096 needed versions");
      }
      if (aux_at > place.available ||
          gelf_getvernaux(data, static_cast<int>(aux_at), &aux) == nullptr) {
        fail(place.offset, "the table of needed versions ends past its segment");
      }
      if ((aux.vna_flags & VER_FLG_WEAK) == 0) {
        versions.insert(string_at(aux.vna_name));
      }
      if (aux.vna_next == 0) {
        break;
      }
      aux_at += aux.vna_next;
    }
    if (++seen > max_version_entries) {
      fail(place.offset, "more than 4096 needed versions");
    }
    if (need.vn_next == 0) {
      break;
    }
    at += need.vn_next;
  }
}

// DT_VERDEF: a chain of Verdef (20 bytes), each with a chain of Verdaux (8 bytes: name 4, next 4)
// of which the first is the version.
void Reader::read_versions_defined(Object& object) const {
  const auto address = tag(DT_VERDEF);
  if (!address) {
    return;
  }
  const Place place = require(*address, sizeof(Elf64_Verdef), "the table of defined versions");
  Elf_Data* data = chunk(place, place.available, ELF_T_VDEF, "the table of defined versions");
  std::size_t seen = 0;
  std::uint64_t at = 0;
  for (std::uint64_t left = tag(DT_VERDEFNUM).value_or(0); left > 0; --left) {
    GElf_Verdef definition;
    GElf_Verdaux aux;
    if (++seen > max_version_entries) {
      fail(place.offset, "more than 4096 defined versions");
    }
    if (at > place.available ||
        gelf_getverdef(data, static_cast<int>(at), &definition) == nullptr) {
      fail(place.offset, "the table of defined versions ends past its segment");
    }
    const std::uint64_t aux_at = at + definition.vd_aux;
    if (aux_at > place.available ||
        gelf_getverdaux(data, static_cast<int>(aux_at), &aux) == nullptr) {
      fail(place.offset, "the table of defined versions ends past its segment");
    }
    if ((definition.vd_flags & VER_FLG_BASE) == 0) {
      object.versions_defined.insert(string_at(aux.vda_name));
    }
    if (definition.vd_next == 0) {
      break;
    }
    at += definition.vd_next;
  }
}

/// Undefined symbols have an index below this: DT_GNU_HASH leaves them out of its buckets and puts
/// them first; DT_HASH counts all.
std::uint64_t Reader::undefined_symbol_bound() const {
  if (const auto address = tag(DT_GNU_HASH)) {
    const Place place = require(*address, 16, "the GNU hash table");
    return little_endian(file_, place.offset + 4,
                         4); // nbuckets 4, symoffset 4, bloom size 4, bloom shift 4
  }
  if (const auto address = tag(DT_HASH)) {
    const Place place = require(*address, 8, "the hash table");
    return little_endian(file_, place.offset + 4, 4); // nbucket 4, nchain 4
  }
  return 0;
}

bool Reader::imports(std::string_view wanted) const {
  const auto address = tag(DT_SYMTAB);
  const std::uint64_t bound = undefined_symbol_bound();
  if (!address || bound == 0) {
    return false;
  }
  const std::uint64_t size = checked_multiply<std::uint64_t>(bound, sizeof(Elf64_Sym));
  const Place place = require(*address, size, "the symbol table");
  Elf_Data* data = chunk(place, size, ELF_T_SYM, "the symbol table");
  for (std::uint64_t i = 1; i < bound; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) {
      fail(place.offset, "libelf does not accept a symbol");
    }
    const std::uint64_t name = symbol.st_name;
    if (symbol.st_shndx == SHN_UNDEF && name < strings_.available &&
        strings_.available - name > wanted.size() &&
        std::memcmp(file_.data() + strings_.offset + name, wanted.data(), wanted.size()) == 0 &&
        file_[strings_.offset + name + wanted.size()] == std::byte{0}) {
      return true;
    }
  }
  return false;
}

void Reader::read_notes(Object& object) const {
  std::size_t seen = 0;
  for (const GElf_Phdr& segment : segments_) {
    if (segment.p_type != PT_NOTE || segment.p_filesz == 0) {
      continue;
    }
    if (segment.p_filesz > max_note_bytes) {
      fail(segment.p_offset, "more than 1 MiB of notes");
    }
    const Elf_Type type = segment.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR;
    Elf_Data* data =
        chunk({segment.p_offset, segment.p_filesz}, segment.p_filesz, type, "the notes");
    const auto bytes = file_.subspan(segment.p_offset, segment.p_filesz);
    GElf_Nhdr note;
    std::size_t name_at = 0;
    std::size_t body_at = 0;
    std::size_t next = 0;
    for (std::size_t at = 0;
         at < bytes.size() && (next = gelf_getnote(data, at, &note, &name_at, &body_at)) != 0;
         at = next) {
      if (++seen > max_notes) {
        fail(segment.p_offset, "more than 4096 notes");
      }
      const std::string_view owner(reinterpret_cast<const char*>(bytes.data()) + name_at,
                                   note.n_namesz);
      const auto body = bytes.subspan(body_at, note.n_descsz);
      if (owner == std::string_view("GNU\0", 4) && note.n_type == NT_GNU_PROPERTY_TYPE_0) {
        read_properties(object, body, segment.p_offset + body_at);
      } else if (owner == std::string_view("FDO\0", 4) && note.n_type == note_dlopen) {
        for (DlopenNote& parsed : parse_dlopen_note(body, name_, segment.p_offset + body_at)) {
          object.dlopen_notes.push_back(std::move(parsed));
        }
      }
    }
  }
}

// NT_GNU_PROPERTY_TYPE_0: an array of { type 4, size 4, data, padding to 8 }. Source: Linux
// Extensions to gABI, "Program Property".
void Reader::read_properties(Object& object, std::span<const std::byte> note,
                             std::uint64_t offset) const {
  for (std::size_t at = 0; note.size() - at >= 8;) {
    const std::uint64_t type = little_endian(note, at, 4);
    const std::uint64_t size = little_endian(note, at + 4, 4);
    if (size > note.size() - at - 8) {
      fail(offset + at, "a program property ends past its note");
    }
    if (header_.e_machine == EM_X86_64 && type == property_x86_needed && size == 4) {
      const auto bits = static_cast<std::uint32_t>(little_endian(note, at + 8, 4));
      if (bits != 0) {
        object.isa_level =
            std::max(object.isa_level.value_or(0), static_cast<unsigned>(std::bit_width(bits)));
      }
    }
    const std::size_t step = static_cast<std::size_t>(align_up(size, 8)) + 8;
    if (step > note.size() - at) {
      break;
    }
    at += step;
  }
}

Object Reader::read() {
  Object object;
  object.machine = header_.e_machine;
  object.flags = header_.e_flags;
  object.type = header_.e_type;
  read_interpreter(object);
  read_dynamic(object);
  read_notes(object);
  return object;
}

std::vector<std::span<const std::byte>> Reader::read_only_segments() const {
  std::vector<std::span<const std::byte>> parts;
  for (const GElf_Phdr& segment : segments_) {
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) == 0 && segment.p_filesz != 0) {
      parts.push_back(file_.subspan(segment.p_offset, segment.p_filesz));
    }
  }
  return parts;
}

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
  return Reader(file, name).read();
}

std::vector<std::string> library_names_in(std::span<const std::byte> file) {
  Reader reader(file, "the program");
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
