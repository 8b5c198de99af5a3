#include "support/registry/api.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace aipack::test {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Layers that a registry need not have (image-spec, "Non-Distributable Layers").
bool is_elsewhere(const json& descriptor) {
  const std::string type = text_of(descriptor, "mediaType");
  return type.find("nondistributable") != std::string::npos ||
         type.find("foreign") != std::string::npos || descriptor.contains("urls");
}

bool is_descriptor(const json& value) {
  return value.is_object() && is_digest(text_of(value, "digest")) && value.contains("size") &&
         value["size"].is_number_unsigned() && value.contains("mediaType") &&
         value["mediaType"].is_string();
}

Reply invalid(const std::string& why) {
  return error_reply(400, "MANIFEST_INVALID", "manifest invalid", why);
}

Reply unknown(int status, const std::string& reference) {
  return status == 404
             ? error_reply(404, "MANIFEST_UNKNOWN", "manifest unknown to registry", reference)
             : error_reply(status, "DENIED", "requested access to the resource is denied",
                           reference);
}

bool accepts(const RegistryRequest& request, const std::string& media_type) {
  for (const auto& [name, value] : request.headers) {
    if (lower(name) != "accept") {
      continue;
    }
    for (const auto& item : split(value, ',')) {
      if (item.substr(0, item.find(';')) == media_type) {
        return true;
      }
    }
  }
  return false;
}

} // namespace

Reply Api::manifest() {
  const std::string& reference = request_.reference;
  const std::string& method = request_.method;
  if (reference.find(':') != std::string::npos && !is_digest(reference)) {
    return error_reply(400, "DIGEST_INVALID", "not a digest", reference);
  }
  if (!is_digest(reference) && !is_tag(reference)) {
    // An impossible tag cannot be there; it can only be refused when it is to be made.
    return method == "PUT" ? error_reply(400, "MANIFEST_INVALID", "invalid tag", reference)
                           : unknown(404, reference);
  }
  if (method == "PUT") {
    return put_manifest();
  }
  if (method == "DELETE") {
    return erase_manifest();
  }
  if (method != "GET" && method != "HEAD") {
    return method_not_allowed();
  }
  const int absent = is_digest(reference) ? 404 : dialect_.absent_tag_status;
  if (dialect_.names_unknown_repository && !world_.store.exists(repository_)) {
    return absent == 404 ? error_reply(404, "NAME_UNKNOWN", "repository name not known to registry",
                                       repository_)
                         : unknown(absent, reference);
  }
  auto found = world_.store.manifest(repository_, reference);
  if (!found || (dialect_.needs_accept && !accepts(request_, found->media_type))) {
    return unknown(found ? 404 : absent, reference);
  }
  if (!dialect_.manifest_location.empty() && method == "GET") {
    if (const auto location = redirect(dialect_.manifest_location, 307)) {
      return {.status = 307, .headers = {{"Location", *location}}};
    }
  }
  Reply reply;
  reply.headers = {{"Content-Type", found->media_type}};
  if (dialect_.digest_header) {
    reply.headers.emplace_back("Docker-Content-Digest", found->digest);
  }
  if (dialect_.etag) {
    const std::string etag = "\"" + found->digest + "\"";
    reply.headers.emplace_back("ETag", etag);
    if (unchanged(etag)) {
      reply.status = 304;
      return reply;
    }
  }
  reply.body = std::move(found->bytes);
  return reply;
}

