#pragma once

#include <optional>
#include <string_view>

namespace aipack::serve {

/// CPUs that a cgroup v2 quota allows, rounded up, at least 1: the text of cpu.max, "QUOTA PERIOD"
/// in microseconds. Empty for "max" and for text of another form. Source: Linux,
/// Documentation/admin-guide/cgroup-v2.rst, "CPU Interface Files".
[[nodiscard]] std::optional<unsigned> parse_cpu_max(std::string_view text) noexcept;

/// The same for cgroup v1: the texts of cpu.cfs_quota_us (-1 for none) and cpu.cfs_period_us.
[[nodiscard]] std::optional<unsigned> parse_cfs_quota(std::string_view quota,
                                                      std::string_view period) noexcept;

/// CPUs that this process may use: its affinity mask, bounded by the quota of its control group.
[[nodiscard]] unsigned available_cpus();

} // namespace aipack::serve
