#include "search.hpp"

#include "aipack/core/error.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include <fmt/core.h>

namespace aipack::solve {
namespace {

solv::DependencyId either_of(std::span<const solv::DependencyId> ids, solv::Pool& pool) {
  solv::DependencyId id = ids.back();
  for (std::size_t i = ids.size() - 1; i-- > 0;) {
    id = pool.either(ids[i], id);
  }
  return id;
}

// What a set of decided packages excludes.
class Exclusions {
public:
  explicit Exclusions(solv::Pool& pool) : pool_(pool) {}

  // The decided package that `candidate` cannot be installed with; 0: none.
  [[nodiscard]] solv::PackageId clash_of(solv::PackageId candidate) {
    if (const auto same = by_name_.find(pool_.name(candidate)); same != by_name_.end()) {
      return same->second;
    }
    if (const auto excluded = excluded_.find(candidate); excluded != excluded_.end()) {
      return excluded->second;
    }
    for (const solv::DependencyId conflict : pool_.conflicts(candidate)) {
      for (const solv::PackageId other : pool_.providers(conflict)) {
        if (other != candidate && decided_.contains(other)) {
          return other;
        }
      }
    }
    return 0;
  }

  void decide(solv::PackageId package) {
    decided_.insert(package);
    by_name_.emplace(pool_.name(package), package);
    for (const solv::DependencyId conflict : pool_.conflicts(package)) {
      for (const solv::PackageId other : pool_.providers(conflict)) {
        if (other != package) {
          excluded_.emplace(other, package);
        }
      }
    }
  }

