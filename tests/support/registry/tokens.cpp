#include "support/registry/tokens.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace aipack::test {
namespace {

using nlohmann::json;

Reply json_reply(int status, const json& body) {
  Reply reply;
  reply.status = status;
  reply.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  reply.body = body.dump();
  return reply;
}

/// RFC 6749, section 5.2
Reply oauth_error(int status, const std::string& error) {
  return json_reply(status, {{"error", error}});
}

/// What an unauthenticated GET of the token endpoint gets.
Reply token_refused() {
  Reply reply = json_reply(
      401, {{"errors", {{{"code", "UNAUTHORIZED"}, {"message", "incorrect user or password"}}}}});
  reply.headers.emplace_back("WWW-Authenticate", "Basic realm=\"token server\"");
  return reply;
}

/// "repository:<name>:<a>,<b>"; the name may contain colons. Others name nothing that we have.
void add_scope(Access& access, const std::string& scope) {
  const std::size_t first = scope.find(':');
  const std::size_t last = scope.rfind(':');
  if (scope.substr(0, first) != "repository" || last <= first) {
    return;
  }
  auto& actions = access[scope.substr(first + 1, last - first - 1)];
  for (const auto& action : split(std::string_view(scope).substr(last + 1), ',')) {
    actions.insert(action);
  }
}

/// What the user may do out of what is asked.
Access narrow(const RegistryAuth& auth, const Access& wanted, bool anonymous) {
  Access out;
  for (const auto& [repository, actions] : wanted) {
    for (const auto& action : actions) {
      const bool good =
          anonymous ? action == "pull" : Tokens::grants(auth, {{repository, {action}}});
      if (good) {
        out[repository].insert(action);
      }
    }
  }
  return out;
}

} // namespace

std::string to_scope(const Access& access) {
  std::string out;
  for (const auto& [repository, actions] : access) {
    out += (out.empty() ? "repository:" : " repository:") + repository + ":";
    std::string list;
    for (const char* action : {"pull", "push", "delete"}) { // the order that registries use
      if (actions.contains(action)) {
        list += (list.empty() ? "" : ",") + std::string(action);
      }
    }
    out += list;
  }
  return out;
}

bool Tokens::knows(const RegistryAuth& auth, std::string_view authorization) {
  if (lower(authorization.substr(0, 6)) != "basic ") {
    return false;
  }
  return base64_decode(authorization.substr(6)) == auth.user + ":" + auth.password;
}

bool Tokens::grants(const RegistryAuth& auth, const Access& wanted) {
  if (auth.grants.empty()) {
    return true;
  }
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& item) {
    auto found = auth.grants.find(item.first);
    if (found == auth.grants.end()) {
      found = auth.grants.find("*");
    }
    return found != auth.grants.end() && std::includes(found->second.begin(), found->second.end(),
                                                       item.second.begin(), item.second.end());
  });
}

Reply Tokens::answer(const RegistryAuth& auth, const RegistryRequest& request,
                     const std::string& form) {
  if (request.method == "GET") {
    const Target target = Target::parse(request.target);
    const auto authorization = request.header("Authorization");
    if (authorization ? !knows(auth, *authorization) : !auth.anonymous_pull) {
      return token_refused();
    }
    std::vector<std::string> scopes;
    for (const auto& value : target.all("scope")) {
      for (auto& scope : split(value, ' ')) {
        scopes.push_back(std::move(scope));
      }
    }
    return issue(auth, scopes, !authorization, target.find("offline_token") == "true");
  }
  if (request.method != "POST" || !auth.oauth2) {
    return oauth_error(request.method == "POST" ? 404 : 405, "invalid_request");
  }
  Target fields;
  fields.query = parse_form(form);
  const std::string grant = fields.find("grant_type").value_or("");
  const std::vector<std::string> scopes = split(fields.find("scope").value_or(""), ' ');
  if (!fields.find("service") || !fields.find("client_id")) {
    return oauth_error(400, "invalid_request"); // both are required by the token specification
  }
  if (grant == "password") {
    if (fields.find("username") != auth.user || fields.find("password") != auth.password) {
      return oauth_error(401, "invalid_grant");
    }
    return issue(auth, scopes, false,
                 auth.offers_refresh_token && fields.find("access_type") == "offline");
  }
  if (grant == "refresh_token") {
    const std::string token = fields.find("refresh_token").value_or("");
    if (!accepts_refresh_token(auth, token)) {
      return oauth_error(401, "invalid_grant");
    }
    if (auth.rotates_refresh_token) {
      const std::lock_guard lock(mutex_);
      ended_.insert(token);
    }
    return issue(auth, scopes, false, auth.rotates_refresh_token);
  }
  return oauth_error(400, "unsupported_grant_type");
}

