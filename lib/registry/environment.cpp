#include "environment.hpp"

namespace aipack::registry {

std::string value_of(const Environment& environment, const char* name) {
  const char* value = environment ? environment(name) : nullptr;
  return value == nullptr ? std::string() : std::string(value);
}

std::filesystem::path config_home(const Environment& environment,
                                  const std::filesystem::path& home) {
  if (std::filesystem::path path = value_of(environment, "XDG_CONFIG_HOME"); path.is_absolute()) {
    return path;
  }
  return home.empty() ? home : home / ".config";
}

} // namespace aipack::registry
