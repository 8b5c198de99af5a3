#include "service.hpp"

#include "infer_request.hpp"
#include "infer_response.hpp"
#include "json_cursor.hpp"
#include "text.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <new>

#include <sys/resource.h>
#include <unistd.h>

namespace aipack::serve {
namespace {

using Clock = std::chrono::steady_clock;

[[nodiscard]] double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

[[nodiscard]] Response error_response(Status status, std::string_view message) {
  Response response;
  response.status = static_cast<int>(status);
  response.body = error_document(message);
  if (status == Status::unavailable) {
    response.headers.emplace_back("Retry-After", "1");
  }
  return response;
}

[[nodiscard]] Response json_response(std::string body) {
  Response response;
  response.body = std::move(body);
  return response;
}

/// One of the places for inferences at once; given back when it goes out of scope.
class Slot {
public:
  Slot(std::atomic<unsigned>& running, unsigned most, Metrics& metrics)
      : running_(running), metrics_(metrics) {
    if (running_.fetch_add(1) >= most) {
      running_.fetch_sub(1);
      throw RequestError(Status::unavailable,
                         "cannot run the model: " + std::to_string(most) +
                             " requests are being answered already, which is the limit");
    }
    metrics_.inference_started();
  }
  ~Slot() {
    running_.fetch_sub(1);
    metrics_.inference_ended();
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

private:
  std::atomic<unsigned>& running_;
  Metrics& metrics_;
};

/// The media type without parameters, in lower case.
[[nodiscard]] std::string media_type(std::string_view content_type) {
  std::string out(content_type.substr(0, content_type.find(';')));
  while (!out.empty() && (out.back() == ' ' || out.back() == '\t')) {
    out.pop_back();
  }
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

void check_media_type(const RequestHead& head) {
  const std::string type = media_type(head.content_type);
  if (!type.empty() && type != "application/json" && type != "application/octet-stream") {
    throw RequestError(Status::unsupported_media_type,
                       "cannot read the request: media type " + quote(type) +
                           " is neither application/json nor application/octet-stream");
  }
  const std::string encoding = media_type(head.content_encoding);
  if (!encoding.empty() && encoding != "identity") {
    throw RequestError(Status::unsupported_media_type,
                       "cannot read the request: content encoding " + quote(encoding) +
                           " is not supported");
  }
}

/// Splits a body into its JSON part and its binary part.
struct Parts {
  std::string_view json;
  std::string_view binary;
};

[[nodiscard]] Parts split_body(std::string_view body,
                               const std::optional<std::string>& header_length) {
  if (!header_length) {
    return {body, {}};
  }
  std::size_t length = 0;
  const char* const end_of_text = header_length->data() + header_length->size();
  const auto [end, error] = std::from_chars(header_length->data(), end_of_text, length);
  if (header_length->empty() || error != std::errc{} || end != end_of_text) {
    throw RequestError("cannot read the request: Inference-Header-Content-Length " +
                       quote(*header_length) + " is not a size in bytes");
  }
  if (length > body.size()) {
    throw RequestError("cannot read the request: Inference-Header-Content-Length is " +
                       std::to_string(length) + ", the body has " + std::to_string(body.size()) +
                       " bytes");
  }
  return {body.substr(0, length), body.substr(length)};
}

/// The body of POST /v2/repository/index: nothing, or an object with "ready". Every model here is
/// ready, so that it only has to be well-formed.
void check_index_request(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return;
  }
  JsonCursor cursor(body);
  if (cursor.peek() != JsonCursor::Kind::object) {
    cursor.fail("expected an object");
  }
  cursor.skip_value();
  cursor.finish();
}

[[nodiscard]] std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm"); // proc(5): size resident ... in pages
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  file >> size >> resident;
  return file ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

[[nodiscard]] double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

} // namespace

Service::Service(Limits limits, ServerFacts facts, Metrics& metrics, Logger& log)
    : limits_(limits), facts_(std::move(facts)), metrics_(metrics), log_(log) {}

void Service::interrupt() noexcept {
  if (Repository* models = repository_.load()) {
    for (auto& [name, model] : *models) {
      model->interrupt();
    }
  }
}

Response Service::answer(const RequestHead& head, const BodyReader& read_body) noexcept {
  const Clock::time_point start = Clock::now();
  Response response;
  Tally tally;
  std::optional<Route> route;
  std::string error;
  try {
    route = match_route(head.method, head.path);
    if (!route) {
      throw RequestError(Status::not_found, "cannot find " + quote(head.path));
    }
    if (!route->method_allowed) {
      response = error_response(Status::method_not_allowed, "cannot " + quote(head.method) + " " +
                                                                quote(head.path) + ": allowed is " +
                                                                std::string(route->allow));
      response.headers.emplace_back("Allow", route->allow);
    } else {
      response = dispatch(*route, head, read_body, tally);
    }
  } catch (const RequestError& failure) {
    error = failure.what();
    response = error_response(failure.status(), error);
  } catch (const std::bad_alloc&) {
    error = "cannot answer the request: out of memory";
    response = error_response(Status::unavailable, error);
  } catch (const std::exception& failure) {
    error = std::string("cannot answer the request: ") + failure.what();
    response = error_response(Status::internal, error);
  }
  record(route, head, response, tally, seconds_since(start), error);
  return response;
}

Response Service::dispatch(const Route& route, const RequestHead& head, const BodyReader& read_body,
                           Tally& tally) {
  switch (route.kind) {
  case RouteKind::live:
    return json_response("{\"live\":true}");
  case RouteKind::ready:
    if (repository_.load() == nullptr || draining_.load() != 0) {
      return error_response(Status::unavailable, draining_.load() != 0
                                                     ? "the server is stopping"
                                                     : "the models are still being loaded");
    }
    return json_response("{\"ready\":true}");
  case RouteKind::server:
    return json_response(server_document(facts_));
  case RouteKind::models:
    return json_response(models_document(repository()));
  case RouteKind::model:
    return json_response(model_document(find_model(route).signature()));
  case RouteKind::model_ready:
    static_cast<void>(find_model(route));
    if (draining_.load() != 0) {
      return error_response(Status::unavailable, "the server is stopping");
    }
    return json_response("{\"name\":" + json_string(route.model) + ",\"ready\":true}");
  case RouteKind::index:
    if (head.method == "POST") {
      check_media_type(head);
      check_index_request(read_body());
    }
    return json_response(index_document(repository()));
  case RouteKind::metrics: {
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = metrics_page();
    return response;
  }
  case RouteKind::infer:
    return infer(route, head, read_body, tally);
  }
  throw RequestError(Status::internal, "cannot answer the request: unknown route");
}

Response Service::infer(const Route& route, const RequestHead& head, const BodyReader& read_body,
                        Tally& tally) {
  Model& model = find_model(route);
  tally.model = route.model;
  check_media_type(head);
  const Slot slot(running_, limits_.max_concurrency, metrics_);
  InferRequest request;
  {
    const std::string body =
        read_body(); // gone before the model runs: the tensors have what they need
    tally.request_bytes = body.size();
    const Parts parts = split_body(body, head.inference_header_length);
    request = parse_infer_request(model.signature(), parts.json, parts.binary);
  }
  const Clock::time_point start = Clock::now();
  const std::vector<Tensor> outputs = model.run(request.inputs, request.outputs);
  tally.infer_seconds = seconds_since(start);
  InferResponse result = write_infer_response(route.model, request, outputs);
  Response response;
  response.body = std::move(result.body);
  if (result.header_bytes != 0) {
    response.content_type = "application/octet-stream";
    response.headers.emplace_back("Inference-Header-Content-Length",
                                  std::to_string(result.header_bytes));
  }
  return response;
}

Repository& Service::repository() const {
  Repository* models = repository_.load();
  if (models == nullptr) {
    throw RequestError(Status::unavailable, "the models are still being loaded");
  }
  return *models;
}

Model& Service::find_model(const Route& route) const {
  Repository& models = repository();
  const auto found = models.find(route.model);
  if (found == models.end()) {
    throw RequestError(Status::not_found, "cannot find model " + quote(route.model));
  }
  if (!route.version.empty() && route.version != model_version) {
    throw RequestError(Status::not_found, "cannot find version " + quote(route.version) +
                                              " of model " + quote(route.model) +
                                              ": it has version " + std::string(model_version));
  }
  return *found->second;
}

std::string Service::metrics_page() const {
  return metrics_.render(
      {.resident_bytes = resident_bytes(),
       .cpu_seconds = cpu_seconds(),
       .start_time_seconds = std::chrono::duration<double>(started_.time_since_epoch()).count(),
       .server_version = facts_.version,
       .runtime_version = facts_.runtime_version});
}

void Service::record(const std::optional<Route>& route, const RequestHead& head,
                     const Response& response, const Tally& tally, double seconds,
                     std::string_view error) noexcept try {
  const bool inference = route && route->kind == RouteKind::infer && route->method_allowed;
  if (inference) {
    metrics_.count_inference(tally.model, response.status, seconds, tally.request_bytes,
                             response.body.size());
  } else {
    metrics_.count_other(route ? route_name(route->kind) : "none", response.status);
  }
  LogLevel level = inference ? LogLevel::info : LogLevel::debug;
  if (response.status >= 500) {
    level = LogLevel::warning;
  }
  log_.log(level, error.empty() ? "request" : error,
           {{"method", head.method},
            {"path", head.path},
            {"status", std::int64_t{response.status}},
            {"milliseconds", seconds * 1e3},
            {"inference_milliseconds", tally.infer_seconds * 1e3},
            {"request_bytes", static_cast<std::int64_t>(tally.request_bytes)},
            {"response_bytes", static_cast<std::int64_t>(response.body.size())}});
} catch (...) { // out of memory while counting: the answer still goes out
  return;
}

} // namespace aipack::serve
