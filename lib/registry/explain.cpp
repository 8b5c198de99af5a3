#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include "explain_body.hpp"
#include "header_text.hpp"
#include "json.hpp"
#include "session.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

using Faults = std::vector<Fault>;

std::string_view reason_of(int status) noexcept {
  switch (status) {
  case 400:
    return "bad request";
  case 401:
    return "unauthorized";
  case 403:
    return "forbidden";
  case 404:
    return "not found";
  case 405:
    return "method not allowed";
  case 408:
    return "request timeout";
  case 409:
    return "conflict";
  case 412:
    return "precondition failed";
  case 413:
    return "content too large";
  case 415:
    return "unsupported media type";
  case 416:
    return "range not satisfiable";
  case 429:
    return "too many requests";
  case 500:
    return "internal server error";
  case 501:
    return "not implemented";
  case 502:
    return "bad gateway";
  case 503:
    return "service unavailable";
  case 504:
    return "gateway timeout";
  case 507:
    return "insufficient storage";
  default:
    return {};
  }
}

bool has_code(const Faults& faults, std::string_view code) {
  return std::ranges::any_of(faults, [&](const Fault& fault) { return fault.code == code; });
}

/// Whether a message or detail speaks of `word` (lower case).
bool mentions(const Faults& faults, std::string_view word) {
  return std::ranges::any_of(faults, [&](const Fault& fault) {
    return lower(fault.code + ' ' + fault.message + ' ' + fault.detail).find(word) !=
           std::string::npos;
  });
}

bool writes(const Call& call) {
  return call.method != "GET" && call.method != "HEAD";
}

bool is_quota(int status, const Faults& faults) {
  return status == 507 || mentions(faults, "quota") || mentions(faults, "exceed the configured");
}

/// What the caller can do next, by the codes of the specification first: registries use 400, 401,
/// 403 and 404 each for several of them.
ErrorCode code_of(int status, const Faults& faults) {
  if (is_quota(status, faults)) {
    return ErrorCode::denied;
  }
  if (mentions(faults, "immutable")) {
    return ErrorCode::already_exists;
  }
  if (has_code(faults, "DIGEST_INVALID") || has_code(faults, "SIZE_INVALID")) {
    return ErrorCode::corrupt;
  }
  if (has_code(faults, "MANIFEST_BLOB_UNKNOWN")) {
    return ErrorCode::not_found;
  }
  switch (status) {
  case 401:
  case 407:
    return ErrorCode::unauthenticated;
  case 402:
  case 403:
  case 412:
  case 451:
    return ErrorCode::denied;
  case 404:
  case 410:
    return ErrorCode::not_found;
  case 405:
  case 406:
  case 411:
  case 413:
  case 414:
  case 415:
  case 501:
    return ErrorCode::unsupported;
  case 400:
  case 422:
    return ErrorCode::invalid_input;
  default:
    return ErrorCode::unavailable;
  }
}

std::string words_of(const Faults& faults) {
  constexpr std::size_t enough = 3;
  std::string text;
  for (const Fault& fault : faults) {
    if (&fault == &faults[0] + enough) {
      return text + "; …";
    }
    text += text.empty() ? ": " : "; ";
    text += fault.code;
    if (!fault.message.empty()) {
      text += (fault.code.empty() ? "\"" : " \"") + fault.message + '"';
    }
    // The message of this one is the same for every blob: which it is stands in the detail.
    if (fault.code == "MANIFEST_BLOB_UNKNOWN" && !fault.detail.empty()) {
      text += " " + fault.detail;
    }
  }
  return text;
}

/// " [request id 'x', 3 tries]"
std::string footnote(const std::string& request_id, unsigned tries) {
  std::string text;
  if (!request_id.empty()) {
    text = fmt::format("request id '{}'", request_id);
  }
  if (tries > 1) {
    text += fmt::format("{}{} tries", text.empty() ? "" : ", ", tries);
  }
  return text.empty() ? text : " [" + text + "]";
}

/// ", and asks to wait until 2026-11-21T12:00:00Z"
std::string waiting_time(int status, const http::Response& response) {
  const auto delay = status == 429 || status == 503 ? http::retry_after(response) : std::nullopt;
  if (!delay) {
    return {};
  }
  const auto until = std::chrono::system_clock::now() + *delay;
  return fmt::format(
      ", and asks to wait until {}",
      oci::rfc3339(
          std::chrono::duration_cast<std::chrono::seconds>(until.time_since_epoch()).count()));
}

