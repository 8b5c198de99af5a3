#pragma once

#include "memory.hpp"
#include "session.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace aipack::registry {

// `name` is what messages call the manifest: "r.example/team/model:1".

/// Repository::find().
[[nodiscard]] std::optional<oci::Descriptor> find_manifest(Session& session,
                                                           std::string_view tag_or_digest,
                                                           const std::string& name,
                                                           const Operation& op);
/// Repository::fetch_manifest().
[[nodiscard]] Document fetch_manifest(Session& session, std::string_view tag_or_digest,
                                      const std::string& name, const Operation& op);
[[nodiscard]] Document fetch_manifest(Session& session, const oci::Descriptor& descriptor,
                                      const std::string& name, const Operation& op);
/// Empty when there is no such tag or digest.
[[nodiscard]] std::optional<Document> try_fetch_manifest(Session& session,
                                                         std::string_view tag_or_digest,
                                                         const std::string& name,
                                                         const Operation& op);

/// PUT of exact bytes under a tag or digest; what came back.
[[nodiscard]] http::Response send_manifest(Session& session, const Document& document,
                                           std::string_view tag_or_digest, const std::string& name,
                                           Repeat repeat, const Operation& op);
/// A registry that may just be storing the blob once more (manifests.cpp).
[[nodiscard]] bool means_blob_unknown(const RegistryError& error);

/// Repository::put_manifest(). `repository` is the repository's name for messages.
SubjectReport put_manifest(Session& session, EndpointMemory& memory, const Document& document,
                           std::string_view tag, const oci::Reference& repository,
                           const Operation& op);

/// What a manifest is, from the answer's Content-Type (may be empty) and its own `mediaType`, which
/// must agree. Throws Error{unsupported} for Docker's schema 1, Error{corrupt} for what is none.
[[nodiscard]] std::string manifest_media_type(std::string_view bytes, std::string_view content_type,
                                              const std::string& name);

} // namespace aipack::registry
