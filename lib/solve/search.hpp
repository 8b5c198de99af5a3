#pragma once

#include "aipack/core/operation.hpp"

#include "solv.hpp"
#include "universe.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace aipack::solve {

/// Finds the set of packages that Debian users expect: for each requirement, in order, the first
/// alternative that can be installed together with what was decided before.
///
/// A walk without look-back proposes the set. libsolv, complete where the walk is not, judges it:
/// where it objects, bisection finds the first decision that cannot be kept, and the walk continues
/// from there with the next candidate. So the result does not depend on libsolv's own taste (it
/// sorts alternatives by name), and not on the order of packages in an index.
class Search {
public:
  /// `assumed`: names that fulfil a requirement without being installed, sorted.
  Search(Universe& universe, std::vector<Requirement> request,
         std::span<const std::string> assumed);

  /// The chosen packages in the order of decision; empty when nothing fulfils the request.
  [[nodiscard]] std::optional<std::vector<solv::PackageId>> run(const Operation& op);

  /// Whether libsolv knows a way to fulfil these requirements of the request.
  [[nodiscard]] bool satisfiable(std::span<const std::size_t> requirements);

  [[nodiscard]] const std::vector<Requirement>& request() const noexcept { return request_; }
  [[nodiscard]] Universe& universe() noexcept { return universe_; }

  /// Every package that fulfils the requirement, best first: newest versions before superseded
  /// ones, then alternatives as written, then the package itself before packages that provide it,
  /// then higher priority, then name.
  [[nodiscard]] std::vector<solv::PackageId> candidates(const Requirement& requirement);
  /// The requirements of a package, read once.
  [[nodiscard]] const std::vector<Requirement>& requirements(solv::PackageId package);
  /// The name that is assumed and fulfils the requirement of a package, if any.
  [[nodiscard]] std::optional<std::string> assumed_for(const Requirement& requirement) const;

  /// Two packages of a walk that exclude each other.
  struct Clash {
    solv::PackageId first = 0;  ///< decided earlier
    solv::PackageId second = 0; ///< the one that does not go with it
  };
  /// One walk through what `requirements` of the request need, without libsolv and without
  /// `banned`.
  struct Walk {
    std::vector<solv::PackageId> decided;
    std::vector<Clash> clashes;          ///< kept by the walk, in order
    std::optional<Requirement> dead_end; ///< no candidate was left for it
  };
  [[nodiscard]] Walk walk_without(std::span<const std::size_t> requirements,
                                  const std::set<solv::PackageId>& banned);

private:
  // Candidates that were tried and refused, by number of the decision.
  using Refusals = std::map<std::size_t, std::set<solv::PackageId>>;
  enum class OnClash { skip, keep };
  [[nodiscard]] Walk walk(std::span<const std::size_t> requirements, const Refusals& refusals,
                          const std::set<solv::PackageId>& banned, OnClash on_clash);
  [[nodiscard]] bool keeps_satisfiable(std::span<const solv::PackageId> decided);
  [[nodiscard]] bool is_superseded(solv::PackageId package);
  [[nodiscard]] int priority_rank(solv::PackageId package);

  Universe& universe_;
  std::vector<Requirement> request_;
  std::vector<solv::DependencyId> request_ids_;
  std::vector<std::size_t> all_;
  std::span<const std::string> assumed_;
  std::unordered_map<solv::PackageId, std::vector<Requirement>> requirements_;
  std::unordered_map<solv::StringId, solv::PackageId> newest_;
  std::unordered_map<solv::PackageId, int> ranks_;
};

} // namespace aipack::solve
