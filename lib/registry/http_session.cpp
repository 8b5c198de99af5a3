#include "http_session.hpp"

#include "aipack/core/text.hpp"

#include "explain_body.hpp"
#include "header_text.hpp"
#include "session_target.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

bool is_accepted(const Call& call, int status) {
  return call.accepted.empty() ? status / 100 == 2
                               : std::ranges::find(call.accepted, status) != call.accepted.end();
}

void refuse_web_page(const Call& call, const http::Response& response) {
  if (call.transfer.sink == nullptr && response.status / 100 == 2 && is_web_page(response)) {
    throw explain_web_page(call, response);
  }
}

/// Follows no redirect that check_destination() refuses, and not too many.
void guard_redirects(http::Request& request, const http::Origin& endpoint, const Call& call) {
  request.max_redirects = max_redirects + 1; // so that the error is ours, and final
  request.on_redirect = [&endpoint, &call, count = 0U](const std::string& from,
                                                       const std::string& to) mutable {
    if (++count > max_redirects) {
      const std::string address = redacted_url(from);
      throw RegistryError(ErrorCode::unavailable,
                          fmt::format("cannot {}: more than {} redirects, the last from {}",
                                      call.verb, max_redirects, quoted(address)),
                          {.method = call.method, .url = address});
    }
    check_destination(endpoint, from, to, "redirect", call.verb);
    if (call.carries_secret && !http::same_origin(from, to)) {
      const std::string address = redacted_url(to);
      throw RegistryError(ErrorCode::denied,
                          fmt::format("cannot {}: a redirect would carry credentials to {}",
                                      call.verb, quoted(address)),
                          {.method = call.method, .url = address});
    }
  };
}

} // namespace

void WarningLog::read(const std::string& host, const http::Response& response) {
  if (!tell_) {
    return;
  }
  constexpr std::string_view begin = "299 - \"";
  for (const std::string& header : all_headers(response, "warning")) {
    const std::string_view value = trim(header);
    if (value.size() <= begin.size() + 1 || !value.starts_with(begin) || !value.ends_with('"')) {
      continue;
    }
    const std::string_view words = value.substr(begin.size(), value.size() - begin.size() - 1);
    const std::string text = quoted(host) + " warns: " + printable(words, max_fault_message);
    const std::lock_guard lock(mutex_);
    if (seen_.size() < max_warnings && seen_.insert(text).second) {
      tell_(text);
    }
  }
}

HttpSession::HttpSession(Endpoint endpoint, std::shared_ptr<EndpointState> state,
                         std::shared_ptr<CredentialStore> credentials, Patience patience,
                         std::shared_ptr<WarningLog> warnings)
    : endpoint_(std::move(endpoint)),
      origin_(http::Origin::of(endpoint_.scheme + "://" + endpoint_.host)),
      state_(std::move(state)), patience_(patience), warnings_(std::move(warnings)),
      login_(endpoint_, std::move(credentials), state_->login,
             [this](const Call& call, const Standing& standing, const Operation& op) {
               return send_token_request(call, standing, op);
             }) {}

void HttpSession::expect(const Scope& scope) {
  login_.expect(fmt::format("repository:{}:pull{}{}", scope.repository, scope.push ? ",push" : "",
                            scope.remove ? ",delete" : ""));
}

std::optional<http::Response> HttpSession::perform(const Call& call, const std::string& url,
                                                   const std::string& authorization,
                                                   const Tries& tries, const Operation& op) const {
  http::Request request = call.transfer;
  request.method = call.method;
  request.url = url;
  // Nor by libcurl, which sends a body again when a connection that it had kept ends unanswered.
  request.repeat_body = request.repeat_body && call.repeat != Repeat::never;
  request.headers = call.headers;
  request.stall_timeout = patience_.stall_timeout;
  request.answer_timeout = patience_.answer_timeout;
  if (!authorization.empty()) {
    request.headers.push_back({"Authorization", authorization});
  }
  guard_redirects(request, origin_, call);
  bool delivered = false;
  request.on_head = [&call, &delivered](const http::Response& head) {
    delivered = call.transfer.sink != nullptr || call.transfer.on_head;
    if (call.transfer.on_head) {
      call.transfer.on_head(head);
    }
  };
  try {
    return state_->transport->perform(request, op);
  } catch (const RegistryError&) { // of ours, and final
    throw;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unavailable) {
      throw;
    }
    if (delivered || !tries.may_repeat()) {
      throw explain_silence(call, url, error, tries.count());
    }
    return std::nullopt;
  }
}

/// The URL of a call, which a server may have chosen.
std::string HttpSession::locate(const Call& call) const {
  if (call.target.starts_with('/') && !call.target.starts_with("//")) {
    return origin_.to_string() + call.target;
  }
  if (http::Origin::try_of(call.target) != origin_) {
    check_destination(origin_, {}, call.target, "upload location", call.verb);
  }
  return call.target;
}

http::Response HttpSession::send(const Call& call, const Operation& op) {
  const std::string url = locate(call);
  const bool is_own = http::Origin::try_of(url) == origin_;
  const auto place = call.pace == Pace::own ? Gate::Place::counted : Gate::Place::free;
  Tries tries(patience_, call.repeat);
  for (unsigned renewals = 0;;) {
    const Login::Ticket ticket = is_own ? login_.ticket(op) : Login::Ticket{};
    std::chrono::milliseconds delay{};
    {
      auto pass = state_->gate.enter(place, op);
      auto response = perform(call, url, ticket.authorization, tries, op);
      if (!response) {
        delay = tries.delay_after(nullptr);
      } else {
        warnings_->read(endpoint_.host, *response);
        // A challenge counts only from the endpoint itself: another server must not be able to send
        // its credentials to a token server of its choice.
        const bool from_us = http::Origin::try_of(response->url) == origin_;
        const bool refused = response->status == 401 && from_us;
        if (ticket.token && from_us && !refused) {
          ticket.token->worked = true;
        }
        if (is_accepted(call, response->status)) {
          pass.answered();
          refuse_web_page(call, *response);
          return *std::move(response);
        }
        if (refused && renewals < max_renewals && login_.learn(ticket, *response, call, op)) {
          ++renewals;
          continue;
        }
        delay = tries.delay_after(&*response);
        const bool overloaded = response->status == 429 || response->status == 503;
        if (overloaded) {
          pass.refused(std::exchange(delay, {})); // the gate waits, for everybody
        }
        if (!tries.may_repeat(*response)) {
          throw explain(call, *response, tries.count(), login_.standing());
        }
      }
    }
    tries.next();
    http::wait(delay, op);
  }
}

http::Response HttpSession::send_token_request(const Call& call, Standing standing,
                                               const Operation& op) const {
  standing.server = "token server";
  for (Tries tries(patience_, call.repeat);; tries.next()) {
    const auto response = perform(call, call.target, {}, tries, op);
    if (response && is_accepted(call, response->status)) {
      refuse_web_page(call, *response);
      return *response;
    }
    if (response && !tries.may_repeat(*response)) {
      throw explain(call, *response, tries.count(), standing);
    }
    http::wait(tries.delay_after(response ? &*response : nullptr), op);
  }
}

} // namespace aipack::registry