std::string login_hint(const Standing& standing) {
  const std::string host = standing.host.empty() ? "HOST" : standing.host;
  if (!standing.logged_in) {
    return fmt::format("log in with `aipack login {}`", host);
  }
  const std::string who = standing.user.empty() ? "these credentials" : quoted(standing.user);
  return fmt::format(
      "check what {} may do at {}, or log in as somebody else with `aipack login {}`", who, host,
      host);
}

std::string hint_of(const Call& call, int status, const Faults& faults, const Standing& standing,
                    bool speaks_json) {
  const std::string host = standing.host.empty() ? "the registry" : standing.host;
  if (is_quota(status, faults)) {
    return fmt::format("free space at {}, or ask its keepers for a larger quota", host);
  }
  if (mentions(faults, "immutable")) {
    return "take another tag: this registry does not let a tag change";
  }
  switch (status) {
  case 401:
    return login_hint(standing);
  case 403:
    return writes(call) && standing.logged_in
               ? fmt::format("ask for the right to push to this repository at {}", host)
               : login_hint(standing);
  case 404:
    if (!speaks_json) {
      return fmt::format("check the name: {} may not be a registry", host);
    }
    if (has_code(faults, "NAME_UNKNOWN") || writes(call)) {
      return standing.logged_in
                 ? "check the name, or create the repository first; registries also answer so to "
                   "those who may not see it"
                 : fmt::format(
                       "check the name, create the repository first, or log in with `aipack "
                       "login {}`: registries also answer so to those who may not see it",
                       host);
    }
    return {};
  case 413:
    return "this registry, or a proxy before it, limits the size of one request: raise the limit "
           "there, or set `upload = \"chunked\"` for it in registries.toml";
  case 429:
    return standing.logged_in ? "try again later"
                              : fmt::format("try again later, or log in with `aipack login {}`: "
                                            "limits are higher then",
                                            host);
  default:
    return status >= 500 ? "try again later" : "";
  }
}

/// "cannot fetch 'URL': CAUSE" of the transport without its first half, which the message has
/// already.
std::string_view cause_of(const Error& error, const std::string& url) {
  const std::string prefix = "cannot fetch " + quoted(redacted_url(url)) + ": ";
  const std::string_view message = error.message();
  return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
}

} // namespace

bool is_worth_repeating(int status) noexcept {
  return http::is_retryable_status(status) || status == 499 || status == 522;
}

RegistryError explain(const Call& call, const http::Response& response, unsigned tries,
                      const Standing& standing) {
  const int status = response.status;
  RegistryError::Answer answer{.method = call.method,
                               .url = redacted_url(response.url),
                               .status = status,
                               .faults = parse_faults(response.body),
                               .request_id = request_id_of(response),
                               .tries = tries};
  const bool web_page = is_web_page(response);
  const std::string_view reason = reason_of(status);
  std::string message = fmt::format(
      "cannot {}: the {} {} {}{} to {} {}{}{}{}{}", call.verb, standing.server,
      status == 401 && standing.logged_in ? "refused the credentials, it answered" : "answered",
      status, reason.empty() ? "" : fmt::format(" ({})", reason), call.method, quoted(answer.url),
      web_page ? " with a web page" : "", words_of(answer.faults), waiting_time(status, response),
      footnote(answer.request_id, tries));
  const bool speaks_json = response.body.empty() || try_parse_answer(response.body).has_value();
  std::string hint = web_page && status < 500 && status != 413 && status != 429
                         ? "a proxy may stand in between, or this is no registry"
                         : hint_of(call, status, answer.faults, standing, speaks_json);
  const ErrorCode code = code_of(status, answer.faults);
  return {code, std::move(message), std::move(answer), std::move(hint)};
}

RegistryError explain_silence(const Call& call, const std::string& url, const Error& cause,
                              unsigned tries) {
  const std::string address = redacted_url(url);
  return {cause.code(),
          fmt::format("cannot {}: no answer to {} {}: {}{}", call.verb, call.method,
                      quoted(address), cause_of(cause, url), footnote({}, tries)),
          {.method = call.method, .url = address, .status = 0, .tries = tries},
          cause.hint()};
}

RegistryError explain_web_page(const Call& call, const http::Response& response) {
  const std::string address = redacted_url(response.url);
  const auto origin = http::Origin::try_of(response.url);
  return {ErrorCode::unavailable,
          fmt::format("cannot {}: the server at {} answered with a web page, not as a registry "
                      "({} to {} {})",
                      call.verb, quoted(origin ? origin->to_string() : address), response.status,
                      call.method, quoted(address)),
          {.method = call.method, .url = address, .status = response.status},
          "check the name; a proxy or a login page of the network may stand in between"};
}

} // namespace aipack::registry
