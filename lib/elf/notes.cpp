#include "aipack/core/checked.hpp"
#include "aipack/core/text.hpp"

#include "dlopen_note.hpp"
#include "object_reader.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <elf.h>

namespace aipack::elf {
namespace {

// Notes.
constexpr std::uint32_t note_dlopen = 0x407c0c0a;         // owner FDO
constexpr std::uint32_t property_x86_needed = 0xc0008002; // GNU_PROPERTY_X86_ISA_1_NEEDED

} // namespace

void ObjectReader::read_notes(Object& object) const {
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
void ObjectReader::read_properties(Object& object, std::span<const std::byte> note,
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

} // namespace aipack::elf
