#include "provenance.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/core/version.hpp"
#include "aipack/image/location.hpp"
#include "aipack/sbom/sbom.hpp"

#include "json_reader.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::build {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* builder_id = "https://aipack.dev/builder";

constexpr std::array local_kinds{std::string_view("oci:"), std::string_view("oci-archive:"),
                                 std::string_view("docker-archive:")};

/// A local base image's location without its path.
std::string published_base(const std::string& base) {
  const auto kind = std::ranges::find_if(
      local_kinds, [&](std::string_view prefix) { return base.starts_with(prefix); });
  return kind == local_kinds.end() ? base : std::string(*kind);
}

Plan published(Plan plan) {
  plan.request.base = published_base(plan.request.base);
  for (auto& image : plan.images) {
    if (image.base) {
      image.base->reference = published_base(image.base->reference);
    }
  }
  return plan;
}

// The user's files in externalParameters:
//   [{"target": "/opt/own", "entries": [{"path": "/opt/own", "type": "directory"},
//     {"path": "/opt/own/run", "type": "file", "mode": "0755", "digest": "sha256:…"},
//     {"path": "/opt/own/link", "type": "link", "to": "run"}]}]

std::string mode_text(std::uint32_t mode) {
  return fmt::format("{:04o}", mode);
}

Json to_json(const PlannedFile& file) {
  Json json{{"path", file.path.to_string()}};
  switch (file.type) {
  case fs::FileType::directory:
    json["type"] = "directory";
    return json;
  case fs::FileType::symlink:
    json["type"] = "link";
    json["to"] = file.link_target;
    return json;
  case fs::FileType::regular:
  case fs::FileType::hard_link:
    break;
  }
  json["type"] = "file";
  json["mode"] = mode_text(file.mode);
  json["digest"] = file.digest.value().to_string();
  return json;
}

