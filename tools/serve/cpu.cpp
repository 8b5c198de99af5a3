#include "cpu.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>

#include <sched.h>

namespace aipack::serve {
namespace {

[[nodiscard]] std::string_view first_word(std::string_view text) noexcept {
  return text.substr(0, text.find_first_of(" \t\n"));
}

[[nodiscard]] std::optional<std::int64_t> parse_number(std::string_view text) noexcept {
  text = first_word(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

[[nodiscard]] std::optional<std::string> first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) {
    return std::nullopt;
  }
  return line;
}

[[nodiscard]] unsigned affinity_cpus() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    return 1; // more than 1024 CPUs: the caller may say --threads
  }
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

} // namespace

std::optional<unsigned> parse_cfs_quota(std::string_view quota, std::string_view period) noexcept {
  const auto q = parse_number(quota);
  const auto p = parse_number(period);
  if (!q || !p || *q <= 0 || *p <= 0) {
    return std::nullopt;
  }
  const std::int64_t cpus = *q / *p + (*q % *p != 0 ? 1 : 0);
  return static_cast<unsigned>(std::clamp<std::int64_t>(cpus, 1, 1 << 16));
}

std::optional<unsigned> parse_cpu_max(std::string_view text) noexcept {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) {
    return std::nullopt;
  }
  return parse_cfs_quota(text.substr(0, space), text.substr(space + 1));
}

unsigned available_cpus() {
  const unsigned affinity = affinity_cpus();
  std::optional<unsigned> quota;
  // A container sees its own group at the root of the mount (cgroup namespaces).
  if (const auto max = first_line("/sys/fs/cgroup/cpu.max")) {
    quota = parse_cpu_max(*max);
  } else if (const auto cfs = first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")) {
    quota = parse_cfs_quota(*cfs, first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us").value_or(""));
  }
  return quota ? std::min(affinity, *quota) : affinity;
}

} // namespace aipack::serve
