#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace aipack::serve {

enum class RouteKind { live, ready, server, models, model, model_ready, infer, index, metrics };

/// Where a request goes.
struct Route {
  RouteKind kind;
  std::string model;      ///< of model, model_ready, infer
  std::string version;    ///< "" when the path has none
  std::string_view allow; ///< methods of this route, as the Allow header wants them
  bool method_allowed = false;
};

/// Short word for logs and metrics: "infer", "health_live".
[[nodiscard]] std::string_view route_name(RouteKind kind) noexcept;

/// Finds the route of a decoded path; empty when there is none. One trailing slash is ignored.
[[nodiscard]] std::optional<Route> match_route(std::string_view method, std::string_view path);

} // namespace aipack::serve
