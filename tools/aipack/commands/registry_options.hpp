#pragma once

#include "aipack/registry/registry.hpp"

#include "session.hpp"

#include <filesystem>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

namespace aipack::cli {

/// The options of every verb that may talk to a registry.
struct RegistryOptions {
  bool plain_http = false;
  std::string auth_file;
  unsigned concurrency = 6;

  void add_to(CLI::App& command);
  /// Credentials as docker and podman keep them, settings as registries.conf has them.
  [[nodiscard]] registry::RegistryOptions make(const Session& session) const;
  [[nodiscard]] std::shared_ptr<registry::CredentialFiles> credentials() const;
};

/// "HOST/REPO[:TAG]" as a registry reference, "docker://" allowed; throws Error{invalid_input} for
/// a name without a registry.
[[nodiscard]] oci::Reference registry_reference(const std::string& text);

} // namespace aipack::cli
