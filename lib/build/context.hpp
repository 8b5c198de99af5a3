#pragma once

#include "aipack/blob/blob.hpp"
#include "aipack/build/engine.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/http/http.hpp"
#include "aipack/registry/registry.hpp"
#include "aipack/runtime/runtime.hpp"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::build {

/// What the hops share: options, the cache's parts, the catalog. Made once per Engine; members are
/// safe for use by several threads.
struct Context {
  explicit Context(EngineOptions engine_options);

  EngineOptions options;
  unsigned threads;
  std::unique_ptr<runtime::RuntimeCatalog> catalog;
  blob::DirectoryStore layers; ///< sealed layers other than weights
  blob::DigestCache digests;   ///< of model files and weights layers
  std::unique_ptr<http::HttpTransport> transport;
  registry::Registry registry;

  /// A client of the archives that is as strict as the request says.
  [[nodiscard]] std::unique_ptr<deb::PackageSource> packages(const BuildRequest& request) const;
  /// The first data directory that has `relative`; throws Error{not_found} naming where it looked.
  [[nodiscard]] std::filesystem::path data_file(std::string_view relative) const;
  [[nodiscard]] std::filesystem::path compositions_dir() const {
    return options.cache_dir / "compositions";
  }
};

/// The mirrors in force: the request's, else the host's apt configuration, else Debian's default.
[[nodiscard]] deb::Mirrors mirrors_for(const BuildRequest& request);

/// Names of installed things in `directory` below the cache, for the layout of the cache.
inline constexpr std::string_view layers_directory = "layers";

} // namespace aipack::build
