#include "auth_login.hpp"

#include "aipack/core/text.hpp"

#include "auth_challenge.hpp"
#include "auth_file.hpp"
#include "base64.hpp"
#include "explain_body.hpp"
#include "session_target.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace aipack::registry {
namespace {

constexpr std::string_view client_id = "aipack";

std::string basic(std::string_view user, const Secret& password) {
  return "Basic " + base64_encode(fmt::format("{}:{}", user, password.reveal()));
}

bool has_password(const Credential* credential) {
  return credential != nullptr && !credential->password.empty();
}

/// The challenge to answer: Bearer before Basic; others (Negotiate, NTLM) are not ours.
std::optional<Challenge> choose(const http::Response& response) {
  const auto all = challenges_of(response);
  const auto bearer = std::ranges::find_if(all, [](const Challenge& challenge) {
    return challenge.scheme == "bearer" && !challenge.get("realm").empty();
  });
  const auto basic_one = std::ranges::find(all, "basic", &Challenge::scheme);
  return bearer != all.end()      ? std::optional(*bearer)
         : basic_one != all.end() ? std::optional(*basic_one)
                                  : std::nullopt;
}

} // namespace

KnownChallenge::Value KnownChallenge::get() const {
  const std::lock_guard lock(mutex_);
  return value_;
}

void KnownChallenge::set(Value value) {
  const std::lock_guard lock(mutex_);
  value_ = std::move(value);
}

Login::Login(const Endpoint& endpoint, std::shared_ptr<CredentialStore> credentials,
             std::shared_ptr<Shared> shared, SendTokenRequest send)
    : endpoint_(endpoint), origin_(http::Origin::of(endpoint.scheme + "://" + endpoint.host)),
      credentials_(std::move(credentials)), shared_(std::move(shared)), send_(std::move(send)) {}

void Login::expect(std::string_view scope) {
  const std::lock_guard lock(mutex_);
  scopes_.add(scope);
}

Standing Login::standing() const {
  const std::lock_guard lock(credential_mutex_);
  return {.host = endpoint_.credential_host,
          .logged_in = credential_.has_value(),
          .user = credential_ ? credential_->username : std::string{}};
}

const Credential* Login::credential(const Operation& op) {
  const std::lock_guard lock(credential_mutex_);
  if (!credential_asked_ && credentials_) {
    credential_ = credentials_->find(endpoint_.credential_host, endpoint_.repository, op);
  }
  credential_asked_ = true;
  return credential_ ? &*credential_ : nullptr;
}

Login::Ticket Login::ticket(const Operation& op) {
  const KnownChallenge::Value challenge = shared_->challenge.get();
  if (challenge.kind == KnownChallenge::Kind::none) {
    return {};
  }
  const Credential* who = credential(op);
  if (challenge.kind == KnownChallenge::Kind::bearer) {
    if (who != nullptr && !who->registry_token.empty()) {
      return {.authorization = "Bearer " + who->registry_token.reveal()};
    }
    return bearer_ticket(challenge, op);
  }
  return has_password(who) ? Ticket{.authorization = basic(who->username, who->password)}
                           : Ticket{};
}

Login::Ticket Login::bearer_ticket(const KnownChallenge::Value& challenge, const Operation& op) {
  std::vector<std::string> scopes;
  {
    const std::lock_guard lock(mutex_);
    scopes = scopes_.texts();
  }
  // Sessions of one endpoint may speak for different people: credentials can be of a namespace.
  const Credential* who = credential(op);
  const std::size_t identity =
      who == nullptr
          ? 0
          : std::hash<std::string>{}(fmt::format(
                "{}\n{}\n{}", who->username, who->password.reveal(), who->identity_token.reveal()));
  Ticket ticket;
  ticket.cache_key = fmt::format("{}\n{}\n{}\n{}", challenge.realm, challenge.service, identity,
                                 fmt::join(scopes, " "));
  ticket.token = shared_->tokens.get(
      ticket.cache_key, [&] { return fetch(challenge, scopes, op); }, op);
  ticket.authorization = "Bearer " + ticket.token->text.reveal();
  return ticket;
}

