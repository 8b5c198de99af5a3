#pragma once

#include "aipack/elf/object.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace aipack::elf {

/// Reads the JSON array of a .note.dlopen. `offset` is where it stands in the file `name`. Throws
/// FormatError{corrupt}. Source: UAPI group, "ELF dlopen metadata": [{"soname": ["libx.so.1"],
/// "feature": …, "description": …, "priority": …}].
[[nodiscard]] std::vector<DlopenNote>
parse_dlopen_note(std::span<const std::byte> body, std::string_view name, std::uint64_t offset);

} // namespace aipack::elf
