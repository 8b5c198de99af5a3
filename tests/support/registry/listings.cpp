#include "support/registry/api.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

namespace aipack::test {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();

/// A page of `all` after `last`; `next` becomes the last item of the page if there is more.
template <class Item, class Name>
std::vector<Item> page_of(const std::vector<Item>& all, const std::optional<std::string>& last,
                          std::uint64_t limit, const Name& name, std::string& next) {
  std::vector<Item> page;
  for (const auto& item : all) {
    if (last && name(item) <= *last) {
      continue;
    }
    if (page.size() == limit) {
      next = page.empty() ? "" : name(page.back());
      break;
    }
    page.push_back(item);
  }
  return page;
}

/// The descriptor of a referrer (distribution-spec, "Listing Referrers").
ordered_json describe(const StoredManifest& manifest, const json& document) {
  ordered_json descriptor = {{"mediaType", manifest.media_type},
                             {"digest", manifest.digest},
                             {"size", manifest.bytes.size()}};
  std::string type = document.value("artifactType", "");
  if (type.empty() && document.contains("config")) {
    type = document["config"].value("mediaType", "");
  }
  if (!type.empty()) {
    descriptor["artifactType"] = type;
  }
  if (document.contains("annotations")) {
    descriptor["annotations"] = document["annotations"];
  }
  return descriptor;
}

} // namespace

Reply Api::tags() {
  if (request_.method != "GET") {
    return method_not_allowed();
  }
  if (!world_.store.exists(repository_)) {
    return error_reply(404, "NAME_UNKNOWN", "repository name not known to registry", repository_);
  }
  std::vector<std::string> all = world_.store.tags(repository_);
  if (dialect_.tags_sorted || dialect_.tags_paging) {
    std::sort(all.begin(), all.end());
  }
  std::uint64_t limit = no_limit;
  std::string next;
  if (dialect_.tags_paging) {
    if (const auto n = target_.find("n")) {
      const auto number = parse_number(*n);
      if (!number || (dialect_.max_tags_n > 0 && *number > dialect_.max_tags_n)) {
        return error_reply(400, "UNSUPPORTED", "n is out of range", *n);
      }
      limit = *number;
    }
    if (dialect_.tags_page > 0) {
      limit = std::min(limit, dialect_.tags_page);
    }
    const auto name = [](const std::string& tag) { return tag; };
    all = page_of(all, target_.find("last"), limit, name, next);
  }
  Reply reply;
  reply.headers = {{"Content-Type", "application/json"}};
  if (!next.empty()) {
    reply.headers.emplace_back("Link", "</v2/" + repository_ +
                                           "/tags/list?n=" + std::to_string(limit) +
                                           "&last=" + percent_encode(next) + ">; rel=\"next\"");
  }
  reply.body = ordered_json{{"name", repository_}, {"tags", all}}.dump();
  return reply;
}

Reply Api::referrers() {
  if (request_.method != "GET") {
    return method_not_allowed();
  }
  if (!dialect_.referrers) {
    return error_reply(dialect_.no_referrers_status, "UNSUPPORTED", "no such endpoint",
                       request_.path);
  }
  if (!is_digest(request_.digest)) {
    return error_reply(400, "DIGEST_INVALID", "not a digest", request_.digest);
  }
  const auto wanted = dialect_.referrers_filter ? target_.find("artifactType") : std::nullopt;
  std::vector<ordered_json> all;
  for (const auto& manifest : world_.store.manifests(repository_)) {
    const json document = json::parse(manifest.bytes, nullptr, false);
    if (!document.is_object() || !document.contains("subject") ||
        document["subject"].value("digest", "") != request_.digest) {
      continue;
    }
    ordered_json descriptor = describe(manifest, document);
    if (!wanted || descriptor.value("artifactType", "") == *wanted) {
      all.push_back(std::move(descriptor));
    }
  }
  std::string next;
  const std::uint64_t limit = dialect_.referrers_page > 0 ? dialect_.referrers_page : no_limit;
  const auto name = [](const ordered_json& item) { return item.value("digest", ""); };
  const auto page = page_of(all, target_.find("last"), limit, name, next);
  Reply reply;
  reply.headers = {{"Content-Type", "application/vnd.oci.image.index.v1+json"}};
  if (wanted) {
    reply.headers.emplace_back("OCI-Filters-Applied", "artifactType");
  }
  if (!next.empty()) {
    std::string query = "?last=" + percent_encode(next);
    if (wanted) {
      query += "&artifactType=" + percent_encode(*wanted);
    }
    reply.headers.emplace_back("Link", "<" + request_.path + query + ">; rel=\"next\"");
  }
  reply.body = ordered_json{
      {"schemaVersion", 2},
      {"mediaType", "application/vnd.oci.image.index.v1+json"},
      {"manifests",
       page}}.dump();
  return reply;
}

} // namespace aipack::test
