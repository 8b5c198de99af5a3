#include "aipack/sign/signing.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/sign/bundle.hpp"

#include "encoding.hpp"
#include "pem.hpp"
#include "signing_impl.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace aipack::sign {
namespace {

using Json = nlohmann::ordered_json; // members stay in the order in which they are added

constexpr std::string_view payload_type_text = "cosign container image signature";

/// As cosign writes it: the config of an image that never runs.
Artifact::Blob config_of(const std::vector<oci::Descriptor>& layers) {
  oci::Config config{.created = "0001-01-01T00:00:00Z", .platform = {.os = ""}};
  for (const oci::Descriptor& layer : layers) {
    config.diff_ids.push_back(layer.digest);
  }
  const auto sealed = oci::seal(std::move(config));
  return {sealed.descriptor(), sealed.bytes()};
}

/// True when the layer is such a signature by that key already.
bool is_signed_by(const PublicKey& key, const oci::Descriptor& layer, const oci::Digest& digest,
                  std::string_view payload) {
  const auto signature = layer.annotations.find(std::string(signature_annotation));
  if (layer.media_type != simple_signing_media_type || layer.digest != digest ||
      signature == layer.annotations.end()) {
    return false;
  }
  const auto bytes = try_base64(signature->second);
  return bytes && key.verify_any(payload, *bytes, accepted_schemes(key.type()));
}

oci::Descriptor layer_of(std::string_view payload, const Signatory& signatory) {
  const std::string signature =
      signatory.signer.sign(payload, default_scheme(signatory.signer.public_key().type()));
  oci::Descriptor layer{.media_type = std::string(simple_signing_media_type),
                        .digest = oci::Digest::of(payload),
                        .size_bytes = payload.size()};
  layer.annotations[std::string(signature_annotation)] = base64(signature);
  if (!signatory.certificates.empty()) {
    layer.annotations[std::string(certificate_annotation)] =
        signatory.certificates.front().to_pem();
    std::string chain;
    for (std::size_t at = 1; at < signatory.certificates.size(); ++at) {
      chain += signatory.certificates[at].to_pem();
    }
    layer.annotations[std::string(chain_annotation)] = chain;
  }
  if (const std::string timestamp = timestamp_of(signatory, signature); !timestamp.empty()) {
    Json json = Json::object();
    json["SignedRFC3161Timestamp"] = base64(timestamp);
    layer.annotations[std::string(timestamp_annotation)] = json.dump();
  }
  return layer;
}

} // namespace

void check_signatory(const Signatory& signatory) {
  if (!signatory.certificates.empty() &&
      !(signatory.certificates.front().public_key() == signatory.signer.public_key())) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot sign with certificate {}: it belongs to another key",
                            quoted(signatory.certificates.front().subject())));
  }
}

std::string make_bundle(std::string statement, const Signatory& signatory, Scheme scheme,
                        std::string hint) {
  check_signatory(signatory);
  Bundle bundle;
  if (signatory.certificates.empty()) {
    bundle.material = KeyHint{std::move(hint)};
  } else {
    bundle.material = signatory.certificates;
  }
  Envelope envelope = sign_envelope(std::move(statement), signatory.signer, scheme);
  const std::string timestamp = timestamp_of(signatory, envelope.signatures.front().signature);
  if (!timestamp.empty()) {
    bundle.timestamps.push_back(timestamp);
  }
  bundle.content = std::move(envelope);
  return write(bundle);
}

std::string sign_statement(const Statement& statement, const Signatory& signatory) {
  return sign_payload(write(statement), signatory);
}

std::string sign_payload(std::string statement, const Signatory& signatory) {
  const PublicKey key = signatory.signer.public_key();
  return make_bundle(std::move(statement), signatory, default_scheme(key.type()),
                     key.cosign_hint());
}

std::string sign_image(const oci::Digest& image, const oci::Annotations& annotations,
                       const Signatory& signatory) {
  return sign_statement({.subjects = {Subject::of(image, annotations)},
                         .predicate_type = std::string(predicate_type::signature)},
                        signatory);
}

