#include "provenance.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/core/version.hpp"
#include "aipack/image/location.hpp"
#include "aipack/sbom/sbom.hpp"

#include "json_reader.hpp"

#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::build {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* builder_id = "https://aipack.dev/builder";

/// The request beside what the lock pins. Names only: where the user's files lay is nobody's
/// business, and the image has them.
Json external_parameters(const BuildRequest& request) {
  Json json = Json::object();
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) {
      json[key] = value;
    }
  };
  const auto list = [&](const char* key, const auto& value) {
    if (!value.empty()) {
      json[key] = value;
    }
  };
  Json platforms = Json::array();
  for (const auto& platform : request.platforms) {
    platforms.push_back(platform.to_string());
  }
  json["platforms"] = std::move(platforms);
  if (request.every_platform) {
    json["every_platform"] = true;
  }
  text("base", request.base);
  text("runtime", request.runtime);
  text("suite", request.suite);
  text("user", request.user);
  json["compress"] = request.compression.to_string();
  if (request.model_compression.codec != codec::Codec::none) {
    json["compress_models"] = request.model_compression.to_string();
  }
  if (request.source_date_epoch) {
    json["source_date_epoch"] = *request.source_date_epoch;
  }
  list("packages", request.packages);
  list("entrypoint", request.entrypoint);
  list("env", request.env);
  list("labels", request.labels);
  list("annotations", request.annotations);
  list("allowed_findings", request.allowed_findings);
  list("waived_scripts", request.waived_scripts);
  std::vector<std::string> targets;
  for (const auto& mapping : request.files) {
    targets.push_back(mapping.target.to_string());
  }
  list("files", targets);
  return json;
}

/// in-toto's ResourceDescriptor. Source: in-toto attestation framework,
/// spec/v1/resource_descriptor.md.
Json resource(const std::string& name, const std::string& uri, const oci::Digest& digest) {
  Json json = Json::object();
  json["name"] = name;
  if (!uri.empty()) {
    json["uri"] = uri;
  }
  json["digest"] = {{"sha256", digest.hex()}};
  return json;
}

/// Each input once, whichever platforms share it.
class Dependencies {
public:
  void add(const std::string& name, const std::string& uri, const oci::Digest& digest) {
    if (seen_.emplace(name, digest).second) {
      list_.push_back(resource(name, uri, digest));
    }
  }
  [[nodiscard]] Json take() { return std::move(list_); }

private:
  std::set<std::pair<std::string, oci::Digest>> seen_;
  Json list_ = Json::array();
};

Json resolved_dependencies(const Plan& plan) {
  Dependencies dependencies;
  for (const auto& model : plan.models) {
    for (std::size_t i = 0; i < model.files.size(); ++i) {
      if (model.digests[i]) {
        dependencies.add(fmt::format("model {}: {}", model.name, model.files[i].path), {},
                         *model.digests[i]);
      }
    }
  }
  for (const auto& image : plan.images) {
    if (image.base) {
      const auto location = image::Location::parse(image.base->reference);
      dependencies.add(
          image.base->reference,
          location.reference
              ? "docker://" +
                    location.reference->with_digest(image.base->manifest.digest).to_string()
              : std::string(),
          image.base->manifest.digest);
    }
    for (const auto& release : image.releases) {
      dependencies.add(release.suite + " InRelease", {}, release.digest);
    }
    for (const auto& index : image.indexes) {
      dependencies.add(index.suite + " " + index.path, {}, index.digest);
    }
    for (const auto& choice : image.choices) {
      const auto& package = choice.package;
      dependencies.add(fmt::format("{}_{}_{}", package.name, package.version, package.architecture),
                       sbom::package_url(package.name, package.version, package.architecture,
                                         package.source_suite),
                       package.digest);
    }
    if (image.server_digest) {
      dependencies.add(image.runtime.server, {}, *image.server_digest);
    }
  }
  return dependencies.take();
}

