#include "context.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/for_each.hpp"
#include "aipack/core/text.hpp"
#include "aipack/core/version.hpp"
#include "aipack/http/url.hpp"

#include <fmt/format.h>

namespace aipack::build {

namespace {

std::vector<std::filesystem::path> catalog_directories(const EngineOptions& options) {
  std::vector<std::filesystem::path> directories;
  for (const auto& data : options.data_dirs) {
    std::error_code ignored;
    if (std::filesystem::is_directory(data / "runtimes", ignored)) {
      directories.push_back(data / "runtimes");
      break;
    }
  }
  directories.insert(directories.end(), options.catalog_dirs.begin(), options.catalog_dirs.end());
  if (directories.empty()) {
    throw Error(ErrorCode::not_found,
                "cannot load the runtime catalog: aipack's data directory was not found")
        .with_hint("set AIPACK_DATA_DIR to the folder that holds 'runtimes'");
  }
  return directories;
}

/// Debian's archives change four times a day, and what stands between them and us keeps an answer
/// for minutes. A mirror on this machine or its network is asked every time: it costs little there,
/// and whoever has one sees at once what he put into it.
std::chrono::seconds ask_again_after(const deb::Mirrors& mirrors) {
  constexpr std::chrono::seconds for_far_mirrors{60};
  const auto is_far = [](const std::string& mirror) {
    const auto origin = http::Origin::try_of(mirror);
    return origin && !http::is_literal_private_address(origin->host());
  };
  return is_far(mirrors.archive) && is_far(mirrors.security) ? for_far_mirrors
                                                             : std::chrono::seconds(0);
}

registry::RegistryOptions registry_options(const EngineOptions& options) {
  auto result = options.registry;
  if (result.state_dir.empty()) {
    result.state_dir = options.cache_dir / "registry";
  }
  return result;
}

} // namespace

Context::Context(EngineOptions engine_options)
    : options(std::move(engine_options)),
      threads(options.concurrency != 0 ? options.concurrency : default_concurrency()),
      catalog(runtime::load_catalog(catalog_directories(options))),
      layers(options.cache_dir / layers_directory), digests(options.cache_dir / "digests"),
      transport(http::make_transport({.user_agent = fmt::format("aipack/{}", version())})),
      registry(registry_options(options)) {}

std::unique_ptr<deb::PackageSource> Context::packages(const BuildRequest& request) const {
  return deb::make_package_source(*transport,
                                  {.cache_dir = options.cache_dir,
                                   .verify = {.keyrings = options.keyrings,
                                              .now = options.now,
                                              .ignore_valid_until = request.ignore_valid_until},
                                   .offline = options.offline,
                                   .skip_incomplete_suites = request.skip_incomplete_suites,
                                   .ask_again_after = ask_again_after(mirrors_for(request)),
                                   .verdict_key = options.verdict_key});
}

std::filesystem::path Context::data_file(std::string_view relative) const {
  for (const auto& directory : options.data_dirs) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(directory / relative, ignored)) {
      return directory / relative;
    }
  }
  std::string looked;
  for (const auto& directory : options.data_dirs) {
    looked += (looked.empty() ? "" : ", ") + directory.string();
  }
  throw Error(ErrorCode::not_found, fmt::format("cannot find aipack's own file '{}': looked in {}",
                                                relative, looked.empty() ? "no folder" : looked))
      .with_hint("install aipack with its data, or set AIPACK_DATA_DIR");
}

deb::Mirrors mirrors_for(const BuildRequest& request) {
  return deb::choose_mirrors(request.mirror,
                             request.mirror_origin.empty() ? "request" : request.mirror_origin);
}

} // namespace aipack::build
