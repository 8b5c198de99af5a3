#include "routes.hpp"
#include "support/catch.hpp"

using namespace aipack::serve;

TEST_CASE("match_route finds every route of the protocol", "[serve][routes]") {
  const auto [path, kind] = GENERATE(table<std::string, RouteKind>({
      {"/v2", RouteKind::server},
      {"/v2/", RouteKind::server},
      {"/v2/health/live", RouteKind::live},
      {"/v2/health/ready", RouteKind::ready},
      {"/v2/models", RouteKind::models},
      {"/v2/models/m", RouteKind::model},
      {"/v2/models/m/versions/1", RouteKind::model},
      {"/v2/models/m/ready", RouteKind::model_ready},
      {"/v2/models/m/versions/1/ready", RouteKind::model_ready},
      {"/v2/repository/index", RouteKind::index},
      {"/metrics", RouteKind::metrics},
  }));
  const auto route = match_route("GET", path);
  REQUIRE(route);
  CHECK(route->kind == kind);
  CHECK(route->method_allowed);
  CHECK_FALSE(match_route("DELETE", path)->method_allowed);
}

TEST_CASE("match_route takes model and version apart", "[serve][routes]") {
  auto route = match_route("POST", "/v2/models/a b/versions/7/infer");
  REQUIRE(route);
  CHECK(route->kind == RouteKind::infer);
  CHECK(route->method_allowed);
  CHECK(route->model == "a b");
  CHECK(route->version == "7");
  CHECK_FALSE(match_route("GET", "/v2/models/m/infer")->method_allowed);
  CHECK(match_route("POST", "/v2/models/versions/infer")->model == "versions");
}

TEST_CASE("match_route knows nothing else", "[serve][routes]") {
  const std::string path = GENERATE(
      "", "/", "v2", "/v1", "/v2/x", "/v2/models//infer", "/v2/models/m/versions",
      "/v2/models/m/versions/1/x", "/v2/models/m/infer/x", "/v2/health", "/metrics/x", "//v2", "*");
  CHECK_FALSE(match_route("GET", path));
}
