#include "cpu.hpp"
#include "support/catch.hpp"

#include <string>

using namespace aipack::serve;

TEST_CASE("parse_cpu_max reads cgroup v2 quotas", "[serve][cpu]") {
  const auto [text, cpus] = GENERATE(table<std::string, std::optional<unsigned>>({
      {"max 100000", std::nullopt},
      {"200000 100000", 2},
      {"150000 100000\n", 2}, // a part of a CPU still runs a thread
      {"50000 100000", 1},
      {"0 100000", std::nullopt},
      {"100000", std::nullopt},
      {"", std::nullopt},
      {"x y", std::nullopt},
      {"9223372036854775807 1", 65536},
  }));
  CHECK(parse_cpu_max(text) == cpus);
}

TEST_CASE("parse_cfs_quota reads cgroup v1 quotas", "[serve][cpu]") {
  CHECK(parse_cfs_quota("-1", "100000") == std::nullopt);
  CHECK(parse_cfs_quota("400000", "100000") == 4U);
  CHECK(parse_cfs_quota("400000", "") == std::nullopt);
}

TEST_CASE("a process may use at least one CPU", "[serve][cpu]") {
  CHECK(available_cpus() >= 1);
}
