#pragma once

#include "aipack/io/file.hpp"

#include <filesystem>
#include <string_view>

namespace aipack::io {

/// What temporary names start with, so that a person (or `aipack cache prune`) knows them after a
/// power cut.
inline constexpr std::string_view temp_prefix = ".aipack-tmp-";

/// A name in `directory` that is almost surely free; the caller creates it exclusively.
std::filesystem::path temp_name(const std::filesystem::path& directory);

/// TempFile where the file system has no unnamed inodes: a new file with a temporary name, readable
/// by its owner only.
struct NamedFile {
  File file;
  std::filesystem::path name;
};
NamedFile create_named(const std::filesystem::path& directory);

/// Renames unless `to` exists; false then, and `from` stays.
bool rename_keeping(const std::filesystem::path& from, const std::filesystem::path& to);

} // namespace aipack::io
