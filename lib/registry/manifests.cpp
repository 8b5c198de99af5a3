#include "manifests.hpp"

#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include "header_text.hpp"
#include "json.hpp"
#include "referrers.hpp"
#include "repository.hpp"
#include "tags.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::registry {
namespace {

/// Without the OCI types here, registries say 404, or convert to Docker's schema 1.
std::string accepted_types() {
  using namespace oci::media_type;
  return fmt::format("{}, {}, {}, {}", manifest, index, docker_manifest, docker_manifest_list);
}

constexpr std::string_view docker_schema1_prefix =
    "application/vnd.docker.distribution.manifest.v1+";

/// Without parameters and space, in lower case.
std::string essence(std::string_view content_type) {
  return lower(trim(content_type.substr(0, content_type.find(';'))));
}

/// A Content-Type that says nothing about a manifest.
bool is_vague(std::string_view type) {
  return type.empty() || type == "application/json" || type == "application/octet-stream" ||
         type == "binary/octet-stream" || type.starts_with("text/");
}

Error corrupt(const std::string& name, std::string_view why) {
  return Error(ErrorCode::corrupt, fmt::format("cannot read manifest {}: {}", quoted(name), why));
}

Error schema1(const std::string& name) {
  return Error(ErrorCode::unsupported,
               fmt::format("cannot read manifest {}: it is of Docker's schema 1, which was "
                           "withdrawn and cannot be verified",
                           quoted(name)))
      .with_hint("push the image again with a tool of this decade");
}

Call manifest_call(Session& session, std::string_view method, std::string_view tag_or_digest,
                   const std::string& name) {
  Call call;
  call.verb = "read manifest " + quoted(name);
  call.method = method;
  call.target = api_path(session.endpoint().repository, "manifests", tag_or_digest);
  call.headers = {{"Accept", accepted_types()}};
  call.transfer.max_body_bytes = oci::max_manifest_bytes;
  return call;
}

/// The digest that the registry names; empty when it names none that could be compared.
std::optional<oci::Digest> named_digest(const http::Response& response) {
  return oci::Digest::try_parse(trim(response.header("Docker-Content-Digest").value_or("")));
}

/// Artifactory answers 403 for a tag that does not exist. Whoever may list the tags and does not
/// find it there knows that it does not.
bool is_absent_in_truth(Session& session, std::string_view tag_or_digest, const std::string& name,
                        const Operation& op) {
  if (is_digest(tag_or_digest)) {
    return false;
  }
  try {
    const auto tags = list_tags(session, name, op);
    return !std::ranges::binary_search(tags, tag_or_digest);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) {
      throw;
    }
    return false;
  }
}

/// A descriptor from headers alone; empty when they do not say enough.
std::optional<oci::Descriptor> descriptor_of(const http::Response& head,
                                             std::string_view tag_or_digest) {
  const std::string type = essence(head.header("Content-Type").value_or(""));
  const auto size = parse_decimal(head.header("Content-Length").value_or(""));
  const auto asked = oci::Digest::try_parse(tag_or_digest);
  const auto digest = named_digest(head);
  if (!oci::is_manifest(type) && !oci::is_index(type)) {
    return std::nullopt;
  }
  if (!size || *size == 0 || *size > oci::max_manifest_bytes || !digest ||
      (asked && *asked != *digest)) {
    return std::nullopt;
  }
  return oci::Descriptor{.media_type = type, .digest = *digest, .size_bytes = *size};
}

Document verified(const http::Response& response, std::string_view tag_or_digest,
                  const std::string& name) {
  const oci::Digest digest = oci::Digest::of(response.body);
  const auto asked = oci::Digest::try_parse(tag_or_digest);
  if (asked && digest != *asked) {
    throw corrupt(name, fmt::format("the registry sent {} instead", digest.to_string()));
  }
  if (const auto named = named_digest(response); !asked && named && *named != digest) {
    throw corrupt(name, fmt::format("the registry names {}, but sent {}", named->to_string(),
                                    digest.to_string()));
  }
  std::string type =
      manifest_media_type(response.body, response.header("Content-Type").value_or(""), name);
  return {.descriptor = {.media_type = std::move(type),
                         .digest = digest,
                         .size_bytes = response.body.size()},
          .bytes = response.body};
}

} // namespace

std::string manifest_media_type(std::string_view bytes, std::string_view content_type,
                                const std::string& name) {
  const std::string type = essence(content_type);
  if (type.starts_with(docker_schema1_prefix)) {
    throw schema1(name);
  }
  const Json json = parse_answer(bytes, name);
  if (const Json* version = find_member(json, "schemaVersion"); version && *version == 1) {
    throw schema1(name);
  }
  // One document that is read as two kinds is two contents under one digest (CVE-2021-41190).
  if (json.contains("manifests") && (json.contains("layers") || json.contains("config"))) {
    throw corrupt(name, "it claims to be an index and a manifest at once");
  }
  const std::string own = text_member(json, "mediaType");
  if (!own.empty() && !is_vague(type) && own != type) {
    throw corrupt(name, fmt::format("it says that it is {}, the registry says {}", quoted(own),
                                    quoted(type)));
  }
  std::string decided = !own.empty() ? own : type;
  if (is_vague(decided)) { // image-spec 1.1: `mediaType` SHOULD be used, so it may be absent
    decided = json.contains("manifests") ? oci::media_type::index
              : json.contains("config")  ? oci::media_type::manifest
                                         : std::string_view{};
  }
  if (!oci::is_manifest(decided) && !oci::is_index(decided)) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read manifest {}: its media type {} is not that of an image",
                            quoted(name), quoted(decided)));
  }
  if (oci::is_index(decided) == json.contains("config")) {
    throw corrupt(name, fmt::format("its content is not that of {}", quoted(decided)));
  }
  return decided;
}

