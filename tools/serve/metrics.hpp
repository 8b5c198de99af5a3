#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace aipack::serve {

/// Upper bounds in seconds of the latency histogram; +Inf is implied.
inline constexpr std::array latency_bounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                           0.1,    0.25,  0.5,    1.0,   2.5,  5.0,   10.0};

/// What a scrape sees beside the counters; read by the caller, so that this file touches nothing of
/// the system.
struct ProcessFacts {
  std::uint64_t resident_bytes = 0; ///< 0: unknown, left out
  double cpu_seconds = 0;
  double start_time_seconds = 0; ///< since the epoch
  std::string server_version;
  std::string runtime_version;
};

/// Counters of the server, written as Prometheus text format 0.0.4. Labels have a bounded set of
/// values: the models of the image
/// ("" for a name that is none), their one version, and HTTP status codes. *Threads*: any.
class Metrics {
public:
  /// One finished inference request.
  void count_inference(std::string_view model, int status, double seconds,
                       std::uint64_t request_bytes, std::uint64_t response_bytes);
  /// One finished request of any other kind.
  void count_other(std::string_view route, int status);
  void count_rejected_connection() noexcept {
    rejected_connections_.fetch_add(1, std::memory_order_relaxed);
  }
  void set_model_load_seconds(std::string_view model, double seconds);

  void inference_started() noexcept { in_flight_.fetch_add(1, std::memory_order_relaxed); }
  void inference_ended() noexcept { in_flight_.fetch_sub(1, std::memory_order_relaxed); }

  [[nodiscard]] std::string render(const ProcessFacts& process) const;

private:
  struct Latency {
    std::array<std::uint64_t, latency_bounds.size()> buckets{}; ///< not cumulative
    std::uint64_t count = 0;
    double sum_seconds = 0;
  };
  struct ModelCounters {
    std::map<int, std::uint64_t> by_status;
    Latency latency;
    std::uint64_t request_bytes = 0;
    std::uint64_t response_bytes = 0;
  };

  mutable std::mutex mutex_;
  std::map<std::string, ModelCounters, std::less<>> models_;
  std::map<std::pair<std::string, int>, std::uint64_t> others_;
  std::map<std::string, double, std::less<>> load_seconds_;
  std::atomic<std::int64_t> in_flight_{0};
  std::atomic<std::uint64_t> rejected_connections_{0};
};

} // namespace aipack::serve
