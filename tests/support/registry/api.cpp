#include "support/registry/api.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace aipack::test {
namespace {

constexpr std::array origins{Origin::registry, Origin::token, Origin::storage, Origin::foreign};
constexpr std::array<std::string_view, 4> origin_names{"registry", "token", "storage", "foreign"};

std::size_t index(Origin origin) {
  return static_cast<std::size_t>(origin);
}

void replace(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

std::string signature(const std::string& path) {
  return Hasher::of("sha256", "signed by the test registry: " + path).substr(7, 32);
}

/// Host header values that may be repeated in a URL.
bool is_host(std::string_view text) {
  return !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
                                                 "XYZ0123456789.-:[]") == std::string_view::npos;
}

} // namespace

// --- addresses ---

std::uint16_t Addresses::port(Origin origin) const {
  return ports.at(index(origin));
}

std::string Addresses::base(Origin origin) const {
  return (tls.at(index(origin)) ? "https://" : "http://") + host_name + ":" +
         std::to_string(port(origin));
}

std::string Addresses::expand(std::string text, const std::string& path) const {
  for (const Origin origin : origins) {
    const std::string name(origin_names.at(index(origin)));
    replace(text, "{" + name + "}", base(origin));
    replace(text, "{" + name + "_port}", std::to_string(port(origin)));
  }
  replace(text, "{path}", path);
  return text;
}

std::string Addresses::sign(const std::string& path) {
  return path + "?X-Expires=900&X-Signature=" + signature(path);
}

bool Addresses::is_signed(const Target& target) {
  return target.find("X-Signature") == signature(target.path);
}

// --- routes ---

Endpoint route(RegistryRequest& request) {
  const Target target = Target::parse(request.target);
  const std::string& path = target.path;
  request.digest = target.find("digest").value_or(target.find("mount").value_or(""));
  if (path == "/token") {
    return Endpoint::token;
  }
  if (path.starts_with("/_loop/")) {
    return Endpoint::loop;
  }
  if (path == "/v2/" || path == "/v2") {
    return Endpoint::base;
  }
  if (!path.starts_with("/v2/")) {
    return Endpoint::other;
  }
  // The last components say what it is: a repository's name may itself contain "blobs".
  const std::size_t last = path.rfind('/');
  const std::size_t before = path.rfind('/', last - 1);
  const std::string tail = path.substr(last + 1);
  const std::string kind = path.substr(before + 1, last - before - 1);
  const auto take_repository = [&](std::size_t end) {
    request.repository = end > 4 ? path.substr(4, end - 4) : "";
  };
  if (kind == "uploads" && before > 6 && path.substr(before - 6, 6) == "/blobs") {
    take_repository(before - 6);
    request.upload = tail;
    return tail.empty() ? Endpoint::start_upload : Endpoint::upload;
  }
  if (before < 4) {
    return Endpoint::other;
  }
  take_repository(before);
  if (kind == "blobs") {
    request.digest = tail;
    return Endpoint::blob;
  }
  if (kind == "manifests") {
    request.reference = tail;
    request.digest = tail.find(':') == std::string::npos ? "" : tail;
    return Endpoint::manifest;
  }
  if (kind == "referrers") {
    request.digest = tail;
    return Endpoint::referrers;
  }
  return kind == "tags" && tail == "list" ? Endpoint::tags : Endpoint::other;
}

Reply error_reply(int status, const std::string& code, const std::string& message,
                  const std::string& detail) {
  nlohmann::ordered_json error = {{"code", code}, {"message", message}};
  if (!detail.empty()) {
    error["detail"] = detail;
  }
  Reply reply;
  reply.status = status;
  reply.headers = {{"Content-Type", "application/json; charset=utf-8"}};
  reply.body = nlohmann::ordered_json{{"errors", {error}}}.dump(
                   -1, ' ', false, nlohmann::json::error_handler_t::replace) +
               "\n";
  return reply;
}

// --- one request ---

Api::Api(World& world, const Settings& settings, HttpConnection& connection,
         RequestLog::Entry entry, Endpoint endpoint)
    : world_(world), settings_(settings), dialect_(settings.dialect), connection_(connection),
      entry_(std::move(entry)), request_(*entry_), endpoint_(endpoint),
      target_(Target::parse(request_.target)), repository_(request_.repository) {}

Reply Api::answer() {
  Reply reply;
  if (endpoint_ == Endpoint::token) {
    const auto form = connection_.read_all(std::uint64_t{64} << 10);
    reply = request_.origin == Origin::foreign
                ? Tokens::answer_of_stranger()
                : world_.tokens.answer(settings_.auth, request_, form.value_or(""));
  } else if (endpoint_ == Endpoint::loop) {
    reply.status = 307;
    const auto turn = parse_number(std::string_view(request_.path).substr(7)).value_or(0);
    reply.headers = {{"Location", own_base() + "/_loop/" + std::to_string(turn + 1)}};
  } else if (auto refused = refuse()) {
    reply = std::move(*refused);
  } else {
    reply = dispatch();
  }
  reply.headers.emplace_back("Docker-Distribution-Api-Version", "registry/2.0");
  return reply;
}