Reply Tokens::answer_of_stranger() {
  return json_reply(200, {{"token", "token-of-a-stranger"},
                          {"access_token", "token-of-a-stranger"},
                          {"expires_in", 300}});
}

bool Tokens::accepts_refresh_token(const RegistryAuth& auth, const std::string& token) const {
  const std::lock_guard lock(mutex_);
  const bool issued =
      std::find(refresh_tokens_.begin(), refresh_tokens_.end(), token) != refresh_tokens_.end();
  return (issued || (token == auth.refresh_token && !token.empty())) && !ended_.contains(token);
}

Reply Tokens::issue(const RegistryAuth& auth, const std::vector<std::string>& scopes,
                    bool anonymous, bool with_refresh_token) {
  Access wanted;
  for (const auto& scope : scopes) {
    add_scope(wanted, scope);
    if (auth.first_scope_only) {
      break;
    }
  }
  const std::lock_guard lock(mutex_);
  const std::string number = std::to_string(++issued_);
  const std::string name =
      "token-" + number + "-" + Hasher::of("sha256", "token " + number).substr(7, 32);
  const Access access = narrow(auth, wanted, anonymous);
  tokens_[name] = {access, std::chrono::steady_clock::now() + auth.lifetime};

  json body = {{"scope", to_scope(access)}};
  if (auth.field != RegistryAuth::TokenField::access_token) {
    body["token"] = name;
  }
  if (auth.field != RegistryAuth::TokenField::token) {
    body["access_token"] = name;
  }
  if (auth.expires_in) {
    body["expires_in"] = *auth.expires_in;
  }
  if (with_refresh_token) {
    refresh_tokens_.push_back("refresh-" + number + "-" +
                              Hasher::of("sha256", "refresh " + number).substr(7, 32));
    body["refresh_token"] = refresh_tokens_.back();
  }
  return json_reply(200, body);
}

Tokens::Verdict Tokens::check(const std::string& token, const RegistryAuth& auth,
                              const Access& wanted) {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(token);
  if (found == tokens_.end() || std::chrono::steady_clock::now() >= found->second.end) {
    return Verdict::invalid;
  }
  if (auth.requests_per_token > 0 && ++found->second.uses > auth.requests_per_token) {
    return Verdict::invalid;
  }
  for (const auto& [repository, actions] : wanted) {
    const auto have = found->second.access.find(repository);
    if (have == found->second.access.end() ||
        !std::includes(have->second.begin(), have->second.end(), actions.begin(), actions.end())) {
      return Verdict::insufficient;
    }
  }
  return Verdict::good;
}

void Tokens::revoke() {
  const std::lock_guard lock(mutex_);
  for (auto& [name, token] : tokens_) {
    token.end = {};
  }
}

std::vector<std::string> Tokens::secrets(const RegistryAuth& auth) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> out{auth.password, base64_encode(auth.user + ":" + auth.password),
                               auth.refresh_token};
  out.insert(out.end(), refresh_tokens_.begin(), refresh_tokens_.end());
  for (const auto& [name, token] : tokens_) {
    out.push_back(name);
  }
  std::erase(out, "");
  return out;
}

} // namespace aipack::test
