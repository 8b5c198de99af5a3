#include "labels.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::build {

namespace {

std::string model_names(const Plan& plan) {
  std::string names;
  for (const auto& model : plan.models) {
    names += (names.empty() ? "" : ", ") + model.name;
  }
  return names;
}

/// SPDX expression of all models that state a licence.
std::string licenses(const Plan& plan) {
  std::vector<std::string> found;
  for (const auto& model : plan.models) {
    if (!model.license.empty() && std::ranges::find(found, model.license) == found.end()) {
      found.push_back(model.license);
    }
  }
  return fmt::format("{}", fmt::join(found, " AND "));
}

/// Facts of the models, the same on every platform. Keys with a dot-separated prefix of ours are
/// listed in the README.
std::map<std::string, std::string> model_facts(const Plan& plan) {
  std::map<std::string, std::string> facts{{"org.opencontainers.image.title", model_names(plan)}};
  if (const auto expression = licenses(plan); !expression.empty()) {
    facts["org.opencontainers.image.licenses"] = expression;
  }
  if (plan.models.size() == 1 && !plan.models.front().description.empty()) {
    facts["org.opencontainers.image.description"] = plan.models.front().description;
  }
  for (const auto& model : plan.models) {
    if (model.digests.front()) {
      facts[fmt::format("dev.aipack.model.{}.digest", model.name)] =
          model.digests.front()->to_string();
    }
    if (!model.producer.empty()) {
      facts[fmt::format("dev.aipack.model.{}.producer", model.name)] = model.producer;
    }
  }
  return facts;
}

std::string package_list(const PlatformReport& report) {
  std::string list;
  for (const auto& choice : report.packages) {
    list += fmt::format("{}{}={}", list.empty() ? "" : " ", choice.package.name,
                        choice.package.version);
  }
  return list;
}

} // namespace

image::ImageSettings image_settings(const Plan& plan, const ImagePlan& image,
                                    const PlatformLayers& platform) {
  const auto& request = plan.request;
  image::ImageSettings settings{
      .platform = image.platform,
      .created = platform.epoch,
      .user = request.user,
      .entrypoint = request.entrypoint.empty() ? image.runtime.entrypoint : request.entrypoint,
      .cmd = request.entrypoint.empty() ? image.runtime.cmd : std::vector<std::string>{},
      .env = image.runtime.env,
      .exposed_ports = image.runtime.exposed_ports};
  settings.env.insert(settings.env.end(), request.env.begin(), request.env.end());

  auto facts = model_facts(plan);
  facts["dev.aipack.runtime"] = image.runtime.name + " " + image.runtime.version;
  settings.annotations = facts;
  settings.annotations["org.opencontainers.image.created"] = oci::rfc3339(platform.epoch);
  facts["dev.aipack.suite"] = image.runtime.suite;
  facts["dev.aipack.packages"] = package_list(platform.report);
  settings.labels = std::move(facts);
  // The user's word wins over ours.
  for (const auto& [key, value] : request.labels) {
    settings.labels[key] = value;
  }
  for (const auto& [key, value] : request.annotations) {
    settings.annotations[key] = value;
  }
  return settings;
}

image::Extension base_extension(const Plan& plan, const ImagePlan& image,
                                const image::StoredImage& base) {
  const auto& request = plan.request;
  image::Extension extension{.layers = {},
                             .created = request.source_date_epoch,
                             .user = {},
                             .entrypoint = {},
                             .env = request.env,
                             .labels = model_facts(plan),
                             .annotations = model_facts(plan)};
  if (!request.user.empty()) {
    extension.user = request.user;
  }
  if (!request.entrypoint.empty()) {
    extension.entrypoint = request.entrypoint;
  }
  // OCI image-spec 1.1, annotations.md, "Pre-Defined Annotation Keys".
  auto& annotations = extension.annotations;
  annotations["org.opencontainers.image.base.digest"] = image.base->manifest.digest.to_string();
  const auto location = image::Location::parse(image.base->reference);
  if (location.reference) {
    annotations["org.opencontainers.image.base.name"] = location.reference->to_string();
  }
  const auto created =
      request.source_date_epoch ? oci::rfc3339(*request.source_date_epoch) : base.config->created;
  if (!created.empty()) {
    annotations["org.opencontainers.image.created"] = created;
  }
  for (const auto& [key, value] : request.labels) {
    extension.labels[key] = value;
  }
  for (const auto& [key, value] : request.annotations) {
    annotations[key] = value;
  }
  return extension;
}

oci::Annotations index_annotations(const Plan& plan, const std::string& created) {
  auto annotations = model_facts(plan);
  if (!created.empty()) {
    annotations["org.opencontainers.image.created"] = created;
  }
  for (const auto& [key, value] : plan.request.annotations) {
    annotations[key] = value;
  }
  return annotations;
}

} // namespace aipack::build
