#include "explain.hpp"

#include "aipack/core/suggest.hpp"

#include "relation.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/core.h>

namespace aipack::solve {
namespace {

constexpr std::size_t max_listed = 3; ///< items of a list inside of one line

std::string list_some(const std::vector<std::string>& items) {
  std::string text;
  const std::size_t shown = std::min(items.size(), max_listed);
  for (std::size_t i = 0; i < shown; ++i) {
    const bool last = i + 1 == shown && shown == items.size();
    text += (i == 0 ? "" : last ? " and " : ", ") + items[i];
  }
  return shown == items.size() ? text : fmt::format("{} and {} more", text, items.size() - shown);
}

std::string unversioned(const Alternative& alternative) {
  return alternative.qualifier.empty()
             ? std::string(alternative.name)
             : fmt::format("{}:{}", alternative.name, alternative.qualifier);
}

// Which packages cannot be installed whatever else is, because something they need is nowhere: a
// least fixed point over everything that the request could reach. Conflicts play no part in it.
class Missing {
public:
  explicit Missing(Search& search) : search_(search) {
    std::deque<solv::PackageId> pending;
    for (const Requirement& requirement : search_.request()) {
      reach(requirement, pending);
    }
    while (!pending.empty()) {
      const solv::PackageId package = pending.front();
      pending.pop_front();
      for (const Requirement& requirement : search_.requirements(package)) {
        if (!search_.assumed_for(requirement)) {
          reach(requirement, pending);
        }
      }
    }
    // Rounds, so that the cause of a package always lies in an earlier round: explanations end.
    for (bool changed = true; changed;) {
      changed = false;
      std::vector<std::pair<solv::PackageId, const Requirement*>> found;
      for (const solv::PackageId package : order_) {
        if (causes_.contains(package)) {
          continue;
        }
        for (const Requirement& requirement : search_.requirements(package)) {
          if (!search_.assumed_for(requirement) && is_missing(requirement)) {
            found.emplace_back(package, &requirement);
            break;
          }
        }
      }
      for (const auto& [package, requirement] : found) {
        causes_.emplace(package, requirement);
        changed = true;
      }
    }
  }

  [[nodiscard]] bool is_missing(const Requirement& requirement) {
    const auto& possible = candidates(requirement);
    return std::all_of(possible.begin(), possible.end(),
                       [&](solv::PackageId package) { return causes_.contains(package); });
  }
  [[nodiscard]] const std::vector<solv::PackageId>& candidates(const Requirement& requirement) {
    const auto found = candidates_.find(requirement.ids);
    return found != candidates_.end()
               ? found->second
               : candidates_.emplace(requirement.ids, search_.candidates(requirement))
                     .first->second;
  }
  /// The requirement that makes the package impossible; null when it is possible.
  [[nodiscard]] const Requirement* cause(solv::PackageId package) const {
    const auto found = causes_.find(package);
    return found == causes_.end() ? nullptr : found->second;
  }

private:
  void reach(const Requirement& requirement, std::deque<solv::PackageId>& pending) {
    for (const solv::PackageId package : candidates(requirement)) {
      if (seen_.insert(package).second) {
        order_.push_back(package);
        pending.push_back(package);
      }
    }
  }

  Search& search_;
  std::map<std::vector<solv::DependencyId>, std::vector<solv::PackageId>> candidates_;
  std::unordered_set<solv::PackageId> seen_;
  std::vector<solv::PackageId> order_;
  std::unordered_map<solv::PackageId, const Requirement*> causes_;
};

class Explainer {
public:
  explicit Explainer(Search& search)
      : search_(search), universe_(search.universe()), pool_(universe_.pool()) {}

  std::vector<std::string> run() {
    Missing missing(search_);
    for (const Requirement& requirement : search_.request()) {
      if (missing.is_missing(requirement)) {
        explain_missing(requirement, missing);
      }
    }
    if (lines_.empty()) {
      explain_conflicts();
    }
    return shortened();
  }

private:
  void say(std::string line) {
    if (said_.insert(line).second) {
      lines_.push_back(std::move(line));
    }
  }

  std::vector<std::string> shortened() const {
    if (lines_.size() <= max_explanation_lines) {
      return lines_;
    }
    std::vector<std::string> some(
        lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(max_explanation_lines - 1));
    some.push_back(fmt::format("and {} more", lines_.size() - some.size()));
    return some;
  }

