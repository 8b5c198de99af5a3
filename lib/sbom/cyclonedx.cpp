#include "aipack/core/text.hpp"
#include "aipack/core/version.hpp"
#include "aipack/sbom/sbom.hpp"

#include "document.hpp"
#include "model_card.hpp"
#include "purl.hpp"

#include <fmt/format.h>

// CycloneDX 1.6 as JSON (schema "http://cyclonedx.org/schema/bom-1.6.schema.json"). The subject is
// metadata.component; of an index the platforms' images are components of type container. Packages,
// the runtime, the server and models stand side by side in `components`, because images share them;
// `dependencies` says which image has which, `compositions` whether that is all. Models are an
// ML-BOM: type machine-learning-model with a model card, their files nested.

namespace aipack::sbom {
namespace {

Json property(std::string_view name, const std::string& value) {
  return {{"name", fmt::format("aipack:{}", name)}, {"value", value}};
}

Json sha256(const oci::Digest& digest) {
  return Json::array({{{"alg", "SHA-256"}, {"content", digest.hex()}}});
}

class Writer {
public:
  explicit Writer(const Inventory& inventory) : inventory_(inventory), shared_(inventory) {}

  std::string write() {
    const bool has_index = inventory_.images.size() != 1 ||
                           inventory_.subject.digest != inventory_.images.front().manifest.digest;
    for (const auto& model : inventory_.models) {
      add_model(model);
    }
    for (const auto& [package, purl] : shared_.packages) {
      components_.push_back(package_json(*package, purl));
      depend(purl, Json::array());
    }
    Json root;
    Json image_refs = Json::array();
    for (std::size_t i = 0; i < inventory_.images.size(); ++i) {
      auto json = add_image(i);
      image_refs.push_back(json["bom-ref"]);
      if (has_index) {
        components_.push_back(std::move(json));
      } else {
        root = std::move(json);
      }
    }
    if (has_index) {
      root = container(inventory_.name, inventory_.subject.digest,
                       oci_purl(inventory_.name, inventory_.subject.digest));
      depend(root["bom-ref"], std::move(image_refs));
    }
    return finish(std::move(root));
  }

private:
  void depend(const Json& ref, Json on) {
    Json entry{{"ref", ref}};
    if (!on.empty()) {
      entry["dependsOn"] = std::move(on);
    }
    dependencies_.push_back(std::move(entry));
  }

  static Json container(const std::string& name, const oci::Digest& digest,
                        const std::string& purl) {
    return {{"type", "container"},           {"bom-ref", purl},          {"name", name},
            {"version", digest.to_string()}, {"hashes", sha256(digest)}, {"purl", purl}};
  }

  /// The text stands where a document names the licence first; a LicenseRef has but one.
  Json named_license(const std::string& name, const std::string& text) {
    Json license{{"name", name}};
    if (explained_.insert(name).second) {
      license["text"] = {{"contentType", "text/plain"}, {"content", text}};
    }
    return {{"license", std::move(license)}};
  }

  /// One identifier, one LicenseRef with its text, or an expression, whose LicenseRefs have their
  /// texts as evidence: an expression has no place for them.
  void add_license(Json& component, const license::License& license) {
    if (license.expression == license::no_assertion) {
      return;
    }
    if (const auto id = license::spdx_id(license.expression)) {
      component["licenses"] =
          Json::array({{{"license", {{"id", *id}, {"acknowledgement", "declared"}}}}});
      return;
    }
    const auto single = license.texts.find(license.expression);
    if (single != license.texts.end()) {
      auto json = named_license(single->first, single->second);
      json["license"]["acknowledgement"] = "declared";
      component["licenses"] = Json::array({std::move(json)});
      return;
    }
    component["licenses"] =
        Json::array({{{"expression", license.expression}, {"acknowledgement", "declared"}}});
    Json texts = Json::array();
    for (const auto& [name, text] : license.texts) {
      texts.push_back(named_license(name, text));
    }
    if (!texts.empty()) {
      component["evidence"]["licenses"] = std::move(texts);
    }
  }

  Json package_json(const Package& package, const std::string& purl) {
    Json json{
        {"type", "library"},
        {"bom-ref", purl},
        {"supplier", {{"name", "Debian"}, {"url", Json::array({"https://www.debian.org/"})}}}};
    if (!package.maintainer.empty()) {
      json["publisher"] = package.maintainer;
    }
    json["name"] = package.name;
    json["version"] = package.version;
    if (package.digest) {
      json["hashes"] = sha256(*package.digest);
    }
    add_license(json, package.license);
    json["purl"] = purl;
    if (is_url(package.homepage)) {
      json["externalReferences"] = Json::array({{{"type", "website"}, {"url", package.homepage}}});
    }
    Json properties = Json::array({property("deb:architecture", package.architecture),
                                   property("deb:source", package.source),
                                   property("deb:source_version", package.source_version)});
    if (!package.suite.empty()) {
      properties.push_back(property("deb:suite", package.suite));
    }
    json["properties"] = std::move(properties);
    return json;
  }

  Json file_json(const File& file) {
    Json json{{"type", "file"}, {"name", file.path}};
    if (file.checksums) {
      json["hashes"] =
          Json::array({{{"alg", "SHA-1"}, {"content", file.checksums->sha1}},
                       {{"alg", "SHA-256"}, {"content", file.checksums->sha256.hex()}}});
    }
    json["properties"] = Json::array({property("file:size_bytes", std::to_string(file.size_bytes)),
                                      property("file:layer", file.layer.to_string()),
                                      property("file:offset", std::to_string(file.offset))});
    return json;
  }

  Json files_json(const std::vector<File>& files) {
    Json list = Json::array();
    for (const auto& file : files) {
      list.push_back(file_json(file));
    }
    return list;
  }