/// The request beside what the lock pins. Where the user's files lay is nobody's business: their
/// places in the image and their digests are.
Json external_parameters(const Plan& plan) {
  const auto& request = plan.request;
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
  Json files = Json::array();
  for (const auto& mapping : plan.files) {
    Json entries = Json::array();
    for (const auto& file : mapping.entries) {
      entries.push_back(to_json(file));
    }
    files.push_back({{"target", mapping.target.to_string()}, {"entries", std::move(entries)}});
  }
  list("files", files);
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

bool needs_layers(const Plan& plan) {
  return !std::ranges::all_of(plan.models, is_digested);
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

Json resolved_dependencies(const Plan& plan, const std::vector<image::Layer>& layers) {
  Dependencies dependencies;
  for (const auto& model : plan.models) {
    for (std::size_t i = 0; i < model.files.size(); ++i) {
      if (model.digests[i]) {
        dependencies.add(fmt::format("model {}: {}", model.name, model.files[i].path), {},
                         *model.digests[i]);
      }
    }
  }
  if (needs_layers(plan)) {
    for (const auto& layer : layers) {
      dependencies.add("layer of models: " + layer.title, {}, layer.diff_id);
    }
  }
  for (const auto& mapping : plan.files) {
    for (const auto& file : mapping.entries) {
      if (file.digest) {
        dependencies.add("file " + file.path.to_string(), {}, *file.digest);
      }
    }
  }
  for (const auto& image : plan.images) {
    if (image.base) {
      const bool is_local = is_local_base(image.base->reference);
      const auto uri = [&] {
        const auto reference = image::Location::parse(image.base->reference).reference.value();
        return "docker://" + reference.with_digest(image.base->manifest.digest).to_string();
      };
      dependencies.add(is_local ? "base image" : image.base->reference,
                       is_local ? std::string() : uri(), image.base->manifest.digest);
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
  return request;
}

fs::RootPath read_path(const JsonReader& json, const char* key) {
  const auto path = fs::RootPath::try_parse(json.text(key));
  if (!path) {
    json.fail(fmt::format("{} is no path in an image", quoted(json.text(key))));
  }
  return *path;
}

PlannedFile read_file(const JsonReader& json, const fs::RootPath& target) {
  PlannedFile file{.path = read_path(json, "path")};
  const auto fail = [&](std::string_view cause) {
    json.fail(fmt::format("file {}: {}", quoted(file.path.to_string()), cause));
  };
  if (!file.path.is_within(target)) {
    fail("it is not within its target");
  }
  const auto type = json.text("type");
  if (type == "directory") {
    file.type = fs::FileType::directory;
  } else if (type == "link") {
    file.type = fs::FileType::symlink;
    file.link_target = json.text("to");
    // The rule of user_files.cpp: nothing on this machine may be reached through a link.
    if (file.path == target || file.link_target.empty() || file.link_target.front() == '/' ||
        !file.path.resolve_link(file.link_target).is_within(target)) {
      fail("it is a link out of its target");
    }
  } else if (type == "file") {
    const auto mode = json.text("mode");
    file.mode = mode == mode_text(0755) ? 0755 : 0644;
    if (mode != mode_text(file.mode)) {
      fail(fmt::format("aipack gives no file the mode {}", quoted(mode)));
    }
    file.digest = json.digest("digest");
  } else {
    fail(fmt::format("{} is no type of a file", quoted(type)));
  }
  return file;
}

/// What is not the target itself stands in a folder of the same list.
void check_tree(const JsonReader& json, const PlannedFiles& files) {
  std::map<fs::RootPath, fs::FileType> types;
  for (const auto& file : files.entries) {
    if (!types.emplace(file.path, file.type).second) {
      json.fail(fmt::format("file {} occurs twice", quoted(file.path.to_string())));
    }
  }
  for (const auto& file : files.entries) {
    const auto folder = types.find(file.path.parent());
    if (file.path != files.target &&
        (folder == types.end() || folder->second != fs::FileType::directory)) {
      json.fail(fmt::format("file {} is in no folder", quoted(file.path.to_string())));
    }
  }
}

std::vector<PlannedFiles> files_from(const JsonReader& json) {
  std::vector<PlannedFiles> result;
  if (!json.has("files")) {
    return result;
  }
  std::uint64_t count = 0;
  json.each("files", [&](const JsonReader& mapping) {
    PlannedFiles files{.target = read_path(mapping, "target"), .entries = {}};
    mapping.each("entries", [&](const JsonReader& entry) {
      if (++count > max_user_files) {
        entry.fail(fmt::format("it names more than {} files", max_user_files));
      }
      files.entries.push_back(read_file(entry, files.target));
    });
    if (files.entries.empty()) {
      mapping.fail("no file is given for a target");
    }
    check_tree(mapping, files);
    result.push_back(std::move(files));
  });
  return result;
}

} // namespace

bool is_digested(const PlannedModel& model) noexcept {
  return std::ranges::all_of(model.digests, [](const auto& digest) { return digest.has_value(); });
}

std::string write_provenance(const Plan& with_paths, const std::vector<image::Layer>& layers) {
  const auto plan = published(with_paths);
  Json predicate = Json::object();
  auto& definition = predicate["buildDefinition"];
  definition["buildType"] = provenance_build_type;
  definition["externalParameters"] = external_parameters(plan);
  auto& internal = definition["internalParameters"];
  internal["codec"] = codec::codec_version(plan.request.compression.codec);
  if (plan.request.model_compression.codec != codec::Codec::none) {
    internal["models_codec"] = codec::codec_version(plan.request.model_compression.codec);
  }
  if (needs_layers(plan)) {
    for (const auto& layer : layers) {
      internal["model_layers"].push_back(layer.diff_id.to_string());
    }
  }
  internal["lock"] = Json::parse(write_lock(plan));
  definition["resolvedDependencies"] = resolved_dependencies(plan, layers);
  predicate["runDetails"]["builder"] = {{"id", builder_id},
                                        {"version", {{"aipack", std::string(version())}}}};
  return predicate.dump();
}

bool is_own_provenance(std::string_view predicate) {
  constexpr std::string_view name = "provenance";
  try {
    const auto root = JsonReader::parse(predicate, name);
    return JsonReader(root, name).at("buildDefinition").text("buildType") == provenance_build_type;
  } catch (const FormatError&) {
    return false;
  }
}

bool is_local_base(std::string_view base) noexcept {
  return std::ranges::any_of(local_kinds,
                             [&](std::string_view kind) { return base.starts_with(kind); });
}

void set_base(Provenance& provenance, const std::string& base) {
  auto lock = JsonReader::parse(provenance.lock, "the lock");
  for (auto& image : lock.at("images")) {
    if (image.contains("base")) {
      image["base"]["reference"] = base;
    }
  }
  provenance.lock = lock.dump();
  provenance.request.base = base;
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
  const auto external = definition.at("externalParameters");
  std::vector<oci::Digest> layers;
  for (const auto& text : internal.texts_or_none("model_layers")) {
    const auto digest = oci::Digest::try_parse(text);
    if (!digest) {
      internal.fail(fmt::format("{} is no digest of a layer", quoted(text)));
    }
    layers.push_back(*digest);
  }
  return {.request = request_from(external),
          .files = files_from(external),
          .lock = internal.dump("lock"),
          .codec = internal.text("codec"),
          .models_codec = internal.text_or_empty("models_codec"),
          .model_layers = std::move(layers)};
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
