#pragma once

#include "aipack/build/plan.hpp"

#include <filesystem>

namespace aipack::build {

inline constexpr std::size_t max_plain_model_files = 100'000;
inline constexpr unsigned max_plain_model_depth = 32; ///< folders within folders

/// A model that aipack does not read, because a base image brings what serves it: a file as it is,
/// or every file of a folder below its own name, in path order. `.git` stays behind. Symbolic links
/// to files are followed inside the folder, and into the `blobs` beside `snapshots` of a Hugging
/// Face cache; others are refused, so that a downloaded folder cannot fetch the host's own files.
/// Throws Error{not_found | invalid_input}.
[[nodiscard]] PlannedModel collect_plain_model(const std::filesystem::path& path,
                                               const Operation& op);

} // namespace aipack::build
