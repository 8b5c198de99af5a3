#pragma once

#include "aipack/core/export.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/sign/model_signature.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::trust {

inline constexpr std::size_t max_model_files = 1'000'000;
inline constexpr unsigned max_model_depth = 64; ///< folders within folders
/// The file that holds a model's own signature, in its folder.
inline constexpr std::string_view model_signature_file = "model.sig";

struct ModelFileOptions {
  bool allow_symlinks = false; ///< to files; what they name is hashed
  /// Relative paths that are left out, with all beneath them.
  std::vector<std::string> ignored_paths{};
  unsigned concurrency = 0; ///< files at once; 0: as many as there are threads
};

/// What the model-signing project leaves out unless told otherwise: the signature, and what git
/// keeps. Source: model-transparency 1.1, model_signing/hashing.py.
[[nodiscard]] AIPACK_API std::vector<std::string> default_ignored_paths();

/// Every file of a model with its digest, in the order of signatures: "." for a model that is one
/// file. Throws Error{not_found}; Error{invalid_input} for symbolic links unless they are allowed,
/// for what is neither file nor folder, and beyond the limits.
[[nodiscard]] AIPACK_API std::vector<sign::ModelFile> hash_model(const std::filesystem::path& model,
                                                                 const ModelFileOptions& options,
                                                                 const Operation& op);

} // namespace aipack::trust
