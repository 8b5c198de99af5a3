#include "auth_token.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "auth_file.hpp"
#include "json.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace aipack::registry {
namespace {

constexpr const char* answer_name = "answer of the token server";

Secret secret_member(const Json& object, const char* key) {
  return Secret(text_member(object, key));
}

} // namespace

TokenAnswer parse_token_answer(std::string_view body) {
  const Json json = parse_secret_json(body, answer_name);
  TokenAnswer answer{.token = secret_member(json, "access_token")};
  if (answer.token.empty()) {
    answer.token = secret_member(json, "token");
  }
  if (answer.token.empty()) {
    throw FormatError(answer_name, std::nullopt, "it holds no token");
  }
  if (!is_token_text(answer.token.reveal())) {
    throw FormatError(answer_name, std::nullopt,
                      "its token has characters that no header can hold");
  }
  answer.lifetime = default_token_lifetime;
  const Json* lifetime = find_member(json, "expires_in");
  if (lifetime != nullptr && lifetime->is_number_unsigned() && lifetime->get<std::uint64_t>() > 0) {
    const auto longest = static_cast<std::uint64_t>(max_token_lifetime.count());
    answer.lifetime = std::chrono::seconds(std::min(lifetime->get<std::uint64_t>(), longest));
  }
  answer.refresh_token = secret_member(json, "refresh_token");
  return answer;
}

bool ScopeSet::add(std::string_view scope) {
  // Actions stand behind the last colon; a name may hold a port: "repository:host:5000/a:pull".
  const std::size_t colon = scope.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || scope.size() > max_scope_text ||
      !is_token_text(scope)) {
    return false;
  }
  const std::string_view name = scope.substr(0, colon);
  auto actions = split(scope.substr(colon + 1), ',');
  std::erase(actions, std::string_view{});
  auto found = std::ranges::find(resources_, name, &Resource::name);
  if (found == resources_.end()) {
    if (actions.empty() || resources_.size() == max_scopes) {
      return false;
    }
    found = resources_.insert(found, {.name = std::string(name), .actions = {}});
  }
  bool is_new = false;
  for (const std::string_view action : actions) {
    is_new = found->actions.emplace(action).second || is_new;
  }
  return is_new;
}

bool ScopeSet::add_all(std::string_view scopes) {
  bool is_new = false;
  for (const std::string_view scope : split(scopes, ' ')) {
    is_new = add(scope) || is_new;
  }
  return is_new;
}

std::vector<std::string> ScopeSet::texts() const {
  std::vector<std::string> texts;
  texts.reserve(resources_.size());
  for (const Resource& resource : resources_) {
    texts.push_back(fmt::format("{}:{}", resource.name, fmt::join(resource.actions, ",")));
  }
  return texts;
}

} // namespace aipack::registry