  // Down from a requirement of the request to one that nothing fulfils; told from the bottom up.
  void explain_missing(const Requirement& requested, Missing& missing) {
    struct Step {
      solv::PackageId package;
      const Requirement* requirement; ///< what asked for it
    };
    std::vector<Step> chain;
    const Requirement* at = &requested;
    while (!missing.candidates(*at).empty()) {
      const solv::PackageId package = missing.candidates(*at).front();
      chain.push_back({package, at});
      at = missing.cause(package);
    }
    say(nothing_fulfils(*at,
                        chain.empty() ? std::string() : universe_.label(chain.back().package)));
    for (std::size_t i = chain.size(); i-- > 0;) {
      const std::string what = universe_.label(chain[i].package);
      const std::string relation =
          chain[i].requirement->text == universe_.name(chain[i].package)
              ? std::string()
              : fmt::format(" as '{}'", single_line(chain[i].requirement->text));
      say(i == 0 ? fmt::format("{} is asked for{}", what, relation)
                 : fmt::format("{} is needed by {}{}", what, universe_.label(chain[i - 1].package),
                               relation));
    }
    // The other candidates on the way fail too; each gets one line with its own root cause.
    for (const Step& step : chain) {
      const auto& possible = missing.candidates(*step.requirement);
      for (std::size_t i = 1; i < possible.size(); ++i) {
        const Requirement* cause = missing.cause(possible[i]);
        say(fmt::format("{} does not help: it needs '{}', which cannot be installed either",
                        universe_.label(possible[i]), single_line(cause->text)));
      }
    }
  }

  // `requirer` is empty for the request itself.
  [[nodiscard]] std::string nothing_fulfils(const Requirement& requirement,
                                            const std::string& requirer) {
    std::vector<std::string> reasons;
    for (std::size_t i = 0; i < requirement.alternatives.size(); ++i) {
      reasons.push_back(reason(requirement.alternatives[i]));
    }
    const std::string relation = single_line(requirement.text);
    if (requirer.empty() && requirement.alternatives.size() == 1 &&
        requirement.alternatives.front().comparison == solv::Comparison::none) {
      return reasons.front();
    }
    return requirer.empty()
               ? fmt::format("{} is asked for, but {}", relation, list_some(reasons))
               : fmt::format("{} is needed by {}, but {}", relation, requirer, list_some(reasons));
  }

  // Why no package fulfils one alternative.
  [[nodiscard]] std::string reason(const Alternative& alternative) {
    const solv::StringId name = pool_.intern(alternative.name);
    std::vector<solv::PackageId> real;
    std::vector<solv::PackageId> virtual_ones;
    for (const solv::PackageId package : pool_.providers(name)) {
      (pool_.name(package) == name ? real : virtual_ones).push_back(package);
    }
    const auto by_version = [&](solv::PackageId a, solv::PackageId b) {
      const int order = pool_.compare_versions(a, b);
      return order != 0 ? order > 0 : a < b;
    };
    if (!real.empty()) {
      std::sort(real.begin(), real.end(), by_version);
      std::vector<std::string> versions;
      for (const solv::PackageId package : real) {
        const std::string label = universe_.label(package);
        if (std::find(versions.begin(), versions.end(), label) == versions.end()) {
          versions.push_back(label);
        }
      }
      if (!alternative.qualifier.empty() && alternative.comparison == solv::Comparison::none) {
        return fmt::format("{} is not for every architecture", list_some(versions));
      }
      return fmt::format("{} has only {}", universe_.index_file(real.front()).source.suite,
                         list_some(versions));
    }
    if (!virtual_ones.empty()) {
      std::vector<std::string> labels;
      for (const solv::PackageId package : virtual_ones) {
        labels.push_back(universe_.label(package));
      }
      std::sort(labels.begin(), labels.end());
      labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
      return fmt::format("'{}' is only provided, without such a version, by {}",
                         unversioned(alternative), list_some(labels));
    }
    const std::string suggestion = near_name(alternative.name);
    return fmt::format("no package '{}' in {}{}", unversioned(alternative), universe_.description(),
                       suggestion.empty() ? std::string()
                                          : fmt::format("; did you mean '{}'?", suggestion));
  }

  [[nodiscard]] std::string near_name(std::string_view typed) {
    if (names_.empty()) {
      for (const solv::StringId id : pool_.package_names()) {
        names_.emplace_back(pool_.text(id));
      }
      std::sort(names_.begin(), names_.end());
    }
    // Only names of about the same length can be near: a tenth of the archive, not all of it.
    std::vector<std::string> same_length;
    const std::size_t reach = std::max<std::size_t>(2, typed.size() / 5);
    std::copy_if(names_.begin(), names_.end(), std::back_inserter(same_length),
                 [&](const std::string& name) {
                   return name.size() + reach >= typed.size() &&
                          name.size() <= typed.size() + reach;
                 });
    return nearest_word(typed, same_length);
  }

