#include "aipack/build/plan.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "json_reader.hpp"
#include "planner.hpp"
#include "runtime_json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::build {

namespace {

using Json = nlohmann::ordered_json;

/// The part of a package's URL that every mirror shares: "pool/main/…".
std::string pool_path(const deb::Package& package) {
  const auto at = package.url.find("/pool/");
  return at == std::string::npos ? package.url : package.url.substr(at + 1);
}

bool is_security(std::string_view suite) {
  return suite.ends_with("-security");
}

Json to_json(const solve::Choice& choice) {
  const auto& package = choice.package;
  Json json{{"name", package.name},
            {"version", package.version},
            {"architecture", package.architecture},
            {"suite", package.source_suite},
            {"path", pool_path(package)},
            {"digest", package.digest.to_string()},
            {"size_bytes", package.size_bytes},
            {"installed_bytes", package.installed_bytes},
            {"section", package.section}};
  if (!choice.required_by.empty()) {
    json["required_by"] = choice.required_by;
  }
  json["relation"] = choice.relation;
  return json;
}

Json to_json(const ImagePlan& image) {
  if (image.base) {
    const auto& manifest = image.base->manifest;
    return {{"platform", image.platform.to_string()},
            {"base",
             {{"reference", image.base->reference},
              {"media_type", manifest.media_type},
              {"digest", manifest.digest.to_string()},
              {"size_bytes", manifest.size_bytes}}}};
  }
  Json json{{"platform", image.platform.to_string()}, {"runtime", runtime_to_json(image.runtime)}};
  if (image.server_digest) {
    json["server_digest"] = image.server_digest->to_string();
  }
  json["releases"] = Json::array();
  for (const auto& release : image.releases) {
    json["releases"].push_back({{"suite", release.suite},
                                {"version", release.version},
                                {"date", release.date},
                                {"in_release_digest", release.digest.to_string()}});
  }
  json["indexes"] = Json::array();
  for (const auto& index : image.indexes) {
    json["indexes"].push_back({{"suite", index.suite},
                               {"path", index.path},
                               {"digest", index.digest.to_string()},
                               {"size_bytes", index.size_bytes}});
  }
  json["packages"] = Json::array();
  for (const auto& choice : image.choices) {
    json["packages"].push_back(to_json(choice));
  }
  json["assumed_installed"] = Json::array();
  for (const auto& [name, requirer] : image.assumed) {
    json["assumed_installed"].push_back({{"name", name}, {"required_by", requirer}});
  }
  json["requested"] = image.requested;
  if (!image.skipped.empty()) {
    json["skipped"] = image.skipped;
  }
  return json;
}

solve::Choice read_choice(const JsonReader& json, const deb::Mirrors& mirrors) {
  solve::Choice choice{.package = {.name = json.text("name"),
                                   .version = json.text("version"),
                                   .architecture = json.text("architecture"),
                                   .source_suite = json.text("suite"),
                                   .url = {},
                                   .digest = json.digest("digest"),
                                   .size_bytes = json.number("size_bytes"),
                                   .installed_bytes = json.number("installed_bytes"),
                                   .section = json.text("section")},
                       .required_by = json.text_or_empty("required_by"),
                       .relation = json.text("relation")};
  const auto path = json.text("path");
  // The path becomes part of a URL: it must stay below the mirror.
  if (!path.starts_with("pool/") || path.find("..") != std::string::npos ||
      path.find_first_of("?#\\ \n") != std::string::npos) {
    json.fail(fmt::format("{} is not a path on a mirror", quoted(path)));
  }
  choice.package.url =
      (is_security(choice.package.source_suite) ? mirrors.security : mirrors.archive) + "/" + path;
  return choice;
}

ImagePlan read_base_image(const JsonReader& json) {
  const JsonReader base = json.at("base");
  ImagePlan image{.platform = oci::Platform::parse(json.text("platform")),
                  .runtime = {},
                  .releases = {},
                  .indexes = {},
                  .choices = {},
                  .assumed = {},
                  .base = PinnedBase{base.text("reference"),
                                     {.media_type = base.text("media_type"),
                                      .digest = base.digest("digest"),
                                      .size_bytes = base.number("size_bytes")}}};
  image.base->manifest.platform = image.platform;
  return image;
}

ImagePlan read_image(const JsonReader& json, const deb::Mirrors& mirrors) {
  if (json.has("base")) {
    return read_base_image(json);
  }
  ImagePlan image{.platform = oci::Platform::parse(json.text("platform")),
                  .runtime = runtime_from_json(json.at("runtime")),
                  .releases = {},
                  .indexes = {},
                  .choices = {},
                  .assumed = {}};
  if (json.has("server_digest")) {
    image.server_digest = json.digest("server_digest");
  }
  json.each("releases", [&](const JsonReader& release) {
    image.releases.push_back({.suite = release.text("suite"),
                              .version = release.text("version"),
                              .date = release.time("date"),
                              .digest = release.digest("in_release_digest")});
  });
  json.each("indexes", [&](const JsonReader& index) {
    image.indexes.push_back({.suite = index.text("suite"),
                             .path = index.text("path"),
                             .digest = index.digest("digest"),
                             .size_bytes = index.number("size_bytes")});
  });
  json.each("packages", [&](const JsonReader& package) {
    image.choices.push_back(read_choice(package, mirrors));
  });
  image.requested = json.texts("requested");
  image.skipped = json.texts_or_none("skipped");
  json.each("assumed_installed", [&](const JsonReader& item) {
    image.assumed.emplace_back(item.text("name"), item.text("required_by"));
  });
  return image;
}

} // namespace

