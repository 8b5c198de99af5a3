#pragma once

#include "aipack/core/export.hpp"
#include "aipack/io/byte_stream.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace aipack::archive {

inline constexpr std::size_t max_ar_members = 64;

/// One member of an ar archive; the content is [offset, offset + size) of the file.
struct ArMember {
  std::string name;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

/// The member table of an ar archive in the common form (no GNU or BSD long names: deb(5) has
/// none). Throws FormatError{corrupt}. Source: ar(5), deb(5).
[[nodiscard]] AIPACK_API std::vector<ArMember> read_ar(const io::RandomAccess& file,
                                                       std::string_view name);

} // namespace aipack::archive
