#include "aipack/deb/archive.hpp"

#include "aipack/core/text.hpp"

#include "file_cache.hpp"
#include "indexes.hpp"
#include "releases.hpp"
#include "source.hpp"
#include "source_file.hpp"

#include <fmt/format.h>

// What the cache directory holds. Names are digests, so that nothing is ever replaced by something
// else; a file has its final name only once its content was verified.
//
//   releases/<key>           the last verified InRelease of a source and what is known about it
//                            (see ReleaseState)
//   indexes/<sha256>         uncompressed Packages and Sources indexes
//   packages/<sha256>.deb    binary packages
//   sources/<sha256>-<name>  files of source packages
//   partial/<sha256>         downloads that are not complete; partial/<sha256>.lock while somebody
//                            works on one
//   partial/<sha256>.refused why the mirror did not give an index, for as long as it is not asked
//                            again (ArchiveOptions::ask_again_after)
//   hashed                   which indexes were hashed, and in which state (blob::DigestCache)

namespace aipack::deb {
namespace {

class Archive final : public PackageSource {
public:
  Archive(http::HttpTransport& transport, ArchiveOptions options)
      : options_(std::move(options)), releases_(transport, options_), files_(transport, options_),
        indexes_(files_, options_) {
    if (options_.cache_dir.empty()) {
      throw Error(ErrorCode::invalid_input,
                  "cannot use package archives: no cache directory is set");
    }
    for (const char* name : {"releases", "indexes", "packages", "sources", "partial"}) {
      std::error_code error;
      std::filesystem::create_directories(options_.cache_dir / name, error);
      if (error) {
        throw_errno(fmt::format("create {}", aipack::quoted((options_.cache_dir / name).string())),
                    error.value());
      }
    }
  }

  PackageIndex snapshot(std::span<const Source> sources, const oci::Platform& platform,
                        const Operation& op) override {
    try {
      return newest_snapshot(sources, platform, op);
    } catch (const Error& error) {
      // The mirror may have moved on since it was asked.
      if ((error.code() != ErrorCode::corrupt && !is_absence(error.code())) ||
          !releases_.ask_again(sources)) {
        throw;
      }
    }
    return newest_snapshot(sources, platform, op);
  }

  std::filesystem::path fetch(const Package& package, const Operation& op) override {
    if (package.size_bytes > max_package_bytes) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot fetch {}: {} is more than a package may have",
                              aipack::quoted(package.label()), human_bytes(package.size_bytes)));
    }
    const auto target = options_.cache_dir / "packages" / (package.digest.hex() + ".deb");
    files_.fetch({.urls = {mirror_url(package.url)},
                  .digest = package.digest,
                  .size_bytes = package.size_bytes,
                  .label = package.label()},
                 target, op);
    return target;
  }

  std::filesystem::path fetch_source_file(std::span<const Source> sources,
                                          std::string_view source_package,
                                          std::string_view file_suffix,
                                          const Operation& op) override {
    const std::vector<Release> releases = releases_.newest(sources, op);
    const auto indexes = locate_all(sources, releases, "source", "source/Sources");
    indexes_.fetch(indexes, releases, sources, op);
    const SourceFile file = find_source_file(indexes, source_package, file_suffix, op);
    const auto target =
        options_.cache_dir / "sources" / fmt::format("{}-{}", file.digest.hex(), file.name);
    files_.fetch({.urls = {file.url},
                  .digest = file.digest,
                  .size_bytes = file.size_bytes,
                  .label = file.name},
                 target, op);
    return target;
  }

private:
  [[nodiscard]] PackageIndex newest_snapshot(std::span<const Source> sources,
                                             const oci::Platform& platform, const Operation& op) {
    const std::string architecture(oci::architecture_names(platform).debian);
    PackageIndex result{
        .platform = platform, .releases = releases_.newest(sources, op), .indexes = {}};
    result.indexes = locate_all(sources, result.releases, architecture,
                                fmt::format("binary-{}/Packages", architecture));
    if (options_.skip_incomplete_suites) {
      indexes_.fetch_available(result, sources, op);
    } else {
      indexes_.fetch(result.indexes, result.releases, sources, op);
    }
    return result;
  }

  /// The index at `path` of every component of every source.
  [[nodiscard]] std::vector<IndexFile> locate_all(std::span<const Source> sources,
                                                  const std::vector<Release>& releases,
                                                  const std::string& architecture,
                                                  std::string_view path) const {
    std::vector<IndexFile> result;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      for (const std::string& component : sources[i].components) {
        result.push_back(indexes_.locate(sources[i], releases[i], component, architecture,
                                         fmt::format("{}/{}", component, path)));
      }
    }
    return result;
  }

  ArchiveOptions options_;
  Releases releases_;
  FileCache files_;
  Indexes indexes_;
};

} // namespace

oci::Digest PackageIndex::fingerprint() const {
  // Of the indexes, not of the releases: an InRelease that is signed anew every day over the same
  // indexes changes nothing. The mirror is a part, because packages are pinned with their URLs.
  std::string text = platform.to_string() + "\n";
  for (const IndexFile& index : indexes) {
    text += fmt::format("{} {} {} {} {}\n", index.source.mirror, index.source.suite,
                        index.release_path, index.architecture, index.digest.to_string());
  }
  return oci::Digest::of(text);
}

std::unique_ptr<PackageSource> make_package_source(http::HttpTransport& transport,
                                                   ArchiveOptions options) {
  return std::make_unique<Archive>(transport, std::move(options));
}

} // namespace aipack::deb
