#pragma once

#include "aipack/deb/archive.hpp"

#include <span>
#include <string>
#include <string_view>

namespace aipack::deb {

/// A file of a source package, as a Sources index names it.
struct SourceFile {
  std::string name;
  std::string url;
  oci::Digest digest;
  std::uint64_t size_bytes = 0;
};

/// The file of the newest version of the package in any of the Sources indexes, whose name ends in
/// one of `suffixes` ("a|b", best first). Throws Error{not_found}, FormatError{corrupt}.
[[nodiscard]] SourceFile find_source_file(std::span<const IndexFile> indexes,
                                          std::string_view source_package,
                                          std::string_view suffixes, const Operation& op);

} // namespace aipack::deb