Reply Api::dispatch() {
  if (endpoint_ == Endpoint::base) {
    return dialect_.base_endpoint ? Reply{.status = 200,
                                          .headers = {{"Content-Type", "application/json"}},
                                          .body = "{}"}
                                  : error_reply(404, "UNSUPPORTED", "there is nothing here");
  }
  if (endpoint_ == Endpoint::other) {
    return error_reply(404, "UNSUPPORTED", "no such endpoint", request_.path);
  }
  if (!is_repository(repository_)) {
    return error_reply(400, "NAME_INVALID", "invalid repository name", repository_);
  }
  switch (endpoint_) {
  case Endpoint::blob:
    return blob();
  case Endpoint::start_upload:
    return start_upload();
  case Endpoint::upload:
    return upload();
  case Endpoint::manifest:
    return manifest();
  case Endpoint::tags:
    return tags();
  case Endpoint::referrers:
    return referrers();
  case Endpoint::base:
  case Endpoint::token:
  case Endpoint::loop:
  case Endpoint::other:
    break;
  }
  return error_reply(404, "UNSUPPORTED", "no such endpoint", request_.path);
}

Reply Api::method_not_allowed() const {
  return error_reply(405, "UNSUPPORTED", "the operation is unsupported", request_.method);
}

/// URLs of this registry begin as the client calls it.
std::string Api::own_base() const {
  const std::string host = request_.header("Host").value_or("");
  const bool tls = world_.addresses.tls.at(index(request_.origin));
  return is_host(host) ? (tls ? "https://" : "http://") + host
                       : world_.addresses.base(request_.origin);
}

/// Where a GET of content is sent to, if it is.
std::optional<std::string> Api::redirect(const std::string& location_template, int status) const {
  if (status == 0 || request_.origin == Origin::storage || request_.origin == Origin::foreign ||
      Addresses::is_signed(target_)) {
    return std::nullopt;
  }
  const std::string path = Addresses::sign(request_.path);
  return world_.addresses.expand(location_template.empty() ? "{storage}{path}" : location_template,
                                 path);
}

// --- access ---

Access Api::needed() const {
  if (repository_.empty()) {
    return {};
  }
  const std::string& method = request_.method;
  Access access;
  if (method == "DELETE" && endpoint_ != Endpoint::upload) {
    access[repository_] = {"delete"};
  } else if ((method == "GET" || method == "HEAD") && endpoint_ != Endpoint::upload) {
    access[repository_] = {"pull"};
  } else {
    access[repository_] = {"pull", "push"};
  }
  const auto from = target_.find("from");
  if (endpoint_ == Endpoint::start_upload && from && is_repository(*from) &&
      dialect_.mount_needs_source_scope) {
    access[*from].insert("pull");
  }
  return access;
}

Headers Api::challenges(const std::string& error) const {
  const RegistryAuth& auth = settings_.auth;
  Headers out;
  for (const auto& other : auth.other_challenges) {
    out.emplace_back("WWW-Authenticate", other);
  }
  if (auth.kind != RegistryAuth::Kind::bearer) {
    out.emplace_back("WWW-Authenticate", "Basic realm=\"test registry\"");
    return out;
  }
  std::string value = "Bearer realm=\"" + world_.addresses.expand(auth.realm) + "\",service=\"" +
                      auth.service + "\"";
  if (const Access access = needed(); auth.scope_in_challenge && !access.empty()) {
    value += ",scope=\"" + to_scope(access) + "\"";
  }
  if (!error.empty()) {
    value += ",error=\"" + error + "\"";
  }
  out.emplace_back("WWW-Authenticate", value);
  return out;
}

std::optional<Reply> Api::refuse_at_storage() const {
  if (request_.origin == Origin::storage && !Addresses::is_signed(target_)) {
    return error_reply(403, "DENIED", "the signature of the URL is missing or wrong");
  }
  if (dialect_.storage_refuses_authorization && request_.header("Authorization")) {
    return Reply{.status = 400,
                 .headers = {{"Content-Type", "application/xml"}},
                 .body = "<Error><Code>InvalidArgument</Code><Message>credentials beside a signed "
                         "URL</Message></Error>"};
  }
  return std::nullopt;
}

std::optional<Reply> Api::refuse() {
  if (request_.origin != Origin::registry) {
    return refuse_at_storage();
  }
  const RegistryAuth& auth = settings_.auth;
  if (auth.kind == RegistryAuth::Kind::none) {
    return std::nullopt;
  }
  const auto unauthorized = [&](const std::string& error) {
    Reply reply = error_reply(401, "UNAUTHORIZED", "authentication required");
    for (auto& header : challenges(error)) {
      reply.headers.push_back(std::move(header));
    }
    return reply;
  };
  const auto denied = [] {
    return error_reply(403, "DENIED", "requested access to the resource is denied");
  };
  const Access access = needed();
  const auto authorization = request_.header("Authorization");
  if (auth.kind == RegistryAuth::Kind::basic) {
    const bool pulls = endpoint_ != Endpoint::upload && endpoint_ != Endpoint::base &&
                       (request_.method == "GET" || request_.method == "HEAD");
    if (!authorization && auth.anonymous_pull && pulls) {
      return std::nullopt;
    }
    if (!authorization || !Tokens::knows(auth, *authorization)) {
      return unauthorized("");
    }
    return Tokens::grants(auth, access) ? std::nullopt : std::optional(denied());
  }
  if (!authorization || lower(authorization->substr(0, 7)) != "bearer ") {
    return unauthorized("");
  }
  switch (world_.tokens.check(authorization->substr(7), auth, access)) {
  case Tokens::Verdict::good:
    return std::nullopt;
  case Tokens::Verdict::invalid:
    return unauthorized("invalid_token");
  case Tokens::Verdict::insufficient:
    break;
  }
  return auth.denied_status == 401 ? unauthorized("insufficient_scope") : denied();
}

} // namespace aipack::test
