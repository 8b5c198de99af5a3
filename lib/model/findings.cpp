#include "findings.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace aipack::model {

void Findings::add(std::string_view rule, Severity severity, std::string message,
                   std::string location) {
  auto found = counts_.find(rule);
  if (found == counts_.end()) {
    found = counts_.emplace(std::string(rule), Counted{}).first;
  }
  auto& counted = found->second;
  counted.severity = std::max(counted.severity, severity);
  if (++counted.count <= limit_) {
    findings_.push_back({.rule = std::string(rule),
                         .severity = severity,
                         .message = std::move(message),
                         .location = std::move(location)});
  }
}

std::vector<Finding> Findings::take() {
  for (const auto& [rule, counted] : counts_) {
    if (counted.count > limit_) {
      findings_.push_back({.rule = rule,
                           .severity = counted.severity,
                           .message = fmt::format("{} more of this kind", counted.count - limit_)});
    }
  }
  std::ranges::stable_sort(
      findings_, [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return std::move(findings_);
}

} // namespace aipack::model