  [[nodiscard]] bool decided(solv::PackageId package) const { return decided_.contains(package); }

private:
  solv::Pool& pool_;
  std::unordered_set<solv::PackageId> decided_;
  std::unordered_map<solv::StringId, solv::PackageId> by_name_;
  std::unordered_map<solv::PackageId, solv::PackageId> excluded_;
};

} // namespace

Search::Search(Universe& universe, std::vector<Requirement> request,
               std::span<const std::string> assumed)
    : universe_(universe), request_(std::move(request)), all_(request_.size()), assumed_(assumed) {
  std::iota(all_.begin(), all_.end(), std::size_t{0});
  for (const Requirement& requirement : request_) {
    request_ids_.push_back(either_of(requirement.ids, universe_.pool()));
  }
}

bool Search::satisfiable(std::span<const std::size_t> requirements) {
  std::vector<solv::DependencyId> ids;
  for (const std::size_t index : requirements) {
    ids.push_back(request_ids_[index]);
  }
  return universe_.pool().solve(ids, {}).has_value();
}

bool Search::keeps_satisfiable(std::span<const solv::PackageId> decided) {
  return universe_.pool().solve(request_ids_, decided).has_value();
}

const std::vector<Requirement>& Search::requirements(solv::PackageId package) {
  const auto found = requirements_.find(package);
  return found != requirements_.end()
             ? found->second
             : requirements_.emplace(package, universe_.requirements(package)).first->second;
}

std::optional<std::string> Search::assumed_for(const Requirement& requirement) const {
  for (const Alternative& alternative : requirement.alternatives) {
    const auto found = std::find(assumed_.begin(), assumed_.end(), alternative.name);
    if (found != assumed_.end()) {
      return *found;
    }
  }
  return std::nullopt;
}

bool Search::is_superseded(solv::PackageId package) {
  solv::Pool& pool = universe_.pool();
  const solv::StringId name = pool.name(package);
  auto found = newest_.find(name);
  if (found == newest_.end()) {
    solv::PackageId newest = 0;
    for (const solv::PackageId other : pool.providers(name)) {
      if (pool.name(other) == name && (newest == 0 || pool.compare_versions(other, newest) > 0)) {
        newest = other;
      }
    }
    found = newest_.emplace(name, newest).first;
  }
  // Equal versions of several sources: the first source counts, as the pool numbers packages in the
  // order of the sources.
  return found->second != 0 && found->second != package;
}

int Search::priority_rank(solv::PackageId package) {
  const auto known = ranks_.find(package);
  if (known != ranks_.end()) {
    return known->second;
  }
  const PackageFields fields = universe_.fields(package);
  constexpr std::array<std::string_view, 5> priorities{"required", "important", "standard",
                                                       "optional", "extra"};
  const auto found = std::find(priorities.begin(), priorities.end(), fields.priority);
  // apt prefers essential packages among providers, then by priority.
  const int rank = fields.essential == "yes" ? -1 : static_cast<int>(found - priorities.begin());
  return ranks_.emplace(package, rank).first->second;
}

std::vector<solv::PackageId> Search::candidates(const Requirement& requirement) {
  solv::Pool& pool = universe_.pool();
  std::vector<solv::PackageId> ordered;
  std::unordered_set<solv::PackageId> seen;
  for (std::size_t i = 0; i < requirement.ids.size(); ++i) {
    std::vector<solv::PackageId> found = pool.providers(requirement.ids[i]);
    const std::string_view wanted = requirement.alternatives[i].name;
    const auto is_itself = [&](solv::PackageId package) {
      return pool.text(pool.name(package)) == wanted;
    };
    std::stable_sort(found.begin(), found.end(), [&](solv::PackageId a, solv::PackageId b) {
      if (is_itself(a) != is_itself(b)) {
        return is_itself(a);
      }
      if (pool.name(a) != pool.name(b)) {
        const int rank_a = priority_rank(a);
        const int rank_b = priority_rank(b);
        return rank_a != rank_b ? rank_a < rank_b
                                : pool.text(pool.name(a)) < pool.text(pool.name(b));
      }
      const int order = pool.compare_versions(a, b);
      return order != 0 ? order > 0 : a < b;
    });
    for (const solv::PackageId package : found) {
      if (seen.insert(package).second) {
        ordered.push_back(package);
      }
    }
  }
  std::stable_partition(ordered.begin(), ordered.end(),
                        [&](solv::PackageId package) { return !is_superseded(package); });
  return ordered;
}

Search::Walk Search::walk(std::span<const std::size_t> wanted, const Refusals& refusals,
                          const std::set<solv::PackageId>& banned, OnClash on_clash) {
  Walk walk;
  Exclusions exclusions(universe_.pool());
  // Gives the newly decided package, 0 when nothing had to be decided.
  const auto decide = [&](const Requirement& requirement) -> solv::PackageId {
    const std::vector<solv::PackageId> possible = candidates(requirement);
    if (std::any_of(possible.begin(), possible.end(),
                    [&](solv::PackageId package) { return exclusions.decided(package); })) {
      return 0;
    }
    const auto refused = refusals.find(walk.decided.size());
    solv::PackageId clashing = 0;
    for (const solv::PackageId candidate : possible) {
      if (banned.contains(candidate) ||
          (refused != refusals.end() && refused->second.contains(candidate))) {
        continue;
      }
      if (exclusions.clash_of(candidate) != 0) {
        clashing = clashing == 0 ? candidate : clashing;
        continue;
      }
      exclusions.decide(candidate);
      walk.decided.push_back(candidate);
      return candidate;
    }
    if (clashing != 0 && on_clash == OnClash::keep) {
      walk.clashes.push_back({exclusions.clash_of(clashing), clashing});
      exclusions.decide(clashing);
      walk.decided.push_back(clashing);
      return clashing;
    }
    walk.dead_end = requirement;
    return 0;
  };

  // The request first, as apt marks every named package before it looks at what they need; then
  // depth first.
  std::vector<solv::PackageId> roots;
  for (const std::size_t index : wanted) {
    if (const solv::PackageId package = decide(request_[index]); package != 0) {
      roots.push_back(package);
    }
    if (walk.dead_end) {
      return walk;
    }
  }
  struct Frame {
    solv::PackageId package;
    std::size_t next = 0;
  };
  for (const solv::PackageId root : roots) {
    std::vector<Frame> stack{{root}};
    while (!stack.empty()) {
      const std::vector<Requirement>& needed = requirements(stack.back().package);
      if (stack.back().next == needed.size()) {
        stack.pop_back();
        continue;
      }
      const Requirement& requirement = needed[stack.back().next++];
      if (assumed_for(requirement)) {
        continue;
      }
      if (const solv::PackageId package = decide(requirement); package != 0) {
        stack.push_back({package});
      }
      if (walk.dead_end) {
        return walk;
      }
    }
  }
  return walk;
}

Search::Walk Search::walk_without(std::span<const std::size_t> wanted,
                                  const std::set<solv::PackageId>& banned) {
  return walk(wanted, {}, banned, OnClash::keep);
}

std::optional<std::vector<solv::PackageId>> Search::run(const Operation& op) {
  Refusals refusals;
  bool known_satisfiable = false;
  while (true) {
    op.check();
    Walk proposal = walk(all_, refusals, {}, OnClash::skip);
    if (!proposal.dead_end) {
      if (auto solution = universe_.pool().solve(request_ids_, proposal.decided)) {
        std::vector<solv::PackageId> sorted = proposal.decided;
        std::sort(sorted.begin(), sorted.end());
        // The walk followed every requirement, so libsolv has nothing to add: two independent
        // readings of the index agree.
        if (sorted != *solution) {
          throw Error(ErrorCode::internal,
                      "cannot resolve packages: the parsed index and the index do not agree");
        }
        return std::move(proposal.decided);
      }
    }
    if (!known_satisfiable && !satisfiable(all_)) {
      return std::nullopt;
    }
    known_satisfiable = true;
    if (proposal.decided.empty()) {
      throw Error(
          ErrorCode::internal,
          "cannot resolve packages: libsolv sees a solution where the index names no candidate");
    }
    // Satisfiable without any decision, not with all of them: the first decision that cannot be
    // kept lies between.
    std::size_t good = 0;
    std::size_t bad = proposal.decided.size();
    const std::span<const solv::PackageId> decided(proposal.decided);
    while (bad - good > 1) {
      op.check();
      const std::size_t middle = good + (bad - good) / 2;
      (keeps_satisfiable(decided.first(middle)) ? good : bad) = middle;
    }
    refusals.erase(refusals.upper_bound(bad - 1), refusals.end());
    refusals[bad - 1].insert(decided[bad - 1]);
  }
}

} // namespace aipack::solve
