#pragma once

#include "aipack/core/export.hpp"
#include "aipack/license/license.hpp"

#include <string_view>

namespace aipack::license {

/// Limits for copyright files that others wrote. Beyond them a file is pointed at, not read.
inline constexpr std::size_t max_copyright_bytes = std::size_t{4} << 20;
inline constexpr std::size_t max_copyright_paragraphs = 20'000;
inline constexpr std::size_t max_copyright_licenses = 500; ///< different ones
inline constexpr std::size_t max_synopsis_bytes = 1024;    ///< of one "License:"

/// The licence of a Debian package out of its copyright file (/usr/share/doc/PACKAGE/copyright).
///
/// A machine-readable file (copyright-format 1.0) is the conjunction of what its paragraphs name,
/// in SPDX's words: "Expat" is MIT, "GPL-2+" GPL-2.0-or-later; a name that SPDX does not know
/// becomes a LicenseRef-Debian-NAME with the text that the file gives. Of other files references to
/// /usr/share/common-licenses and the wording of well-known licences are recognised; where nothing
/// is, the result is a LicenseRef of the package that points at the file. Never throws for what the
/// file says.
///
///     read_debian_copyright(text, "zlib1g").expression  // "Zlib"
[[nodiscard]] AIPACK_API License read_debian_copyright(std::string_view text,
                                                       std::string_view package);

} // namespace aipack::license
