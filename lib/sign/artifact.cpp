#include "aipack/sign/artifact.hpp"

#include "aipack/core/error.hpp"
#include "aipack/sign/bundle.hpp"

#include "time_text.hpp"

#include <utility>

namespace aipack::sign {
namespace {

constexpr std::string_view empty_document =
    "{}"; // image-spec 1.1, "Guidance for an Empty Descriptor"

} // namespace

Artifact make_referrer(const oci::Descriptor& subject, std::string_view artifact_type,
                       std::string_view media_type, std::string document,
                       oci::Annotations annotations, std::chrono::sys_seconds created) {
  annotations["org.opencontainers.image.created"] = rfc3339(created);
  oci::Descriptor config{.media_type = std::string(oci::media_type::empty),
                         .digest = oci::Digest::of(empty_document),
                         .size_bytes = empty_document.size(),
                         .artifact_type = std::string(artifact_type)};
  oci::Descriptor layer{.media_type = std::string(media_type),
                        .digest = oci::Digest::of(document),
                        .size_bytes = document.size()};
  oci::Manifest manifest{.artifact_type = std::string(artifact_type),
                         .config = config,
                         .layers = {layer},
                         .subject = oci::Descriptor{.media_type = subject.media_type,
                                                    .digest = subject.digest,
                                                    .size_bytes = subject.size_bytes},
                         .annotations = std::move(annotations)};
  std::vector<Artifact::Blob> blobs;
  blobs.push_back({std::move(config), std::string(empty_document)});
  blobs.push_back({std::move(layer), std::move(document)});
  return {.blobs = std::move(blobs), .manifest = oci::seal(std::move(manifest))};
}

Artifact make_bundle_referrer(const oci::Descriptor& subject, std::string bundle_json,
                              std::chrono::sys_seconds created) {
  const Bundle bundle = parse_bundle(bundle_json, "bundle", BundleRules::model_signing);
  const auto* const envelope = std::get_if<Envelope>(&bundle.content);
  if (envelope == nullptr) {
    throw Error(ErrorCode::invalid_input,
                "cannot attach bundle: it signs bytes of its own, not a statement on the image");
  }
  Statement statement = parse_statement(envelope->payload, "bundle's statement");
  return make_bundle_referrer(subject, std::move(bundle_json), std::move(statement.predicate_type),
                              created);
}

Artifact make_bundle_referrer(const oci::Descriptor& subject, std::string bundle_json,
                              std::string predicate_type, std::chrono::sys_seconds created) {
  return make_referrer(subject, bundle_media_type, bundle_media_type, std::move(bundle_json),
                       {{"dev.sigstore.bundle.content", "dsse-envelope"},
                        {"dev.sigstore.bundle.predicateType", std::move(predicate_type)}},
                       created);
}

} // namespace aipack::sign
