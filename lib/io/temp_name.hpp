#pragma once

#include <filesystem>
#include <string_view>

namespace aipack::io {

/// What temporary names start with, so that a person (or `aipack cache prune`) knows them after a
/// power cut.
inline constexpr std::string_view temp_prefix = ".aipack-tmp-";

/// A name in `directory` that is almost surely free; the caller creates it exclusively.
std::filesystem::path temp_name(const std::filesystem::path& directory);

} // namespace aipack::io