std::string write_lock(const Plan& plan) {
  Json models = Json::array();
  for (const auto& model : plan.models) {
    Json files = Json::array();
    for (std::size_t i = 0; i < model.files.size(); ++i) {
      Json file{{"path", model.files[i].path}, {"size_bytes", model.files[i].size_bytes}};
      if (model.digests[i]) {
        file["digest"] = model.digests[i]->to_string();
      }
      files.push_back(std::move(file));
    }
    models.push_back({{"name", model.name}, {"files", std::move(files)}});
  }
  Json images = Json::array();
  for (const auto& image : plan.images) {
    images.push_back(to_json(image));
  }
  const Json lock{
      {"aipack_lock", lock_version}, {"models", std::move(models)}, {"images", std::move(images)}};
  return lock.dump(2) + "\n";
}

Lock read_lock(std::string_view json, std::string_view name, const deb::Mirrors& mirrors) {
  if (json.size() > max_lock_bytes) {
    throw FormatError(std::string(name), std::nullopt,
                      fmt::format("larger than {} bytes", max_lock_bytes));
  }
  const auto root = JsonReader::parse(json, name);
  const JsonReader reader(root, name);
  if (reader.number("aipack_lock") != lock_version) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read lock file {}: version {} is not known", quoted(name),
                            reader.number("aipack_lock")))
        .with_hint("write it again with 'aipack plan -o'");
  }
  Lock lock;
  reader.each("models", [&](const JsonReader& item) {
    Lock::Model model{.name = item.text("name"), .files = {}};
    // Both become paths on disk where a build is repeated.
    if (!is_model_name(model.name)) {
      item.fail(fmt::format("{} is no name of a model", quoted(model.name)));
    }
    item.each("files", [&](const JsonReader& file) {
      const auto path = fs::RootPath::try_parse(file.text("path"));
      if (!path || path->is_root() || path->text() != file.text("path")) {
        file.fail(fmt::format("{} is no path inside a model", quoted(file.text("path"))));
      }
      model.files.push_back(
          {.path = file.text("path"),
           .size_bytes = file.number("size_bytes"),
           .digest = file.has("digest") ? std::optional(file.digest("digest")) : std::nullopt});
    });
    if (model.files.empty()) {
      item.fail(fmt::format("model {} has no files", quoted(model.name)));
    }
    lock.models.push_back(std::move(model));
  });
  reader.each("images",
              [&](const JsonReader& item) { lock.images.push_back(read_image(item, mirrors)); });
  return lock;
}

} // namespace aipack::build