  // Everything exists; some of it does not go together.
  void explain_conflicts() {
    // The smallest part of the request that fails: take away what is not needed for the failure,
    // from the back.
    std::vector<std::size_t> core;
    for (std::size_t i = 0; i < search_.request().size(); ++i) {
      core.push_back(i);
    }
    for (std::size_t i = core.size(); i-- > 0 && core.size() > 1;) {
      std::vector<std::size_t> without = core;
      without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
      if (!search_.satisfiable(without)) {
        core = std::move(without);
      }
    }
    // Walk along the first choices, tell what clashes, then forbid it and see what the next choices
    // run into.
    std::set<solv::PackageId> banned;
    std::vector<std::string> chains;
    for (int attempt = 0; attempt < static_cast<int>(max_explanation_lines); ++attempt) {
      const Search::Walk walk = search_.walk_without(core, banned);
      if (walk.clashes.empty()) {
        break; // a dead end: everything else was told before
      }
      const Search::Clash clash = walk.clashes.front();
      say(clash_text(clash));
      for (const solv::PackageId package : {clash.first, clash.second}) {
        for (std::string& line : chain_to(package, walk.decided, core)) {
          if (std::find(chains.begin(), chains.end(), line) == chains.end()) {
            chains.push_back(std::move(line));
          }
        }
      }
      banned.insert(clash.second);
    }
    for (std::string& line : chains) {
      say(std::move(line));
    }
  }

  [[nodiscard]] std::string clash_text(const Search::Clash& clash) {
    if (pool_.name(clash.first) == pool_.name(clash.second)) {
      return fmt::format("{} and {} cannot be installed together: they are versions of one package",
                         universe_.label(clash.first), universe_.label(clash.second));
    }
    if (const auto text = declared_conflict(clash.first, clash.second)) {
      return *text;
    }
    return declared_conflict(clash.second, clash.first)
        .value_or(fmt::format("{} conflicts with {}", universe_.label(clash.first),
                              universe_.label(clash.second)));
  }

  [[nodiscard]] std::optional<std::string> declared_conflict(solv::PackageId declarer,
                                                             solv::PackageId other) {
    const PackageFields fields = universe_.fields(declarer);
    const std::pair<std::string_view, std::string_view> declarations[] = {
        {fields.conflicts, "conflicts with"}, {fields.breaks, "breaks"}};
    for (const auto& [field, verb] : declarations) {
      for (const Requirement& relation : universe_.parse_requirements(field)) {
        const std::vector<solv::PackageId> hit = search_.candidates(relation);
        if (std::find(hit.begin(), hit.end(), other) != hit.end()) {
          const std::string text = single_line(relation.text);
          return text == universe_.name(other)
                     ? fmt::format("{} {} {}", universe_.label(declarer), verb,
                                   universe_.label(other))
                     : fmt::format("{} {} '{}', which {} is", universe_.label(declarer), verb, text,
                                   universe_.label(other));
        }
      }
    }
    return std::nullopt;
  }

  // "x is needed by y", from the package up to the request, along the shortest way inside of
  // `decided`.
  [[nodiscard]] std::vector<std::string> chain_to(solv::PackageId package,
                                                  const std::vector<solv::PackageId>& decided,
                                                  const std::vector<std::size_t>& core) {
    const std::unordered_set<solv::PackageId> members(decided.begin(), decided.end());
    std::unordered_map<solv::PackageId, std::pair<solv::PackageId, std::string>> parents;
    std::deque<solv::PackageId> pending;
    const auto visit = [&](const Requirement& requirement, solv::PackageId parent) {
      for (const solv::PackageId candidate : search_.candidates(requirement)) {
        if (members.contains(candidate) &&
            parents.emplace(candidate, std::pair(parent, single_line(requirement.text))).second) {
          pending.push_back(candidate);
        }
      }
    };
    for (const std::size_t index : core) {
      visit(search_.request()[index], 0);
    }
    while (!pending.empty() && !parents.contains(package)) {
      const solv::PackageId at = pending.front();
      pending.pop_front();
      for (const Requirement& requirement : search_.requirements(at)) {
        if (!search_.assumed_for(requirement)) {
          visit(requirement, at);
        }
      }
    }
    std::vector<std::string> lines;
    for (solv::PackageId at = package; at != 0;) {
      const auto found = parents.find(at);
      if (found == parents.end()) {
        break;
      }
      const auto& [parent, relation] = found->second;
      const std::string as =
          relation == universe_.name(at) ? std::string() : fmt::format(" as '{}'", relation);
      lines.push_back(parent == 0 ? fmt::format("{} is asked for{}", universe_.label(at), as)
                                  : fmt::format("{} is needed by {}{}", universe_.label(at),
                                                universe_.label(parent), as));
      at = parent;
    }
    return lines;
  }

  Search& search_;
  Universe& universe_;
  solv::Pool& pool_;
  std::vector<std::string> names_;
  std::vector<std::string> lines_;
  std::set<std::string> said_;
};

} // namespace

std::vector<std::string> explain(Search& search) {
  return Explainer(search).run();
}

} // namespace aipack::solve
