#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// libsolv behind one class: nothing else in aipack includes its headers or sees its macros.
namespace aipack::solve::solv {

using StringId = int;     ///< an interned string; 0 is "none"
using DependencyId = int; ///< a name, a versioned name, or an alternative of two; 0 is "none"
using PackageId = int;    ///< a package of the pool; always positive

/// Version relation of a dependency, Debian's operators.
enum class Comparison { none, earlier, earlier_equal, equal, later_equal, later };

/// The version of libsolv that runs, a part of every cache key.
[[nodiscard]] std::string library_version();

/// One range of packages that came from one index, in the order of that index.
struct Range {
  PackageId first = 0;
  PackageId end = 0;
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(end - first); }
};

/// Packages of one Debian architecture with everything that matters for solving. Filled first, then
/// `finish()`ed, then asked. Threads: one at a time.
class Pool {
public:
  /// `architecture` is Debian's name; packages of other architectures than it and "all" can be
  /// added, but never be installed.
  explicit Pool(const std::string& architecture);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Names and dependencies.
  [[nodiscard]] StringId intern(std::string_view text);
  [[nodiscard]] DependencyId versioned(DependencyId name, Comparison comparison, StringId version);
  [[nodiscard]] DependencyId either(DependencyId first, DependencyId second);
  [[nodiscard]] std::string_view text(StringId id) const;

  // Filling. Packages of one range are added without another range in between.
  void begin_range(const std::string& name);
  struct NewPackage {
    StringId name = 0;
    StringId version = 0;
    StringId architecture = 0;
    std::span<const DependencyId> requirements; ///< all of them must hold
    std::span<const DependencyId> provisions;   ///< the package itself included
    std::span<const DependencyId> conflicts;    ///< Conflicts and Breaks
  };
  void add(const NewPackage& package);
  [[nodiscard]] Range end_range();
  /// The packages of the range as a `.solv` file: names, versions, architectures and relations.
  [[nodiscard]] std::string write_solv(const Range& range);
  /// Adds a range from such a file; empty when libsolv refuses it or it has not `expected` packages
  /// (the pool is as before then, but for interned strings).
  [[nodiscard]] std::optional<Range> read_solv(const std::string& name, std::string_view bytes,
                                               std::size_t expected);

  /// Takes back requirements that `dropped` names ones of: each alternative of a requirement is
  /// asked by name.
  void drop_requirements(std::span<const StringId> names);
  /// Builds the index of providers. No packages are added from here on.
  void finish();

  // Asking.
  [[nodiscard]] StringId name(PackageId package) const;
  [[nodiscard]] std::string_view version(PackageId package) const;
  [[nodiscard]] std::string_view architecture(PackageId package) const;
  [[nodiscard]] std::vector<PackageId> providers(DependencyId dependency);
  [[nodiscard]] std::vector<DependencyId> conflicts(PackageId package) const;
  /// Below 0, 0 or above 0 in Debian's order of versions.
  [[nodiscard]] int compare_versions(PackageId a, PackageId b) const;
  /// Every name that a package of the pool has, each once.
  [[nodiscard]] std::vector<StringId> package_names() const;

  /// Whether a consistent, closed set of packages exists that fulfils every requirement and
  /// contains every package; gives libsolv's choice of one, sorted.
  [[nodiscard]] std::optional<std::vector<PackageId>>
  solve(std::span<const DependencyId> requirements, std::span<const PackageId> packages);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace aipack::solve::solv
