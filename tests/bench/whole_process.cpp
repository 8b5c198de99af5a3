#include "whole_process.hpp"

#include <algorithm>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace aipack::bench {
namespace {

double run_ms(const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const auto start = std::chrono::steady_clock::now();
  pid_t child = 0;
  const int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    throw std::runtime_error("cannot run " + command.front());
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
  }
  const auto end = std::chrono::steady_clock::now();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw std::runtime_error("failed: " + command.front());
  }
  return std::chrono::duration<double, std::milli>(end - start).count();
}

} // namespace

std::vector<Row> measure_interleaved(const std::vector<Case>& cases, unsigned rounds) {
  std::vector<std::vector<double>> samples(cases.size());
  for (unsigned round = 0; round <= rounds; ++round) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (cases[i].prepare) {
        cases[i].prepare();
      }
      const double sample = run_ms(cases[i].command);
      if (round > 0) {
        samples[i].push_back(sample);
      }
    }
  }
  std::vector<Row> rows;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::vector<double>& values = samples[i];
    std::sort(values.begin(), values.end());
    rows.push_back({cases[i].name, values[values.size() / 2], values.front(), values.back()});
  }
  return rows;
}

void print_table(const std::string& title, const std::vector<Row>& rows) {
  std::size_t width = 4;
  for (const Row& row : rows) {
    width = std::max(width, row.name.size());
  }
  fmt::print("{}\n{:<{}}  {:>10}  {:>20}  {:>8}\n", title, "case", width, "median ms",
             "[best..worst]", "ratio");
  for (const Row& row : rows) {
    fmt::print("{:<{}}  {:>10.1f}  {:>20}  {:>8.2f}\n", row.name, width, row.median_ms,
               fmt::format("[{:.1f}..{:.1f}]", row.best_ms, row.worst_ms),
               row.median_ms / rows.front().median_ms);
  }
}

} // namespace aipack::bench
