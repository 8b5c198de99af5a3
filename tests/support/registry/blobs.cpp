#include "support/registry/api.hpp"

#include <algorithm>
#include <utility>

namespace aipack::test {

Reply Api::blob() {
  const std::string& digest = request_.digest;
  const std::string& method = request_.method;
  if (method != "GET" && method != "HEAD" && method != "DELETE") {
    return method_not_allowed();
  }
  if (!is_digest(digest)) {
    return error_reply(400, "DIGEST_INVALID", "not a digest", digest);
  }
  if (method == "DELETE") {
    return erase_blob();
  }
  if (method == "HEAD" && !dialect_.head_blob) {
    return method_not_allowed();
  }
  if (dialect_.names_unknown_repository && !world_.store.exists(repository_)) {
    return error_reply(404, "NAME_UNKNOWN", "repository name not known to registry", repository_);
  }
  const auto content = world_.store.blob_in(repository_, digest);
  if (!content) {
    return error_reply(404, "BLOB_UNKNOWN", "blob unknown to registry", digest);
  }
  if (method == "GET" || dialect_.redirect_blob_head) {
    if (const auto location = redirect(dialect_.blob_location, dialect_.blob_redirect)) {
      return {.status = dialect_.blob_redirect, .headers = {{"Location", *location}}};
    }
  }
  if (method == "GET" && !content->readable()) {
    return error_reply(404, "BLOB_UNKNOWN", "this registry keeps the sizes of blobs alone", digest);
  }
  Headers headers{{"Content-Type", "application/octet-stream"}};
  if (dialect_.digest_header) {
    headers.emplace_back("Docker-Content-Digest", world_.store.canonical(digest));
  }
  return send_content(content, std::move(headers));
}

/// Whether If-None-Match names what the client would get.
bool Api::unchanged(const std::string& etag) const {
  const auto known = split(request_.header("If-None-Match").value_or(""), ',');
  return std::any_of(known.begin(), known.end(), [&](const std::string& tag) {
    return tag == etag || tag == "*" || tag == "W/" + etag;
  });
}

Reply Api::send_content(const std::shared_ptr<const Content>& content, Headers headers) const {
  Reply reply;
  reply.headers = std::move(headers);
  const std::string etag = "\"" + world_.store.canonical(request_.digest) + "\"";
  if (dialect_.etag) {
    reply.headers.emplace_back("ETag", etag);
    if (unchanged(etag)) {
      reply.status = 304;
      return reply;
    }
  }
  const std::uint64_t size = content->size();
  ByteRange range{ByteRange::Verdict::whole, 0, size};
  if (dialect_.blob_ranges) {
    reply.headers.emplace_back("Accept-Ranges", "bytes");
    const auto condition = request_.header("If-Range");
    if (const auto header = request_.header("Range");
        header && request_.method == "GET" && (!condition || *condition == etag)) {
      range = ByteRange::of(*header, size);
    }
  }
  switch (range.verdict) {
  case ByteRange::Verdict::whole:
    break;
  case ByteRange::Verdict::part:
    reply.status = 206;
    reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                                    std::to_string(range.first + range.length - 1) +
                                                    "/" + std::to_string(size));
    break;
  case ByteRange::Verdict::unsatisfiable:
    reply = error_reply(416, "UNSUPPORTED", "no byte of the blob is in this range");
    reply.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
    if (dialect_.short_416) {
      reply.announced = size;
    }
    return reply;
  }
  reply.content = content;
  reply.offset = range.first;
  reply.length = range.length;
  return reply;
}

Reply Api::erase_blob() {
  if (!dialect_.deletes) {
    return method_not_allowed();
  }
  if (!world_.store.unlink(repository_, request_.digest)) {
    return error_reply(404, "BLOB_UNKNOWN", "blob unknown to registry", request_.digest);
  }
  return {.status = 202, .headers = {{"Docker-Content-Digest", request_.digest}}};
}

} // namespace aipack::test