/// What a registry looks at in a manifest; `subject` becomes the digest that it refers to.
std::optional<Reply> Api::check_manifest(const std::string& bytes, const std::string& media_type,
                                         std::string& subject) const {
  const json document = json::parse(bytes, nullptr, false);
  if (!document.is_object()) {
    return invalid("not a JSON object");
  }
  if (document.value("schemaVersion", json()) != 2) {
    return invalid("schemaVersion is not 2");
  }
  if (document.contains("mediaType") && text_of(document, "mediaType") != media_type) {
    return invalid("mediaType and Content-Type disagree");
  }
  const auto list = [&](const char* key) -> std::vector<json> {
    const auto found = document.find(key);
    return found != document.end() && found->is_array() ? found->get<std::vector<json>>()
                                                        : std::vector<json>{};
  };
  std::vector<json> blobs = list("layers");
  if (document.contains("config")) {
    blobs.push_back(document["config"]);
    const std::string type = text_of(document["config"], "mediaType");
    const auto& known = dialect_.config_types;
    if (!known.empty() && std::find(known.begin(), known.end(), type) == known.end()) {
      return invalid("unknown config media type '" + type + "'");
    }
  }
  const std::vector<json> children = list("manifests");
  std::vector<json> all = blobs;
  all.insert(all.end(), children.begin(), children.end());
  if (document.contains("subject")) {
    all.push_back(document["subject"]);
    subject = is_descriptor(all.back()) ? text_of(all.back(), "digest") : "";
  }
  if (!std::all_of(all.begin(), all.end(), is_descriptor)) {
    return invalid("a descriptor lacks its mediaType, digest or size");
  }
  for (const auto& blob : dialect_.verifies_blobs ? blobs : std::vector<json>{}) {
    const std::string digest = text_of(blob, "digest");
    const auto content = world_.store.blob_in(repository_, digest);
    if (!content && !is_elsewhere(blob)) {
      return error_reply(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", digest);
    }
    if (dialect_.verifies_sizes && content &&
        content->size() != blob["size"].get<std::uint64_t>()) {
      return error_reply(400, "SIZE_INVALID", "the size of a descriptor is not the blob's", digest);
    }
  }
  for (const auto& child : dialect_.verifies_children ? children : std::vector<json>{}) {
    const std::string digest = text_of(child, "digest");
    const auto manifest = world_.store.manifest(repository_, digest);
    if (!manifest) {
      return error_reply(dialect_.missing_child_status, "MANIFEST_BLOB_UNKNOWN",
                         "manifest unknown to registry", digest);
    }
    if (dialect_.verifies_sizes && manifest->bytes.size() != child["size"].get<std::uint64_t>()) {
      return error_reply(400, "SIZE_INVALID", "the size of a descriptor is not the manifest's",
                         digest);
    }
  }
  return std::nullopt;
}

Reply Api::put_manifest() {
  const std::string& reference = request_.reference;
  if (!dialect_.creates_repositories && !world_.store.exists(repository_)) {
    return error_reply(404, "NAME_UNKNOWN", "repository name not known to registry", repository_);
  }
  const auto too_large = [&] {
    return error_reply(dialect_.max_manifest_status, "MANIFEST_INVALID",
                       "the manifest is larger than this registry takes");
  };
  if (connection_.announced().value_or(0) > dialect_.max_manifest) {
    return too_large();
  }
  const auto bytes = connection_.read_all(dialect_.max_manifest);
  if (!bytes) {
    return too_large();
  }
  const std::string type = request_.header("Content-Type").value_or("");
  const std::string media_type = type.substr(0, type.find(';'));
  if (media_type.empty()) {
    return invalid("Content-Type is missing");
  }
  const std::string algorithm = is_digest(reference) ? reference.substr(0, 6) : "sha256";
  if (algorithm == "sha512" && dialect_.sha512 != RegistryDialect::Sha512::supported) {
    return error_reply(400, "DIGEST_INVALID", "unsupported digest algorithm", algorithm);
  }
  const std::string digest = Hasher::of(algorithm, *bytes);
  if (is_digest(reference) && reference != digest) {
    return error_reply(400, "DIGEST_INVALID", "provided digest did not match uploaded content",
                       reference);
  }
  std::string subject;
  if (auto refused = check_manifest(*bytes, media_type, subject)) {
    return std::move(*refused);
  }
  std::vector<std::string> tags;
  if (!is_digest(reference)) {
    tags.push_back(reference);
  } else if (dialect_.tag_params) {
    tags = target_.all("tag");
  }
  for (const auto& tag : tags) {
    if (!is_tag(tag)) {
      return error_reply(400, "MANIFEST_INVALID", "invalid tag", tag);
    }
    const auto old = world_.store.manifest(repository_, tag);
    if (dialect_.immutable_tags && old && old->digest != digest) {
      return error_reply(400, "TAG_INVALID", "the tag exists and cannot be moved", tag);
    }
  }
  world_.store.put_manifest(repository_, {digest, media_type, *bytes});
  Reply reply;
  reply.status = 201;
  reply.headers = {{"Location", own_base() + "/v2/" + repository_ + "/manifests/" + digest}};
  if (dialect_.digest_header) {
    reply.headers.emplace_back("Docker-Content-Digest", digest);
  }
  for (const auto& tag : tags) {
    world_.store.tag(repository_, tag, digest);
    if (is_digest(reference)) {
      reply.headers.emplace_back("OCI-Tag", tag);
    }
  }
  if (!subject.empty() && dialect_.referrers) {
    reply.headers.emplace_back("OCI-Subject", subject);
  }
  return reply;
}

Reply Api::erase_manifest() {
  if (!dialect_.deletes) {
    return method_not_allowed();
  }
  if (dialect_.tag_delete_status != 0 && !is_digest(request_.reference)) {
    return error_reply(dialect_.tag_delete_status, "UNSUPPORTED", "a tag cannot be deleted");
  }
  if (!world_.store.erase_manifest(repository_, request_.reference)) {
    return unknown(404, request_.reference);
  }
  return {.status = 202};
}

} // namespace aipack::test
