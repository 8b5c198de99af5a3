#include "explain_body.hpp"

#include "aipack/core/text.hpp"

#include "json.hpp"

#include <algorithm>

namespace aipack::registry {
namespace {

/// Members in which servers other than registries say what is wrong, the most telling first.
constexpr const char* other_members[] = {"error_description", "message", "details", "detail",
                                         "error"};

Fault fault_of(const Json& entry) {
  Fault fault{.code = printable(text_member(entry, "code"), max_fault_code),
              .message = printable(text_member(entry, "message"), max_fault_message),
              .detail = {}};
  if (const Json* detail = find_member(entry, "detail"); detail != nullptr && !detail->is_null()) {
    const std::string text = detail->is_string()
                                 ? detail->get<std::string>()
                                 : detail->dump(-1, ' ', false, Json::error_handler_t::replace);
    fault.detail = printable(text, max_fault_detail);
  }
  return fault;
}

bool begins_like_html(std::string_view text) {
  return trim(text).substr(0, 1) == "<";
}

} // namespace

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string line(trim(text.substr(0, max_bytes)));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  // quoted() knows what a terminal acts on; its own quotes and their escapes are taken off again.
  const std::string safe = quoted(line);
  const std::size_t end = safe.rfind('\'');
  std::string out;
  for (std::size_t at = 1; at < end; ++at) {
    const bool is_escape = safe[at] == '\\' && (safe[at + 1] == '\'' || safe[at + 1] == '\\');
    out += safe[is_escape ? ++at : at];
  }
  if (out.size() > max_bytes) { // escapes are longer than what they stand for
    out.resize(max_bytes);
    while (!is_utf8(out)) {
      out.pop_back();
    }
  }
  return out;
}

std::vector<Fault> parse_faults(std::string_view body) {
  std::vector<Fault> faults;
  const auto json = try_parse_answer(body);
  if (!json) {
    const std::string_view text = trim(body);
    if (!text.empty() && text.front() != '{' && !begins_like_html(text)) {
      const std::string_view line = text.substr(0, text.find('\n'));
      faults.push_back({.code = {}, .message = printable(line, max_fault_message), .detail = {}});
    }
    return faults;
  }
  if (const Json* errors = find_member(*json, "errors"); errors != nullptr && errors->is_array()) {
    for (const Json& entry : *errors) {
      if (faults.size() < max_faults && entry.is_object()) {
        faults.push_back(fault_of(entry));
      }
    }
  }
  for (const char* member : other_members) {
    const std::string text = text_member(*json, member);
    if (faults.empty() && !text.empty()) {
      faults.push_back({.code = {}, .message = printable(text, max_fault_message), .detail = {}});
    }
  }
  return faults;
}

bool is_web_page(const http::Response& response) {
  // Some frameworks call every empty or plain answer text/html: what it begins with decides.
  return begins_like_html(response.body) &&
         response.header("Content-Type").value_or("text/html").find("html") != std::string::npos;
}

std::string request_id_of(const http::Response& response) {
  for (const char* name : {"X-Request-Id", "Docker-Request-Id", "X-Amzn-RequestId",
                           "X-Amz-Request-Id", "X-Ms-Correlation-Request-Id", "X-GitHub-Request-Id",
                           "X-Correlation-Id", "X-Trace-Id", "CF-Ray"}) {
    if (const auto value = response.header(name); value && !trim(*value).empty()) {
      return printable(*value, max_request_id);
    }
  }
  return {};
}

} // namespace aipack::registry
