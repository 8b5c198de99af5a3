#include "aipack/core/checked.hpp"
#include "aipack/core/text.hpp"

#include "object_reader.hpp"

#include <algorithm>
#include <cstring>

#include <elf.h>

namespace aipack::elf {

void ObjectReader::read_dynamic(Object& object) {
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

void ObjectReader::read_dynamic_entry(Object& object, const GElf_Dyn& entry) {
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
void ObjectReader::read_versions_needed(Object& object) const {
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
void ObjectReader::read_versions_defined(Object& object) const {
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
std::uint64_t ObjectReader::undefined_symbol_bound() const {
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

bool ObjectReader::imports(std::string_view wanted) const {
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

} // namespace aipack::elf
