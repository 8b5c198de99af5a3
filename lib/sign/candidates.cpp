#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/sign/bundle.hpp"
#include "aipack/sign/signing.hpp"
#include "aipack/sign/verify.hpp"

#include "notation.hpp"

#include <fmt/format.h>

namespace aipack::sign {
namespace {

constexpr std::string_view envelope_media_type = "application/vnd.dsse.envelope.v1+json";

struct Kind {
  Format format;
  std::uint64_t max_bytes;
};

std::optional<Kind> kind_of(std::string_view media_type) {
  if (media_type == bundle_media_type || media_type == bundle_media_type_alternative) {
    return Kind{Format::bundle, max_bundle_bytes};
  }
  if (media_type == simple_signing_media_type) {
    return Kind{Format::simple_signing, max_simple_payload_bytes};
  }
  if (media_type == envelope_media_type) {
    return Kind{Format::envelope, max_envelope_bytes};
  }
  if (media_type == notation_jws_media_type) {
    return Kind{Format::notation_jws, max_notation_bytes};
  }
  if (media_type == notation_cose_media_type) {
    return Kind{Format::notation_cose, max_notation_bytes};
  }
  return std::nullopt;
}

/// What the manifest as a whole claims to be; the older notation names it in the config.
std::optional<Format> claim_of(const oci::Manifest& manifest) {
  const auto is = [&](std::string_view type) {
    return manifest.artifact_type == type || manifest.config.media_type == type;
  };
  if (is(notation_artifact_type)) {
    return Format::notation_jws;
  }
  if (manifest.artifact_type.starts_with("application/vnd.dev.sigstore.bundle")) {
    return Format::bundle;
  }
  return std::nullopt;
}

/// Fills in the content, or why it is not there.
void fetch_into(Candidate& candidate, const oci::Descriptor& layer, std::uint64_t max_bytes,
                const FetchBlob& fetch) {
  if (layer.size_bytes > max_bytes) {
    candidate.refusal = fmt::format("cannot read {}: its {} bytes are more than {}",
                                    to_string(candidate.format), layer.size_bytes, max_bytes);
    return;
  }
  try {
    candidate.content = fetch(layer);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) {
      throw;
    }
    candidate.refusal = error.message();
    return;
  }
  if (candidate.content.size() != layer.size_bytes ||
      oci::Digest::of(candidate.content) != layer.digest) {
    candidate.content.clear();
    candidate.refusal = fmt::format("cannot read {}: its bytes do not match {}",
                                    to_string(candidate.format), layer.digest.to_string());
  }
}

} // namespace

std::string_view to_string(Format format) noexcept {
  switch (format) {
  case Format::bundle:
    return "bundle";
  case Format::simple_signing:
    return "simple-signing";
  case Format::envelope:
    return "envelope";
  case Format::notation_jws:
    return "notation-jws";
  case Format::notation_cose:
    return "notation-cose";
  }
  return "";
}

std::vector<Candidate> read_candidates(const oci::Sealed<oci::Manifest>& manifest,
                                       const FetchBlob& fetch) {
  const oci::Digest& digest = manifest.descriptor().digest;
  const auto& layers = manifest->layers;
  const auto claim = claim_of(manifest.value());
  std::vector<Candidate> candidates;
  if (claim && layers.size() != 1) {
    candidates.push_back({.format = *claim,
                          .manifest = digest,
                          .refusal = fmt::format("cannot read {}: its manifest has {} layers "
                                                 "instead of one",
                                                 to_string(*claim), layers.size())});
    return candidates;
  }
  for (const oci::Descriptor& layer : layers) {
    const auto kind = kind_of(layer.media_type);
    if (!kind && !claim) {
      continue; // some other artifact
    }
    Candidate candidate{.format = kind ? kind->format : *claim, .manifest = digest};
    if (candidates.size() == max_simple_signatures) {
      candidate.refusal = fmt::format("cannot read the rest: its manifest offers more than {}",
                                      max_simple_signatures);
      candidates.push_back(std::move(candidate));
      break;
    }
    const bool is_notation =
        candidate.format == Format::notation_jws || candidate.format == Format::notation_cose;
    candidate.annotations = is_notation ? manifest->annotations : layer.annotations;
    if (!kind) {
      candidate.refusal = fmt::format("cannot read {}: its layer is of type {}",
                                      to_string(candidate.format), quoted(layer.media_type));
    } else {
      fetch_into(candidate, layer, kind->max_bytes, fetch);
    }
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

} // namespace aipack::sign