std::optional<oci::Descriptor> find_manifest(Session& session, std::string_view tag_or_digest,
                                             const std::string& name, const Operation& op) {
  Call call = manifest_call(session, "HEAD", tag_or_digest, name);
  call.accepted = {200, 403, 404, 405, 501};
  const http::Response head = session.send(call, op);
  if (head.status == 404) {
    return std::nullopt;
  }
  if (head.status == 200) {
    if (auto descriptor = descriptor_of(head, tag_or_digest)) {
      return descriptor;
    }
  }
  const auto document = try_fetch_manifest(session, tag_or_digest, name, op);
  return document ? std::optional(document->descriptor) : std::nullopt;
}

std::optional<Document> try_fetch_manifest(Session& session, std::string_view tag_or_digest,
                                           const std::string& name, const Operation& op) {
  try {
    return fetch_manifest(session, tag_or_digest, name, op);
  } catch (const RegistryError& error) {
    if (error.answer().status == 404 ||
        (error.answer().status == 403 && is_absent_in_truth(session, tag_or_digest, name, op))) {
      return std::nullopt;
    }
    throw;
  }
}

Document fetch_manifest(Session& session, std::string_view tag_or_digest, const std::string& name,
                        const Operation& op) {
  Call call = manifest_call(session, "GET", tag_or_digest, name);
  call.accepted = {200};
  return verified(session.send(call, op), tag_or_digest, name);
}

Document fetch_manifest(Session& session, const oci::Descriptor& descriptor,
                        const std::string& name, const Operation& op) {
  if (descriptor.size_bytes > oci::max_manifest_bytes) {
    throw corrupt(name, fmt::format("its descriptor says {} bytes, more than a manifest may have",
                                    descriptor.size_bytes));
  }
  const std::string digest = descriptor.digest.to_string();
  Call call = manifest_call(session, "GET", digest, name);
  call.accepted = {200};
  call.transfer.max_body_bytes = descriptor.size_bytes;
  Document document = verified(session.send(call, op), digest, name);
  if (document.descriptor.size_bytes != descriptor.size_bytes) {
    throw corrupt(name, fmt::format("it has {} bytes, not {} as its descriptor says",
                                    document.descriptor.size_bytes, descriptor.size_bytes));
  }
  if (document.descriptor.media_type != descriptor.media_type) {
    throw corrupt(name, fmt::format("it is {}, not {} as its descriptor says",
                                    quoted(document.descriptor.media_type),
                                    quoted(descriptor.media_type)));
  }
  document.descriptor = descriptor;
  return document;
}

http::Response send_manifest(Session& session, const Document& document,
                             std::string_view tag_or_digest, const std::string& name, Repeat repeat,
                             const Operation& op) {
  Call call;
  call.verb = "push manifest " + quoted(name);
  call.method = "PUT";
  call.target = api_path(session.endpoint().repository, "manifests", tag_or_digest);
  call.headers = {{"Content-Type", document.descriptor.media_type}};
  call.transfer.body_bytes = document.bytes.size();
  call.transfer.body = [&document] {
    return std::make_unique<io::MemorySource>(io::as_bytes(document.bytes));
  };
  call.accepted = {200, 201, 202};
  call.repeat = repeat;
  http::Response response = session.send(call, op);
  if (const auto stored = named_digest(response); stored && *stored != document.descriptor.digest) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot push manifest {}: the registry stored it as {}, not {}",
                            quoted(name), stored->to_string(),
                            document.descriptor.digest.to_string()));
  }
  return response;
}

namespace {

/// docker-registry, given one blob by several clients at once, writes its link anew for each, and
/// who puts a manifest in between hears that it does not know the blob.
http::Response send_known(Session& session, const Document& document, std::string_view target,
                          const std::string& name, const Operation& op) {
  constexpr unsigned most_tries = 4;
  for (unsigned tries = 1;; ++tries) {
    try {
      return send_manifest(session, document, target, name, Repeat::safe, op);
    } catch (const RegistryError& error) {
      if (!means_blob_unknown(error) || tries == most_tries) {
        throw;
      }
    }
    http::wait(std::chrono::milliseconds(50) * (1U << (tries - 1)), op);
  }
}

} // namespace

bool means_blob_unknown(const RegistryError& error) {
  return error.has("MANIFEST_BLOB_UNKNOWN");
}

SubjectReport put_manifest(Session& session, EndpointMemory& memory, const Document& document,
                           std::string_view tag, const oci::Reference& repository,
                           const Operation& op) {
  const std::string digest = document.descriptor.digest.to_string();
  if (oci::Digest::of(document.bytes) != document.descriptor.digest) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot push manifest {}: these are other bytes", quoted(digest)));
  }
  const std::string_view target = tag.empty() ? std::string_view(digest) : tag;
  const std::string name = full_name(repository, target);
  const http::Response response = send_known(session, document, target, name, op);
  return publish_subject(session, memory, document, response, repository, op);
}

} // namespace aipack::registry