bool Login::learn(const Ticket& ticket, const http::Response& response, const Call& call,
                  const Operation& op) {
  const auto challenge = choose(response);
  if (!challenge) {
    return false;
  }
  if (challenge->scheme == "basic") {
    shared_->challenge.set({.kind = KnownChallenge::Kind::basic});
    return !ticket.authorization.starts_with("Basic ") && has_password(credential(op));
  }
  const std::string realm = challenge->get("realm");
  check_destination(origin_, {}, realm, "token server", call.verb);
  bool asks_for_more = false;
  {
    const std::lock_guard lock(mutex_);
    asks_for_more = scopes_.add_all(challenge->get("scope"));
  }
  const KnownChallenge::Value value{
      .kind = KnownChallenge::Kind::bearer, .realm = realm, .service = challenge->get("service")};
  if (value != shared_->challenge.get()) {
    shared_->challenge.set(value);
    asks_for_more = true;
  }
  if (!ticket.token) {
    // Nothing was sent that could be wrong, unless it was a token that cannot be renewed.
    return ticket.authorization.empty() || ticket.authorization.starts_with("Basic ");
  }
  shared_->tokens.drop(ticket.cache_key, ticket.token);
  // One that worked has ended. One that was refused at its first use is all that these credentials
  // get.
  return asks_for_more || ticket.token->worked;
}

Call Login::token_call() const {
  Call call;
  call.verb = "log in to " + quoted(endpoint_.credential_host);
  call.transfer.max_body_bytes = max_token_bytes;
  return call;
}

TokenAnswer Login::fetch(const KnownChallenge::Value& challenge,
                         const std::vector<std::string>& scopes, const Operation& op) {
  const Credential* who = credential(op);
  if (who != nullptr && !who->identity_token.empty()) {
    if (auto answer = fetch_oauth2(challenge, scopes, op)) {
      return *std::move(answer);
    }
  }
  return fetch_simple(challenge, scopes, op);
}

/// POST of a form. Empty: this token server does not know the method.
std::optional<TokenAnswer> Login::fetch_oauth2(const KnownChallenge::Value& challenge,
                                               const std::vector<std::string>& scopes,
                                               const Operation& op) {
  Secret refresh_token;
  {
    const std::lock_guard lock(mutex_);
    refresh_token = refresh_token_.empty() ? credential(op)->identity_token : refresh_token_;
  }
  const auto form = std::make_shared<const Secret>(
      fmt::format("grant_type=refresh_token&service={}&client_id={}&scope={}&refresh_token={}",
                  percent_encoded(challenge.service), client_id,
                  percent_encoded(fmt::format("{}", fmt::join(scopes, " "))),
                  percent_encoded(refresh_token.reveal())));
  Call call = token_call();
  call.method = "POST";
  call.target = challenge.realm;
  call.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  call.transfer.body_bytes = form->reveal().size();
  call.transfer.body = [form] {
    return std::make_unique<io::MemorySource>(form, io::as_bytes(form->reveal()));
  };
  call.carries_secret = true;
  call.accepted = {200, 404, 405};
  const http::Response response = send_(call, standing(), op);
  if (response.status != 200) {
    return std::nullopt;
  }
  TokenAnswer answer = parse_token_answer(response.body);
  if (!answer.refresh_token.empty()) {
    const std::lock_guard lock(mutex_);
    refresh_token_ = answer.refresh_token;
  }
  return answer;
}

TokenAnswer Login::fetch_simple(const KnownChallenge::Value& challenge,
                                const std::vector<std::string>& scopes, const Operation& op) {
  Call call = token_call();
  call.target = challenge.realm.substr(0, challenge.realm.find('#'));
  char separator = call.target.find('?') == std::string::npos ? '?' : '&';
  const auto add = [&](std::string_view name, std::string_view value) {
    call.target +=
        fmt::format("{}{}={}", std::exchange(separator, '&'), name, percent_encoded(value));
  };
  if (!challenge.service.empty()) {
    add("service", challenge.service);
  }
  for (const std::string& scope : scopes) {
    add("scope", scope);
  }
  const Credential* who = credential(op);
  if (has_password(who)) {
    call.headers = {{"Authorization", basic(who->username, who->password)}};
  } else if (who != nullptr && !who->identity_token.empty()) {
    const std::string user = who->username.empty() ? std::string(token_user) : who->username;
    call.headers = {{"Authorization", basic(user, who->identity_token)}};
  }
  return parse_token_answer(send_(call, standing(), op).body);
}

} // namespace aipack::registry
