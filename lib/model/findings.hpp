#pragma once

#include "aipack/model/model.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::model {

/// Collects findings, at most so many of each rule: a hostile file must not fill the terminal.
class Findings {
public:
  explicit Findings(std::uint64_t limit_per_rule) noexcept : limit_(limit_per_rule) {}
  void add(std::string_view rule, Severity severity, std::string message,
           std::string location = {});
  /// In order of appearance, errors first, and one line for what was left out of each rule.
  [[nodiscard]] std::vector<Finding> take();

private:
  struct Counted {
    std::uint64_t count = 0;
    Severity severity = Severity::info;
  };
  std::uint64_t limit_;
  std::vector<Finding> findings_;
  std::map<std::string, Counted, std::less<>> counts_;
};

} // namespace aipack::model
