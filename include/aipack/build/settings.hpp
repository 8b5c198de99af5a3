#pragma once

#include "aipack/build/request.hpp"
#include "aipack/core/export.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::build {

inline constexpr std::uint64_t max_settings_bytes = std::uint64_t{1} << 20;

/// The options that a file, the environment or a command line may set; what is empty is decided by
/// a weaker source.
struct Settings {
  std::optional<std::string> model_name, platform, base, runtime, suite, mirror, user, compress,
      compress_models, tag, output;
  std::optional<std::vector<std::string>> packages, files, entrypoint, env, allow, waive_scripts;
  std::map<std::string, std::string> labels, annotations;
  std::optional<bool> ignore_valid_until, skip_incomplete_suites;
  std::optional<std::string> source_date_epoch;
  std::string mirror_origin; ///< where `mirror` came from, for messages
};

/// Reads `aipack.yaml`: a mapping of exactly these keys (unknown ones are refused with a
/// suggestion). Relative paths in `files` are taken from the file's folder. Throws
/// Error{invalid_input} with line and column.
[[nodiscard]] AIPACK_API Settings read_settings(const std::filesystem::path& file);
[[nodiscard]] AIPACK_API Settings parse_settings(std::string_view yaml, std::string_view name,
                                                 const std::filesystem::path& folder);

/// AIPACK_MIRROR, AIPACK_PLATFORM, AIPACK_BASE, AIPACK_RUNTIME, AIPACK_COMPRESS, AIPACK_SUITE,
/// AIPACK_SKIP_INCOMPLETE_SUITES and SOURCE_DATE_EPOCH. `lookup` returns null for what is not set.
[[nodiscard]] AIPACK_API Settings
environment_settings(const std::function<const char*(const char*)>& lookup);

/// `strong` where it says something, else `weak`; maps are joined, the stronger key wins.
[[nodiscard]] AIPACK_API Settings merge(Settings strong, const Settings& weak);

/// `aipack.yaml` beside the model (in a model folder, or in the folder of a model file), if there
/// is one.
[[nodiscard]] AIPACK_API std::optional<std::filesystem::path>
find_settings_file(const std::filesystem::path& model);

/// Turns settings into a request for `models`. Throws Error{invalid_input} for values that do not
/// parse.
[[nodiscard]] AIPACK_API BuildRequest make_request(const std::vector<std::filesystem::path>& models,
                                                   const Settings& settings);

/// Rejects anything but a whole number of seconds. Throws Error{invalid_input}.
[[nodiscard]] AIPACK_API std::int64_t parse_source_date_epoch(std::string_view text);

} // namespace aipack::build
