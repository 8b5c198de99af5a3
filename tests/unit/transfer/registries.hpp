#pragma once

#include "support.hpp"
#include "support/registry_server.hpp"

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include <fmt/format.h>

/// What the tests of copies between registries share.
namespace aipack::transfer::test {

using aipack::test::RegistryAuth;
using aipack::test::RegistryDialect;
using aipack::test::RegistryFault;
using aipack::test::RegistryServer;

inline image::Location in(const RegistryServer& server, const std::string& name) {
  return image::Location::parse("docker://" + server.host() + "/" + name);
}

inline image::Location file(std::string_view kind, const std::filesystem::path& path) {
  return image::Location::parse(fmt::format("{}:{}:v1", kind, path.string()));
}

inline registry::RegistryOptions patient(const std::filesystem::path& state = {}) {
  registry::RegistryOptions options;
  options.state_dir = state;
  options.patience.first_delay = std::chrono::milliseconds(1);
  options.patience.max_delay = std::chrono::milliseconds(5);
  return options;
}

} // namespace aipack::transfer::test
