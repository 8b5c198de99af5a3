#include "metrics.hpp"
#include "support/catch.hpp"

using namespace aipack::serve;

TEST_CASE("Metrics renders counters with their labels", "[serve][metrics]") {
  Metrics metrics;
  metrics.count_inference("m", 200, 0.003, 100, 50);
  metrics.count_inference("m", 200, 20.0, 100, 50);
  metrics.count_inference("m", 400, 0.0005, 1, 2);
  metrics.count_other("health_live", 200);
  metrics.set_model_load_seconds("m", 0.5);
  metrics.inference_started();
  metrics.count_rejected_connection();
  const std::string page = metrics.render({.resident_bytes = 4096,
                                           .cpu_seconds = 1.5,
                                           .start_time_seconds = 10,
                                           .server_version = "1.2.3",
                                           .runtime_version = "1.21.0"});
  for (const char* line : {
           "aipack_serve_info{version=\"1.2.3\",onnxruntime=\"1.21.0\"} 1\n",
           "aipack_serve_inference_requests_total{model=\"m\",version=\"1\",status=\"200\"} 2\n",
           "aipack_serve_inference_requests_total{model=\"m\",version=\"1\",status=\"400\"} 1\n",
           "aipack_serve_inference_duration_seconds_bucket{model=\"m\",version=\"1\",le=\"0.0005\"}"
           " 1\n",
           "aipack_serve_inference_duration_seconds_bucket{model=\"m\",version=\"1\",le=\"0.0025\"}"
           " 1\n",
           "aipack_serve_inference_duration_seconds_bucket{model=\"m\",version=\"1\",le=\"0.005\"} "
           "2\n",
           "aipack_serve_inference_duration_seconds_bucket{model=\"m\",version=\"1\",le=\"10\"} "
           "2\n",
           "aipack_serve_inference_duration_seconds_bucket{model=\"m\",version=\"1\",le=\"+Inf\"} "
           "3\n",
           "aipack_serve_inference_duration_seconds_count{model=\"m\",version=\"1\"} 3\n",
           "aipack_serve_inference_requests_in_flight 1\n",
           "aipack_serve_inference_request_bytes_total{model=\"m\",version=\"1\"} 201\n",
           "aipack_serve_inference_response_bytes_total{model=\"m\",version=\"1\"} 102\n",
           "aipack_serve_http_requests_total{route=\"health_live\",status=\"200\"} 1\n",
           "aipack_serve_connections_rejected_total 1\n",
           "aipack_serve_model_load_seconds{model=\"m\",version=\"1\"} 0.5\n",
           "process_resident_memory_bytes 4096\n",
           "process_cpu_seconds_total 1.5\n",
       }) {
    CHECK_THAT(page, ContainsSubstring(line));
  }
}

TEST_CASE("Metrics escapes label values and leaves out what is unknown", "[serve][metrics]") {
  Metrics metrics;
  metrics.count_inference("a\"b\\c\nd", 200, 0.1, 0, 0);
  const std::string page = metrics.render({});
  CHECK_THAT(page, ContainsSubstring(R"(model="a\"b\\c\nd")"));
  CHECK_THAT(page, !ContainsSubstring("process_resident_memory_bytes"));
}
