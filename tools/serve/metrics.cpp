#include "metrics.hpp"

#include "infer_response.hpp"

#include <charconv>

namespace aipack::serve {
namespace {

/// Label values escape backslash, quote and line feed (Prometheus text format, "Comments, help
/// text, and type information").
[[nodiscard]] std::string label(std::string_view name, std::string_view value) {
  std::string out(name);
  out += "=\"";
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') {
      out.push_back('\\');
    }
    out.push_back(c);
  }
  return out + "\"";
}

[[nodiscard]] std::string model_labels(std::string_view model) {
  return label("model", model) + "," + label("version", model_version);
}

/// Without an exponent: what "le" is compared by is text.
[[nodiscard]] std::string number(double value) {
  char text[340]; // the longest double in this form
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, value, std::chars_format::fixed);
  return {text, end};
}

class Page {
public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += "# HELP " + name_ + " ";
    text_ += help;
    text_ += "\n# TYPE " + name_ + " ";
    text_ += type;
    text_ += "\n";
  }
  void sample(std::string_view suffix, const std::string& labels, const std::string& value) {
    text_ += name_;
    text_ += suffix;
    if (!labels.empty()) {
      text_ += "{" + labels + "}";
    }
    text_ += " " + value + "\n";
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

private:
  std::string text_;
  std::string name_;
};

} // namespace

void Metrics::count_inference(std::string_view model, int status, double seconds,
                              std::uint64_t request_bytes, std::uint64_t response_bytes) {
  const std::lock_guard lock(mutex_);
  ModelCounters& counters = models_.try_emplace(std::string(model)).first->second;
  ++counters.by_status[status];
  counters.request_bytes += request_bytes;
  counters.response_bytes += response_bytes;
  Latency& latency = counters.latency;
  ++latency.count;
  latency.sum_seconds += seconds;
  for (std::size_t i = 0; i < latency_bounds.size(); ++i) {
    if (seconds <= latency_bounds[i]) {
      ++latency.buckets[i];
      break;
    }
  }
}

void Metrics::count_other(std::string_view route, int status) {
  const std::lock_guard lock(mutex_);
  ++others_[{std::string(route), status}];
}

void Metrics::set_model_load_seconds(std::string_view model, double seconds) {
  const std::lock_guard lock(mutex_);
  load_seconds_[std::string(model)] = seconds;
}

std::string Metrics::render(const ProcessFacts& process) const {
  const std::lock_guard lock(mutex_);
  Page page;
  page.family("aipack_serve_info", "gauge",
              "Versions of the server and of the runtime that it opened.");
  page.sample("",
              label("version", process.server_version) + "," +
                  label("onnxruntime", process.runtime_version),
              "1");
  page.family("aipack_serve_inference_requests_total", "counter",
              "Finished inference requests by HTTP status.");
  for (const auto& [model, counters] : models_) {
    for (const auto& [status, count] : counters.by_status) {
      page.sample("", model_labels(model) + "," + label("status", std::to_string(status)),
                  std::to_string(count));
    }
  }
  page.family(
      "aipack_serve_inference_duration_seconds", "histogram",
      "Seconds from the request's header to the finished response, reading the body included.");
  for (const auto& [model, counters] : models_) {
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < latency_bounds.size(); ++i) {
      cumulative += counters.latency.buckets[i];
      page.sample("_bucket", model_labels(model) + "," + label("le", number(latency_bounds[i])),
                  std::to_string(cumulative));
    }
    page.sample("_bucket", model_labels(model) + "," + label("le", "+Inf"),
                std::to_string(counters.latency.count));
    page.sample("_sum", model_labels(model), number(counters.latency.sum_seconds));
    page.sample("_count", model_labels(model), std::to_string(counters.latency.count));
  }
  page.family("aipack_serve_inference_requests_in_flight", "gauge",
              "Inference requests being answered now.");
  page.sample("", "", std::to_string(in_flight_.load(std::memory_order_relaxed)));
  page.family("aipack_serve_inference_request_bytes_total", "counter",
              "Bytes of inference request bodies.");
  for (const auto& [model, counters] : models_) {
    page.sample("", model_labels(model), std::to_string(counters.request_bytes));
  }
  page.family("aipack_serve_inference_response_bytes_total", "counter",
              "Bytes of inference response bodies.");
  for (const auto& [model, counters] : models_) {
    page.sample("", model_labels(model), std::to_string(counters.response_bytes));
  }
  page.family("aipack_serve_http_requests_total", "counter",
              "Finished requests other than inference, by route and HTTP status.");
  for (const auto& [key, count] : others_) {
    page.sample("", label("route", key.first) + "," + label("status", std::to_string(key.second)),
                std::to_string(count));
  }
  page.family("aipack_serve_connections_rejected_total", "counter",
              "Connections closed because all of --max-connections were taken.");
  page.sample("", "", std::to_string(rejected_connections_.load(std::memory_order_relaxed)));
  page.family("aipack_serve_model_load_seconds", "gauge", "Seconds that loading the model took.");
  for (const auto& [model, seconds] : load_seconds_) {
    page.sample("", model_labels(model), number(seconds));
  }
  if (process.resident_bytes != 0) {
    page.family("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
    page.sample("", "", std::to_string(process.resident_bytes));
  }
  page.family("process_cpu_seconds_total", "counter",
              "Total user and system CPU time spent in seconds.");
  page.sample("", "", number(process.cpu_seconds));
  page.family("process_start_time_seconds", "gauge",
              "Start time of the process since the epoch in seconds.");
  page.sample("", "", number(process.start_time_seconds));
  return page.take();
}

} // namespace aipack::serve
