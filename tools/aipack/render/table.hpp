#pragma once

#include <string>
#include <vector>

namespace aipack::cli {

/// Columns of text; a column whose title starts with '>' is right-aligned.
class Table {
public:
  explicit Table(std::vector<std::string> titles);
  void add(std::vector<std::string> cells);
  /// Lines ended by "\n", each indented by `indent` spaces.
  [[nodiscard]] std::string to_string(std::size_t indent = 0) const;
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

private:
  std::vector<std::string> titles_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

} // namespace aipack::cli
