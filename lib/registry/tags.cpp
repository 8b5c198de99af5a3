#include "tags.hpp"

#include "aipack/core/text.hpp"

#include "json.hpp"
#include "link_header.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

/// distribution-spec 1.1, "Pulling manifests": [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
bool is_tag(std::string_view text) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !text.empty() && text.size() <= 128 && is_word(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

} // namespace

std::vector<std::string> parse_tags_page(std::string_view body, const std::string& name) {
  const Json json = parse_answer(body, name);
  std::vector<std::string> tags;
  const Json* list = find_member(json, "tags");
  if (list == nullptr || list->is_null()) { // as Go writes an empty list
    return tags;
  }
  if (!list->is_array()) {
    throw FormatError(name, std::nullopt, "its 'tags' are no list");
  }
  for (const Json& entry : *list) {
    if (entry.is_string() && is_tag(entry.get_ref<const std::string&>())) {
      tags.push_back(entry.get<std::string>());
    }
  }
  return tags;
}

std::vector<std::string> list_tags(Session& session, const std::string& name, const Operation& op) {
  const std::string document = fmt::format("list of tags of {}", quoted(name));
  const Endpoint& endpoint = session.endpoint();
  const std::string first =
      fmt::format("{}?n={}", api_path(endpoint.repository, "tags", "list"), tags_per_page);
  Pages pages(http::Origin::of(endpoint.scheme + "://" + endpoint.host), first, document);
  Call call;
  call.verb = "read " + document;
  call.transfer.max_body_bytes = max_tags_page_bytes;
  std::set<std::string> tags;
  for (bool more = true; more;) {
    op.check();
    call.target = pages.url();
    const http::Response response = session.send(call, op);
    std::vector<std::string> page = parse_tags_page(response.body, document);
    const std::size_t page_size = page.size();
    const std::size_t known = tags.size();
    const std::string last = page.empty() ? std::string{} : page.back();
    tags.insert(std::make_move_iterator(page.begin()), std::make_move_iterator(page.end()));
    if (tags.size() > max_tags) {
      throw Error(ErrorCode::corrupt,
                  fmt::format("cannot read {}: it has more than {} tags", document, max_tags));
    }
    more = pages.advance(response);
    // A full page without a link to the next one: some registries expect to be asked with `last`.
    // One that ignores it sends the same again, which is the end.
    if (!more && page_size == tags_per_page && tags.size() > known) {
      more = pages.go(http::resolve_url(pages.url(), first + "&last=" + percent_encoded(last)));
    }
  }
  return {tags.begin(), tags.end()};
}

} // namespace aipack::registry