  static std::string model_ref(const Model& model) { return "model:" + model.name; }

  void add_model(const Model& model) {
    Json json{
        {"type", "machine-learning-model"}, {"bom-ref", model_ref(model)}, {"name", model.name}};
    if (model.facts && model.facts->model_version != 0) {
      json["version"] = std::to_string(model.facts->model_version);
    }
    if (model.facts && !model.facts->description.empty()) {
      json["description"] = model.facts->description;
    }
    if (const auto digest = digest_of(model)) {
      json["hashes"] = sha256(*digest);
    }
    add_license(json, model.license);
    json["components"] = files_json(model.files);
    if (model.facts) {
      json["modelCard"] = model_card(*model.facts);
    }
    components_.push_back(std::move(json));
    depend(model_ref(model), Json::array());
  }

  Json add_image(std::size_t index) {
    const auto& image = inventory_.images[index];
    auto json = container(image.name, image.manifest.digest,
                          oci_purl(image.name, image.manifest.digest, image.platform.architecture));
    json["properties"] = Json::array({property("image:platform", image.platform.to_string())});
    Json contained = Json::array();
    for (const auto package : shared_.of_image[index]) {
      contained.push_back(shared_.packages[package].purl);
    }
    add_system(image, contained);
    const auto runtime = add_runtime(image, contained);
    add_server(image, runtime, contained);
    for (const auto model : image.models) {
      contained.push_back(model_ref(inventory_.models[model]));
    }
    for (const auto& file : image.files) {
      auto item = file_json(file);
      const auto ref = fmt::format("file:{}:{}", image.platform.to_string(), file.path);
      item["bom-ref"] = ref;
      components_.push_back(std::move(item));
      depend(ref, Json::array());
      contained.push_back(ref);
    }
    add_base(image, contained);
    compositions_.push_back({{"aggregate", image.is_complete ? "complete" : "incomplete"},
                             {"dependencies", Json::array({json["bom-ref"]})}});
    depend(json["bom-ref"], std::move(contained));
    return json;
  }

  /// Scanners take the release that advisories are for from here.
  void add_system(const ImageContent& image, Json& contained) {
    const auto codename = codename_of(image.suite);
    if (codename.empty() || !image.is_complete) {
      return;
    }
    const auto ref = "os:debian:" + codename;
    if (known_.insert(ref).second) {
      components_.push_back({{"type", "operating-system"},
                             {"bom-ref", ref},
                             {"name", "debian"},
                             {"version", codename}});
      depend(ref, Json::array());
    }
    contained.push_back(ref);
  }

  /// Images with the same runtime share it.
  std::string add_runtime(const ImageContent& image, Json& contained) {
    if (image.runtime.empty()) {
      return {};
    }
    auto ref = "runtime:" + image.runtime;
    if (known_.insert(ref).second) {
      const auto [name, version] = runtime_of(image);
      Json json{{"type", "framework"}, {"bom-ref", ref}, {"name", name}};
      if (!version.empty()) {
        json["version"] = version;
      }
      components_.push_back(std::move(json));
      depend(ref, Json::array());
    }
    contained.push_back(ref);
    return ref;
  }

  void add_server(const ImageContent& image, const std::string& runtime, Json& contained) {
    if (!image.server) {
      return;
    }
    const auto name = file_name(image.server->path);
    const auto ref = fmt::format("server:{}:{}", image.platform.to_string(), name);
    Json json{{"type", "application"}, {"bom-ref", ref}, {"name", name}};
    if (image.server->checksums) {
      json["hashes"] = sha256(image.server->checksums->sha256);
    }
    if (name == own_server) {
      add_license(json, {.expression = std::string(own_license)});
    }
    json["properties"] = Json::array({property("file:path", image.server->path)});
    components_.push_back(std::move(json));
    depend(ref, runtime.empty() ? Json::array() : Json::array({runtime}));
    contained.push_back(ref);
  }

  void add_base(const ImageContent& image, Json& contained) {
    if (!image.base) {
      return;
    }
    const auto ref = "base:" + image.platform.to_string();
    Json json{{"type", "container"},
              {"bom-ref", ref},
              {"name", image.base->name.empty() ? "base image" : image.base->name}};
    if (image.base->digest) {
      json["version"] = image.base->digest->to_string();
      json["hashes"] = sha256(*image.base->digest);
      json["purl"] = base_purl(*image.base);
    }
    components_.push_back(std::move(json));
    depend(ref, Json::array());
    contained.push_back(ref);
  }

  std::string finish(Json root) {
    Json document{
        {"$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json"},
        {"bomFormat", "CycloneDX"},
        {"specVersion", "1.6"},
        {"serialNumber", ""},
        {"version", 1},
        {"metadata",
         {{"timestamp", inventory_.created.empty() ? std::string(no_time) : inventory_.created},
          {"tools",
           {{"components", Json::array({{{"type", "application"},
                                         {"name", "aipack"},
                                         {"version", std::string(version())}}})}}},
          {"component", std::move(root)}}},
        {"components", std::move(components_)},
        {"dependencies", std::move(dependencies_)},
        {"compositions", std::move(compositions_)}};
    document["serialNumber"] = "urn:uuid:" + uuid_of(content_digest(document));
    return to_text(document);
  }

  const Inventory& inventory_;
  SharedPackages shared_;
  Json components_ = Json::array();
  Json dependencies_ = Json::array();
  Json compositions_ = Json::array();
  std::set<std::string> known_;     ///< components that images share
  std::set<std::string> explained_; ///< LicenseRefs whose text was given
};

} // namespace

std::string write_cyclonedx(const Inventory& inventory) {
  return Writer(inventory).write();
}

} // namespace aipack::sbom
