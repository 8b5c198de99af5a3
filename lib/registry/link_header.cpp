#include "link_header.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "header_text.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

/// A token, or a quoted string without its quotes.
std::string take_value(std::string_view& text) {
  std::string value;
  if (text.substr(0, 1) != "\"") {
    const std::size_t end = std::min(text.find_first_of("; ,\t"), text.size());
    value = text.substr(0, end);
    text.remove_prefix(end);
    return value;
  }
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\' && text.size() > 1) {
      text.remove_prefix(1);
    }
    value += text.front();
    text.remove_prefix(1);
  }
  text.remove_prefix(text.empty() ? 0 : 1);
  return value;
}

bool is_next(const Link& link) {
  const std::string relations = lower(link.relation);
  const auto words = split(relations, ' ');
  return std::ranges::find(words, "next") != words.end();
}

} // namespace

std::vector<Link> parse_links(std::string_view text) {
  std::vector<Link> links;
  while (links.size() < max_links) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t,"), text.size()));
    const std::size_t close = text.find('>');
    if (text.substr(0, 1) != "<" || close == std::string_view::npos) {
      break;
    }
    Link link{.target = std::string(trim(text.substr(1, close - 1))), .relation = {}};
    text.remove_prefix(close + 1);
    for (skip_blanks(text); text.substr(0, 1) == ";"; skip_blanks(text)) {
      text.remove_prefix(1);
      skip_blanks(text);
      const std::size_t end = std::min(text.find_first_of("=;, \t"), text.size());
      const std::string name = lower(text.substr(0, end));
      text.remove_prefix(end);
      skip_blanks(text);
      std::string value;
      if (text.substr(0, 1) == "=") {
        text.remove_prefix(1);
        skip_blanks(text);
        value = take_value(text);
      }
      if (name == "rel" && link.relation.empty()) { // "occurrences after the first MUST be ignored"
        link.relation = std::move(value);
      }
    }
    links.push_back(std::move(link));
    if (!text.empty() && text.front() != ',') {
      break;
    }
  }
  return links;
}

Pages::Pages(http::Origin origin, const std::string& first, std::string what, std::size_t max_pages)
    : origin_(std::move(origin)), url_(http::resolve_url(origin_.to_string() + "/", first)),
      what_(std::move(what)), max_pages_(max_pages) {
  seen_.insert(url_);
}

bool Pages::go(std::string url) {
  if (!seen_.insert(url).second) {
    return false;
  }
  if (seen_.size() > max_pages_) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot read {}: it has more than {} pages", what_, max_pages_));
  }
  url_ = std::move(url);
  return true;
}

bool Pages::advance(const http::Response& response) {
  for (const std::string& header : all_headers(response, "link")) {
    for (const Link& link : parse_links(header)) {
      if (!is_next(link)) {
        continue;
      }
      std::string next;
      try {
        next = http::resolve_url(url_, link.target);
      } catch (const Error&) {
        throw Error(ErrorCode::corrupt, fmt::format("cannot read {}: its next page {} is not a URL",
                                                    what_, quoted(redacted_url(link.target))));
      }
      if (http::Origin::try_of(next) != origin_) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("cannot read {}: its next page is at {}, another server", what_,
                                quoted(redacted_url(next))));
      }
      return go(std::move(next));
    }
  }
  return false;
}

} // namespace aipack::registry
