#pragma once

#include "aipack/core/operation.hpp"
#include "aipack/deb/archive.hpp"
#include "aipack/io/file.hpp"

#include "packages_file.hpp"
#include "relation.hpp"
#include "solv.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace aipack::solve {

/// One requirement of a package, or of the request.
struct Requirement {
  std::vector<Alternative> alternatives; ///< views into the index or the request
  std::vector<solv::DependencyId> ids;   ///< one per alternative
  std::string text;                      ///< as written
};

/// All packages of all indexes of one platform: libsolv's pool for the relations, the verified
/// indexes for everything that is handed out. A pool from a cache can at worst offer the wrong
/// packages to choose from; it can never give a wrong digest.
class Universe {
public:
  /// Reads every index, from `cache_dir` where it was parsed before (empty: never). `assumed` are
  /// names that are not required any more.
  Universe(const deb::PackageIndex& index, const std::filesystem::path& cache_dir,
           std::span<const std::string> assumed, const Operation& op);

  [[nodiscard]] solv::Pool& pool() noexcept { return pool_; }
  [[nodiscard]] const std::string& architecture() const noexcept { return architecture_; }

  [[nodiscard]] std::string name(solv::PackageId package) const {
    return std::string(pool_.text(pool_.name(package)));
  }
  /// "libfoo 1.9".
  [[nodiscard]] std::string label(solv::PackageId package) const;
  /// The index that a package comes from, and the number of that index.
  [[nodiscard]] std::size_t index_of(solv::PackageId package) const;
  [[nodiscard]] const deb::IndexFile& index_file(solv::PackageId package) const {
    return *loaded_[index_of(package)].file;
  }
  /// The package's paragraph in the verified index. Throws Error{corrupt} when it is not this
  /// package's.
  [[nodiscard]] PackageFields fields(solv::PackageId package) const;
  /// Pre-Depends and Depends, in the order of the paragraph (libsolv keeps them sorted by number).
  [[nodiscard]] std::vector<Requirement> requirements(solv::PackageId package);
  [[nodiscard]] std::vector<Requirement> parse_requirements(std::string_view field);
  /// The package with everything that is needed to fetch it.
  [[nodiscard]] deb::Package pin(solv::PackageId package) const;
  /// "trixie, trixie-updates main for arm64": where packages were looked for.
  [[nodiscard]] std::string description() const;

private:
  struct Loaded {
    const deb::IndexFile* file;
    io::Mapping mapping;
    ParsedIndex parsed;
  };
  [[nodiscard]] std::string_view text_of(const Loaded& loaded) const;

  std::string architecture_;
  solv::Pool pool_;
  std::vector<Loaded> loaded_;
};

/// `filename` of a paragraph below the mirror of its index.
[[nodiscard]] std::string package_url(const deb::IndexFile& file, std::string_view filename);

} // namespace aipack::solve
