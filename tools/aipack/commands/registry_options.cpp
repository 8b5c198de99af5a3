#include "commands/registry_options.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/core/version.hpp"
#include "aipack/image/location.hpp"

#include <cstdio>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

std::filesystem::path home_directory() {
  const char* home = environment("HOME");
  return home != nullptr ? home : "";
}

void print_exchange(const registry::Exchange& exchange) {
  const auto seconds = std::chrono::duration<double>(exchange.duration).count();
  const auto line =
      fmt::format("{} {} {} {:.3f} s, sent {}, received {}\n", exchange.method, exchange.url,
                  exchange.status == 0 ? std::string("no answer") : std::to_string(exchange.status),
                  seconds, human_bytes(exchange.sent_bytes), human_bytes(exchange.received_bytes));
  std::fwrite(line.data(), 1, line.size(), stderr); // one call: lines of threads do not mix
}

} // namespace

void RegistryOptions::add_to(CLI::App& command) {
  command.add_flag("--plain-http", plain_http,
                   "Speak HTTP to the registries that are named (loopback ones: always)");
  command
      .add_option("--authfile", auth_file,
                  "Credentials file (default: those of docker and podman login)")
      ->type_name("FILE");
  command.add_option("--concurrency", concurrency, "Blobs at once (default: 6)")
      ->type_name("N")
      ->check(CLI::Range(1, 64));
}

std::shared_ptr<registry::CredentialFiles> RegistryOptions::credentials() const {
  return std::make_shared<registry::CredentialFiles>(registry::CredentialFilesOptions{
      .auth_file = auth_file,
      .environment = environment,
      .home = home_directory(),
      .notice = [](const std::string& sentence) {
        const auto line = fmt::format("aipack: note: {}\n", sentence);
        std::fwrite(line.data(), 1, line.size(), stderr);
      }});
}

registry::RegistryOptions RegistryOptions::make(const Session& session) const {
  registry::RegistryOptions options{.credentials = credentials(),
                                    .settings = registry::RegistrySettings::read(
                                        {.environment = environment, .home = home_directory()}),
                                    .state_dir = session.resolved_cache_dir() / "registry",
                                    .concurrency = concurrency,
                                    .user_agent = fmt::format("aipack/{}", version())};
  if (plain_http) {
    options.settings = options.settings.with_plain_http();
  }
  if (session.verbose > 0) {
    options.observer = print_exchange;
  }
  return options;
}

oci::Reference registry_reference(const std::string& text) {
  const auto location = image::Location::parse(text);
  if (!location.reference || location.reference->registry().empty()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use {}: it names no registry", quoted(text)))
        .with_hint("write HOST/REPOSITORY[:TAG], for example registry.example/team/model:1");
  }
  return *location.reference;
}

} // namespace aipack::cli
