#pragma once

#include "documents.hpp"
#include "error.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "model.hpp"
#include "routes.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aipack::serve {

/// A request without its body, as the HTTP side read it.
struct RequestHead {
  std::string method;
  std::string path; ///< percent-decoded, without the query
  std::string content_type;
  std::string content_encoding;
  std::optional<std::string> inference_header_length; ///< Inference-Header-Content-Length
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Reads the request's body when it is called, once. Throws RequestError: too large, too slow,
/// without length, cut off.
using BodyReader = std::function<std::string()>;

/// Answers requests, whatever brought them. Knows nothing of sockets. *Threads*: answer() may be
/// called from many at once.
class Service {
public:
  /// What the service may use at once.
  struct Limits {
    unsigned max_concurrency = 16;
  };

  /// All references outlive the service.
  Service(Limits limits, ServerFacts facts, Metrics& metrics, Logger& log);

  /// Makes the models visible; before that the server is live and not ready. `repository` outlives
  /// the service.
  void publish(Repository& repository) noexcept { repository_.store(&repository); }
  /// From here on the server is not ready; requests are still answered.
  void drain() noexcept { draining_.store(1); }
  /// Makes inferences that are under way give up.
  void interrupt() noexcept;
  [[nodiscard]] unsigned in_flight() const noexcept { return running_.load(); }

  /// Answers one request. The body is read only after the request was admitted. Never throws.
  [[nodiscard]] Response answer(const RequestHead& head, const BodyReader& read_body) noexcept;

private:
  /// Sizes and times of one inference for metrics and log.
  struct Tally {
    std::string model; ///< "" unless it is one of ours
    std::uint64_t request_bytes = 0;
    double infer_seconds = 0;
  };

  [[nodiscard]] Response dispatch(const Route& route, const RequestHead& head,
                                  const BodyReader& read_body, Tally& tally);
  [[nodiscard]] Response infer(const Route& route, const RequestHead& head,
                               const BodyReader& read_body, Tally& tally);
  [[nodiscard]] Repository& repository() const;
  [[nodiscard]] Model& find_model(const Route& route) const;
  [[nodiscard]] std::string metrics_page() const;
  void record(const std::optional<Route>& route, const RequestHead& head, const Response& response,
              const Tally& tally, double seconds, std::string_view error) noexcept;

  Limits limits_;
  ServerFacts facts_;
  Metrics& metrics_;
  Logger& log_;
  std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
  std::atomic<Repository*> repository_{nullptr};
  // Not bool: one-byte atomics need libatomic on riscv64 with GCC 12.
  std::atomic<unsigned> draining_{0};
  std::atomic<unsigned> running_{0};
};

} // namespace aipack::serve
