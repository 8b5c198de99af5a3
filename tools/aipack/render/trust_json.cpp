#include "render/json.hpp"

namespace aipack::cli {

namespace {

Json to_json(const sign::Verdict& verdict) {
  Json signatures = Json::array();
  for (const auto& signature : verdict.signatures) {
    signatures.push_back({{"format", sign::to_string(signature.format)},
                          {"digest", signature.digest.to_string()},
                          {"key", signature.key},
                          {"scheme", signature.scheme},
                          {"verified", signature.verified},
                          {"reason", signature.reason}});
  }
  Json attestations = Json::array();
  for (const auto& attestation : verdict.attestations) {
    attestations.push_back({{"predicate_type", attestation.predicate_type},
                            {"format", sign::to_string(attestation.format)},
                            {"digest", attestation.digest.to_string()},
                            {"key", attestation.key},
                            {"scheme", attestation.scheme},
                            {"verified", attestation.verified},
                            {"reason", attestation.reason}});
  }
  return {{"verified", verdict.verified},
          {"reason", verdict.reason},
          {"signatures", std::move(signatures)},
          {"attestations", std::move(attestations)}};
}

} // namespace

Json to_json(const trust::VerifyReport& report, const std::string& reference) {
  Json record = to_json(report.images.front().verdict);
  record["verified"] = report.verified;
  record["reason"] = report.reason;
  record["reference"] = reference;
  record["digest"] = report.root.digest.to_string();
  record["images"] = Json::array();
  for (const auto& image : report.images) {
    Json item = to_json(image.verdict);
    item["digest"] = image.image.digest.to_string();
    item["platform"] =
        image.image.platform ? Json(image.image.platform->to_string()) : Json(nullptr);
    record["images"].push_back(std::move(item));
  }
  return record;
}

Json to_json(const build::RebuildReport& report) {
  Json layers = Json::array();
  const auto digest = [](const std::optional<oci::Digest>& value) {
    return value ? Json(value->to_string()) : Json(nullptr);
  };
  for (const auto& layer : report.layers) {
    layers.push_back({{"platform", layer.platform.to_string()},
                      {"purpose", image::to_string(layer.purpose)},
                      {"title", layer.title},
                      {"expected_diff_id", digest(layer.expected)},
                      {"rebuilt_diff_id", digest(layer.rebuilt)}});
  }
  return {{"verified", report.verified},
          {"reason", report.reason},
          {"digest", report.expected.to_string()},
          {"rebuilt_digest", report.composed ? Json(report.rebuilt.to_string()) : Json(nullptr)},
          {"inputs", report.inputs},
          {"layers", std::move(layers)}};
}

Json to_json(const sign::ModelVerdict& verdict, const std::string& model) {
  return {{"model", model},
          {"verified", verdict.verified},
          {"reason", verdict.reason},
          {"key", verdict.key},
          {"missing", verdict.missing},
          {"changed", verdict.changed},
          {"unsigned_files", verdict.unsigned_files}};
}

} // namespace aipack::cli
