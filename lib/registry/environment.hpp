#pragma once

#include "aipack/registry/credentials.hpp"

#include <filesystem>
#include <string>

namespace aipack::registry {

/// The value of a variable; empty: not set, or set to nothing.
[[nodiscard]] std::string value_of(const Environment& environment, const char* name);
/// $XDG_CONFIG_HOME, or ~/.config; empty: neither is known. Source: XDG Base Directory
/// Specification 0.8, which has relative paths ignored.
[[nodiscard]] std::filesystem::path config_home(const Environment& environment,
                                                const std::filesystem::path& home);

} // namespace aipack::registry