Json model_descriptors(const Plan& plan) {
  Json list = Json::array();
  for (const auto& model : plan.models) {
    if (model.digests.front()) {
      list.push_back(resource(model.name, {}, *model.digests.front()));
    } else {
      list.push_back({{"name", model.name},
                      {"annotations", {{"size_bytes", model.files.front().size_bytes}}}});
    }
  }
  return list;
}

BuildRequest request_from(const JsonReader& json) {
  BuildRequest request;
  for (const auto& platform : json.texts("platforms")) {
    request.platforms.push_back(oci::Platform::parse(platform));
  }
  request.every_platform = json.flag_or_false("every_platform");
  request.base = json.text_or_empty("base");
  request.runtime = json.text_or_empty("runtime");
  request.suite = json.text_or_empty("suite");
  request.user = json.text_or_empty("user");
  request.compression = codec::Compression::parse(json.text("compress"));
  if (json.has("compress_models")) {
    request.model_compression = codec::Compression::parse(json.text("compress_models"));
  }
  if (json.has("source_date_epoch")) {
    request.source_date_epoch = json.time("source_date_epoch");
  }
  request.packages = json.texts_or_none("packages");
  request.entrypoint = json.texts_or_none("entrypoint");
  request.env = json.texts_or_none("env");
  request.labels = json.map_or_none("labels");
  request.annotations = json.map_or_none("annotations");
  request.allowed_findings = json.texts_or_none("allowed_findings");
  request.waived_scripts = json.texts_or_none("waived_scripts");
  for (const auto& target : json.texts_or_none("files")) {
    request.files.push_back({{}, fs::RootPath::parse(target)});
  }
  return request;
}

} // namespace

std::string write_provenance(const Plan& plan) {
  Json predicate = Json::object();
  auto& definition = predicate["buildDefinition"];
  definition["buildType"] = provenance_build_type;
  definition["externalParameters"] = external_parameters(plan.request);
  definition["internalParameters"] = {
      {"codec", codec::codec_version(plan.request.compression.codec)},
      {"lock", Json::parse(write_lock(plan))}};
  definition["resolvedDependencies"] = resolved_dependencies(plan);
  predicate["runDetails"]["builder"] = {{"id", builder_id},
                                        {"version", {{"aipack", std::string(version())}}}};
  return predicate.dump();
}

Provenance read_provenance(std::string_view predicate, std::string_view name) {
  const auto root = JsonReader::parse(predicate, name);
  const JsonReader reader(root, name);
  const auto definition = reader.at("buildDefinition");
  if (const auto type = definition.text("buildType"); type != provenance_build_type) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot repeat the build of {}: it is of the type {}", quoted(name),
                            quoted(type)))
        .with_hint("only builds by aipack can be repeated by it");
  }
  const auto internal = definition.at("internalParameters");
  return {.request = request_from(definition.at("externalParameters")),
          .lock = internal.dump("lock"),
          .codec = internal.text("codec")};
}

std::string write_findings(const Plan& plan) {
  Json warned = Json::array();
  Json passed = Json::array();
  for (const auto& model : plan.models) {
    const auto before = warned.size();
    for (const auto& finding : model.findings) {
      if (finding.severity != model::Severity::info) {
        warned.push_back(fmt::format("{}: {}: {}{}", model.name, finding.rule, finding.message,
                                     finding.location.empty() ? "" : " at " + finding.location));
      }
    }
    if (warned.size() == before) {
      passed.push_back(model.name);
    }
  }
  Json predicate = Json::object();
  predicate["result"] = warned.empty() ? "PASSED" : "WARNED";
  predicate["configuration"] = model_descriptors(plan);
  predicate["passedTests"] = std::move(passed);
  predicate["warnedTests"] = std::move(warned);
  predicate["failedTests"] = Json::array();
  return predicate.dump();
}

} // namespace aipack::build
