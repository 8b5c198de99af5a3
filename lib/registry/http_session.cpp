#include "http_session.hpp"

#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include "explain_body.hpp"
#include "session_target.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

http::RetryPolicy policy_of(const Patience& patience) {
  return {.attempts = std::max(patience.attempts, 1U),
          .first_delay = patience.first_delay,
          .max_delay = patience.max_delay,
          .max_retry_after = patience.max_retry_after};
}

bool is_accepted(const Call& call, int status) {
  return call.accepted.empty() ? status / 100 == 2
                               : std::ranges::find(call.accepted, status) != call.accepted.end();
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
  };
}

} // namespace

void WarningLog::read(const std::string& host, const http::Response& response) {
  if (!tell_) {
    return;
  }
  for (const http::Header& header : response.headers) {
    constexpr std::string_view prefix = "299 - \"";
    const bool is_warning = header.name.size() == 7 && (header.name[0] | 0x20) == 'w' &&
                            response.header("Warning").has_value() &&
                            header.value.starts_with(prefix) && header.value.ends_with('"');
    if (!is_warning || header.value.size() == prefix.size()) {
      continue;
    }
    std::string text = std::string(std::string_view(header.value).substr(prefix.size()));
    text.pop_back();
    text = quoted(host) + " warns: " + printable(text, max_fault_message);
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

http::Request HttpSession::make_request(const Call& call, const std::string& url,
                                        bool& delivered) const {
  http::Request request;
  request.method = call.method;
  request.url = url;
  request.headers = call.headers;
  request.sink = call.transfer.sink;
  request.max_body_bytes = call.transfer.max_body_bytes;
  request.body = call.transfer.body;
  request.body_bytes = call.transfer.body_bytes;
  request.stall_timeout = patience_.stall_timeout;
  request.answer_timeout = patience_.answer_timeout;
  request.on_head = [&call, &delivered](const http::Response& head) {
    if (call.transfer.sink != nullptr || call.transfer.on_head) {
      delivered = true;
    }
    if (call.transfer.on_head) {
      call.transfer.on_head(head);
    }
  };
  return request;
}

http::Response HttpSession::send(const Call& call, const Operation& op) {
  const std::string url = http::resolve_url(origin_.to_string() + "/", call.target);
  const bool is_own = http::same_origin(url, origin_.to_string());
  if (!is_own) {
    check_destination(origin_, {}, url, "upload location", call.verb);
  }
  const http::RetryPolicy policy = policy_of(patience_);
  unsigned renewals = 0;
  for (unsigned tries = 1;;) {
    const Login::Ticket ticket = is_own ? login_.ticket(op) : Login::Ticket{};
    bool delivered = false;
    http::Request request = make_request(call, url, delivered);
    guard_redirects(request, origin_, call);
    if (!ticket.authorization.empty()) {
      request.headers.push_back({"Authorization", ticket.authorization});
    }
    std::chrono::milliseconds delay{};
    {
      auto pass =
          state_->gate.enter(call.pace == Pace::own ? Gate::Place::counted : Gate::Place::free, op);
      try {
        http::Response response = state_->transport->perform(request, op);
        warnings_->read(endpoint_.host, response);
        const bool from_us = http::same_origin(response.url, origin_.to_string());
        if (from_us && ticket.token && response.status != 401) {
          ticket.token->worked = true;
        }
        if (is_accepted(call, response.status)) {
          pass.answered();
          if (call.transfer.sink == nullptr && response.status / 100 == 2 &&
              is_web_page(response)) {
            throw explain_web_page(call, response);
          }
          return response;
        }
        // A challenge counts only from the endpoint itself: another server must not be able to
        // send its credentials to a token server of its choice.
        if (response.status == 401 && from_us && renewals < max_renewals &&
            login_.learn(ticket, response, call, op)) {
          ++renewals;
          continue;
        }
        delay = http::retry_delay(policy, tries + 1, &response);
        const bool overloaded = response.status == 429 || response.status == 503;
        const bool too_long =
            overloaded && http::retry_after(response) > std::optional(patience_.max_retry_after);
        if (overloaded) {
          pass.refused(too_long ? policy.max_delay : delay);
        }
        if (!is_worth_repeating(response.status) || call.repeat == Repeat::never || too_long ||
            tries >= policy.attempts) {
          throw explain(call, response, tries, login_.standing());
        }
        if (overloaded) {
          delay = {}; // the gate waits, for everybody
        }
      } catch (const RegistryError&) {
        throw;
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unavailable) {
          throw;
        }
        if (delivered || call.repeat == Repeat::never || tries >= policy.attempts) {
          throw explain_silence(call, url, error, tries);
        }
        delay = http::retry_delay(policy, tries + 1);
      }
    }
    ++tries;
    http::wait(delay, op);
  }
}

http::Response HttpSession::send_token_request(const Call& call, Standing standing,
                                               const Operation& op) const {
  standing.server = "token server";
  const http::RetryPolicy policy = policy_of(patience_);
  for (unsigned tries = 1;; ++tries) {
    bool delivered = false;
    http::Request request = make_request(call, call.target, delivered);
    guard_redirects(request, origin_, call);
    if (request.body) { // it holds a secret, which a redirect must not carry along
      request.max_redirects = 0;
    }
    std::chrono::milliseconds delay{};
    try {
      http::Response response = state_->transport->perform(request, op);
      if (is_accepted(call, response.status)) {
        if (is_web_page(response)) {
          throw explain_web_page(call, response);
        }
        return response;
      }
      const bool too_long = http::retry_after(response) > std::optional(patience_.max_retry_after);
      if (!is_worth_repeating(response.status) || too_long || tries >= policy.attempts) {
        throw explain(call, response, tries, standing);
      }
      delay = http::retry_delay(policy, tries + 1, &response);
    } catch (const RegistryError&) {
      throw;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unavailable) {
        throw;
      }
      if (tries >= policy.attempts) {
        throw explain_silence(call, call.target, error, tries);
      }
      delay = http::retry_delay(policy, tries + 1);
    }
    http::wait(delay, op);
  }
}

} // namespace aipack::registry