std::string SimplePayload::to_json() const {
  Json critical = Json::object();
  critical["identity"]["docker-reference"] = reference;
  critical["image"]["docker-manifest-digest"] = image.to_string();
  critical["type"] = payload_type_text;
  Json json = Json::object();
  json["critical"] = std::move(critical);
  // podman wants the member even when it is empty.
  json["optional"] = annotations.empty() ? Json(nullptr) : Json(annotations);
  return dump(json, "signature payload");
}

SimplePayload SimplePayload::parse(std::string_view json, std::string_view name) {
  const nlohmann::json document = parse_json(json, name, max_simple_payload_bytes);
  const JsonField root(document, name);
  root.only({"critical", "optional"});
  const JsonField critical = root.get("critical");
  critical.only({"identity", "image", "type"});
  const JsonField type = critical.get("type");
  if (type.text() != payload_type_text) {
    type.refuse(fmt::format("must be {}", quoted(payload_type_text)));
  }
  const JsonField identity = critical.get("identity");
  identity.only({"docker-reference"});
  const JsonField image = critical.get("image");
  image.only({"docker-manifest-digest"});
  const JsonField digest = image.get("docker-manifest-digest");
  const auto parsed = oci::Digest::try_parse(digest.text());
  if (!parsed) {
    digest.refuse("must be a sha256 digest");
  }
  SimplePayload payload{.reference = identity.get("docker-reference").text(), .image = *parsed};
  if (const auto optional = root.find("optional")) {
    // Others than texts, such as podman's "timestamp", cannot be asked for.
    payload.annotations = optional->texts_among();
  }
  return payload;
}

std::string signature_tag(const oci::Digest& image) {
  return "sha256-" + image.hex() + ".sig";
}

Artifact sign_simple(const oci::Digest& image, const std::vector<std::string>& references,
                     const oci::Annotations& annotations, const Signatory& signatory,
                     const oci::Sealed<oci::Manifest>* existing) {
  check_signatory(signatory);
  const PublicKey key = signatory.signer.public_key();
  oci::Manifest manifest{.config = {.digest = image}};
  if (existing != nullptr) {
    manifest = existing->value();
    const bool is_foreign =
        std::any_of(manifest.layers.begin(), manifest.layers.end(), [](const auto& layer) {
          return layer.media_type != simple_signing_media_type;
        });
    if (is_foreign) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("cannot sign at tag {}: it holds something other than signatures",
                              quoted(signature_tag(image))));
    }
  }
  std::vector<Artifact::Blob> blobs;
  for (const std::string& reference : references) {
    std::string payload =
        SimplePayload{.reference = reference, .image = image, .annotations = annotations}.to_json();
    const auto digest = oci::Digest::of(payload);
    const bool is_signed =
        std::any_of(manifest.layers.begin(), manifest.layers.end(),
                    [&](const auto& layer) { return is_signed_by(key, layer, digest, payload); });
    if (is_signed) {
      continue;
    }
    oci::Descriptor layer = layer_of(payload, signatory);
    blobs.push_back(
        {{.media_type = layer.media_type, .digest = layer.digest, .size_bytes = layer.size_bytes},
         std::move(payload)});
    manifest.layers.push_back(std::move(layer));
  }
  if (manifest.layers.size() > max_simple_signatures) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot sign at tag {}: it would hold more than {} signatures",
                            quoted(signature_tag(image)), max_simple_signatures));
  }
  if (existing != nullptr && blobs.empty()) {
    return {.blobs = {}, .manifest = *existing, .tag = signature_tag(image)};
  }
  Artifact::Blob config = config_of(manifest.layers);
  manifest.config = config.descriptor;
  blobs.insert(blobs.begin(), std::move(config));
  return {.blobs = std::move(blobs),
          .manifest = oci::seal(std::move(manifest)),
          .tag = signature_tag(image)};
}

} // namespace aipack::sign
