#include "aipack/core/error.hpp"
#include "aipack/core/operation.hpp"
#include "aipack/solve/solve.hpp"

#include "answer_memo.hpp"
#include "explain.hpp"
#include "relation.hpp"
#include "search.hpp"
#include "universe.hpp"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include <fmt/core.h>

namespace aipack::solve {
namespace {

Request canonical(const Request& request) {
  Request result;
  // The order stays: earlier requests choose first.
  for (const std::string& text : request.install) {
    std::string relation = canonical_request(text);
    if (std::find(result.install.begin(), result.install.end(), relation) == result.install.end()) {
      result.install.push_back(std::move(relation));
    }
  }
  for (const std::string& name : request.assume_installed) {
    result.assume_installed.push_back(canonical_name(name));
  }
  std::sort(result.assume_installed.begin(), result.assume_installed.end());
  result.assume_installed.erase(
      std::unique(result.assume_installed.begin(), result.assume_installed.end()),
      result.assume_installed.end());
  return result;
}

Solution describe(Search& search, const std::vector<solv::PackageId>& decided) {
  Universe& universe = search.universe();
  const std::unordered_set<solv::PackageId> members(decided.begin(), decided.end());
  struct Origin {
    solv::PackageId requirer; ///< 0: the request
    std::string relation;
  };
  // Breadth first from the request: what a package is reached by first is the shortest chain to it.
  std::unordered_map<solv::PackageId, Origin> origins;
  std::deque<solv::PackageId> pending;
  Solution solution;
  // False when no chosen package fulfils the requirement.
  const auto visit = [&](const Requirement& requirement, solv::PackageId requirer) {
    bool fulfilled = false;
    for (const solv::PackageId candidate : search.candidates(requirement)) {
      if (members.contains(candidate)) {
        fulfilled = true;
        if (origins.emplace(candidate, Origin{requirer, single_line(requirement.text)}).second) {
          pending.push_back(candidate);
        }
      }
    }
    return fulfilled;
  };
  for (const Requirement& requirement : search.request()) {
    visit(requirement, 0);
  }
  while (!pending.empty()) {
    const solv::PackageId package = pending.front();
    pending.pop_front();
    for (const Requirement& requirement : search.requirements(package)) {
      if (!visit(requirement, package)) {
        if (auto name = search.assumed_for(requirement)) {
          solution.assumed.emplace_back(std::move(*name), universe.name(package));
        }
      }
    }
  }
  for (const solv::PackageId package : decided) {
    const Origin& origin = origins.at(package);
    solution.choices.push_back(
        {.package = universe.pin(package),
         .required_by = origin.requirer == 0 ? std::string() : universe.name(origin.requirer),
         .relation = origin.relation});
  }
  std::sort(solution.choices.begin(), solution.choices.end(),
            [](const Choice& a, const Choice& b) { return a.package.name < b.package.name; });
  std::sort(solution.assumed.begin(), solution.assumed.end());
  solution.assumed.erase(std::unique(solution.assumed.begin(), solution.assumed.end()),
                         solution.assumed.end());
  return solution;
}

} // namespace

Outcome resolve(const deb::PackageIndex& index, const Request& request, const Options& options,
                const Operation& op) {
  const Request wanted = canonical(request);
  const AnswerMemo memo(options.cache_dir, index, wanted);
  if (auto known = memo.read()) {
    return std::move(*known);
  }
  const Activity activity(op, fmt::format("resolve packages for {}", index.platform.to_string()));
  Universe universe(index, options.cache_dir, wanted.assume_installed, op);
  std::vector<Requirement> requirements;
  for (const std::string& text : wanted.install) {
    for (Requirement& requirement : universe.parse_requirements(text)) {
      requirements.push_back(std::move(requirement));
    }
  }
  Search search(universe, std::move(requirements), wanted.assume_installed);
  const auto decided = search.run(op);
  Outcome outcome =
      decided ? Outcome(describe(search, *decided)) : Outcome(Unsolvable{explain(search)});
  memo.write(outcome);
  return outcome;
}

} // namespace aipack::solve
