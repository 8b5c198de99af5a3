#include "routes.hpp"

#include <algorithm>
#include <vector>

namespace aipack::serve {
namespace {

[[nodiscard]] std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(1); // the slash
    const std::size_t end = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return parts;
}

[[nodiscard]] Route route_to(RouteKind kind, std::string_view method) {
  Route route{.kind = kind, .model = {}, .version = {}, .allow = "GET, HEAD"};
  if (kind == RouteKind::infer) {
    route.allow = "POST";
    route.method_allowed = method == "POST";
    return route;
  }
  route.method_allowed = method == "GET" || method == "HEAD";
  if (kind == RouteKind::index) {
    route.allow = "GET, HEAD, POST";
    route.method_allowed = route.method_allowed || method == "POST";
  }
  return route;
}

/// What follows /v2/models/NAME.
[[nodiscard]] std::optional<RouteKind> model_route(const std::vector<std::string_view>& parts,
                                                   std::size_t at) {
  if (parts.size() == at) {
    return RouteKind::model;
  }
  if (parts.size() != at + 1) {
    return std::nullopt;
  }
  if (parts[at] == "ready") {
    return RouteKind::model_ready;
  }
  if (parts[at] == "infer") {
    return RouteKind::infer;
  }
  return std::nullopt;
}

} // namespace

std::string_view route_name(RouteKind kind) noexcept {
  switch (kind) {
  case RouteKind::live:
    return "health_live";
  case RouteKind::ready:
    return "health_ready";
  case RouteKind::server:
    return "server_metadata";
  case RouteKind::models:
    return "models";
  case RouteKind::model:
    return "model_metadata";
  case RouteKind::model_ready:
    return "model_ready";
  case RouteKind::infer:
    return "infer";
  case RouteKind::index:
    return "repository_index";
  case RouteKind::metrics:
    return "metrics";
  }
  return "";
}

std::optional<Route> match_route(std::string_view method, std::string_view path) {
  if (!path.starts_with('/')) {
    return std::nullopt;
  }
  if (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  const std::vector<std::string_view> parts = split(path);
  if (path == "/metrics") {
    return route_to(RouteKind::metrics, method);
  }
  if (parts.front() != "v2") {
    return std::nullopt;
  }
  if (path == "/v2") {
    return route_to(RouteKind::server, method);
  }
  if (path == "/v2/health/live") {
    return route_to(RouteKind::live, method);
  }
  if (path == "/v2/health/ready") {
    return route_to(RouteKind::ready, method);
  }
  if (path == "/v2/models") {
    return route_to(RouteKind::models, method);
  }
  if (path == "/v2/repository/index") {
    return route_to(RouteKind::index, method);
  }
  if (parts.size() < 3 || parts[1] != "models" || parts[2].empty()) {
    return std::nullopt;
  }
  const bool versioned = parts.size() >= 5 && parts[3] == "versions";
  const auto kind = model_route(parts, versioned ? 5 : 3);
  if (!kind) {
    return std::nullopt;
  }
  Route route = route_to(*kind, method);
  route.model = parts[2];
  route.version = versioned ? parts[4] : std::string_view{};
  return route;
}

} // namespace aipack::serve
