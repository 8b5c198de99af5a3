#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace aipack::bench {

/// One thing to be measured: `prepare` (not measured) and then a whole process from its start to
/// its end.
struct Case {
  std::string name;
  std::vector<std::string> command;
  std::function<void()> prepare{};
};

struct Row {
  std::string name;
  double median_ms = 0;
  double best_ms = 0;
  double worst_ms = 0;
};

/// Runs all cases in turn, `rounds` times: slow drift of the machine hits every case alike, so
/// ratios inside of one table hold. A first round is run and not counted. The output of commands is
/// thrown away; a command that fails ends the benchmark with an exception.
[[nodiscard]] std::vector<Row> measure_interleaved(const std::vector<Case>& cases, unsigned rounds);

/// Prints the rows with their ratio to the first.
void print_table(const std::string& title, const std::vector<Row>& rows);

} // namespace aipack::bench
