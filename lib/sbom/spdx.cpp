#include "aipack/core/text.hpp"
#include "aipack/core/version.hpp"
#include "aipack/sbom/sbom.hpp"

#include "document.hpp"
#include "purl.hpp"
#include "verification_code.hpp"

#include <array>

#include <fmt/format.h>

// SPDX 2.3 as JSON (schema "http://spdx.org/rdf/terms/2.3"). What stands for what:
//
//   the index                     package, CONTAINER, DESCRIBES          (only of documents about
//   an index) each platform's image         package, CONTAINER; index CONTAINS it Debian packages
//   packages; image CONTAINS them the runtime, the server       packages; image CONTAINS them;
//   server DEPENDS_ON runtime a model                       package; image CONTAINS it; runtime
//   RUNTIME_DEPENDENCY_OF it a model's files               files, where they were hashed
//   (section 8.4 asks for SHA-1), else packages of purpose FILE the user's files              a
//   package of their own, with files in the same way the image below               package,
//   CONTAINER; image DESCENDANT_OF it
//
// A package with files has filesAnalyzed and the verification code that goes with it (7.8, 7.9);
// the others have neither.

namespace aipack::sbom {
namespace {

const std::string document_id = "SPDXRef-DOCUMENT";
const std::string none{license::no_assertion};

Json checksum(const char* algorithm, const std::string& value) {
  return {{"algorithm", algorithm}, {"checksumValue", value}};
}

/// SPDX 2.3, 7.5: "Person: name (address)" or "Organization: name (address)". Most maintainers are
/// teams, which call themselves so or are reached through a list.
std::string agent_of(const std::string& maintainer) {
  const auto open = maintainer.find('<');
  const auto name = trim(std::string_view(maintainer).substr(0, open));
  const auto address =
      open == std::string::npos
          ? std::string_view()
          : std::string_view(maintainer).substr(open + 1, maintainer.find('>', open) - open - 1);
  constexpr std::array<std::string_view, 8> of_teams{
      "Maintainers", "Team",    "Group",          "Packagers",
      "Debian ",     "@lists.", "@alioth-lists.", "@tracker.debian.org"};
  bool is_team = false;
  for (const auto word : of_teams) {
    is_team = is_team || maintainer.find(word) != std::string::npos;
  }
  return fmt::format("{}: {}{}", is_team ? "Organization" : "Person", name,
                     address.empty() ? "" : fmt::format(" ({})", address));
}

class Writer {
public:
  explicit Writer(const Inventory& inventory) : inventory_(inventory), shared_(inventory) {}

  std::string write() {
    const bool has_index = inventory_.images.size() != 1 ||
                           inventory_.subject.digest != inventory_.images.front().manifest.digest;
    const auto root = has_index ? add_index() : std::string();
    add_models();
    add_packages();
    for (std::size_t i = 0; i < inventory_.images.size(); ++i) {
      const auto id = add_image(i);
      relate(has_index ? root : document_id, has_index ? "CONTAINS" : "DESCRIBES", id);
    }
    return finish();
  }

private:
  void relate(const std::string& from, const char* kind, const std::string& to) {
    relationships_.push_back(
        {{"spdxElementId", from}, {"relationshipType", kind}, {"relatedSpdxElement", to}});
  }

  /// The fields that every package has, in the order of section 7.
  Json package(const std::string& id, const std::string& name, const std::string& version,
               const license::License& license) {
    texts_.insert(license.texts.begin(), license.texts.end());
    Json json{{"SPDXID", id}, {"name", name}};
    if (!version.empty()) {
      json["versionInfo"] = version;
    }
    json["downloadLocation"] = none;
    json["filesAnalyzed"] = false;
    json["licenseConcluded"] = none;
    json["licenseDeclared"] = license.expression;
    json["copyrightText"] = none;
    return json;
  }

  static void add_purl(Json& package, const std::string& purl) {
    if (!purl.empty()) {
      package["externalRefs"] = Json::array({{{"referenceCategory", "PACKAGE-MANAGER"},
                                              {"referenceType", "purl"},
                                              {"referenceLocator", purl}}});
    }
  }

  Json container(const std::string& id, const std::string& name, const oci::Digest& digest,
                 const std::string& purl) {
    auto json = package(id, name, digest.to_string(), {});
    json["checksums"] = Json::array({checksum("SHA256", digest.hex())});
    json["primaryPackagePurpose"] = "CONTAINER";
    add_purl(json, purl);
    return json;
  }

  std::string add_index() {
    auto id = ids_.make("Index");
    packages_.push_back(container(id, inventory_.name, inventory_.subject.digest,
                                  oci_purl(inventory_.name, inventory_.subject.digest)));
    relate(document_id, "DESCRIBES", id);
    return id;
  }

  void add_packages() {
    for (const auto& [package_ptr, purl] : shared_.packages) {
      const Package& facts = *package_ptr;
      auto id =
          ids_.make(fmt::format("Deb-{}-{}-{}", facts.name, facts.version, facts.architecture));
      auto json = package(id, facts.name, facts.version, facts.license);
      json["supplier"] = "Organization: Debian";
      if (!facts.maintainer.empty()) {
        json["originator"] = agent_of(facts.maintainer);
      }
      if (is_url(facts.homepage)) {
        json["homepage"] = facts.homepage;
      }
      if (facts.digest) {
        json["checksums"] = Json::array({checksum("SHA256", facts.digest->hex())});
      }
      json["sourceInfo"] = fmt::format(
          "built from Debian source package {} {}{}", facts.source, facts.source_version,
          facts.suite.empty() ? "" : fmt::format(", from suite {}", facts.suite));
      json["primaryPackagePurpose"] = facts.name.starts_with("lib") ? "LIBRARY" : "OTHER";
      add_purl(json, purl);
      packages_.push_back(std::move(json));
      package_ids_.push_back(std::move(id));
    }
  }

  std::string add_image(std::size_t index) {
    const auto& image = inventory_.images[index];
    auto platform = image.platform.to_string();
    auto id = ids_.make("Image-" + platform);
    auto json = container(id, image.name, image.manifest.digest,
                          oci_purl(image.name, image.manifest.digest, image.platform.architecture));
    json["summary"] = fmt::format("container image of {} for {}", image.name, platform);
    if (!image.is_complete) {
      json["comment"] = "Packages of the image below are not listed.";
    }
    packages_.push_back(std::move(json));
    for (const auto package : shared_.of_image[index]) {
      relate(id, "CONTAINS", package_ids_[package]);
    }
    const auto runtime = add_runtime(image, id);
    add_server(image, id, runtime);
    for (const auto model : image.models) {
      relate(id, "CONTAINS", model_ids_[model]);
      if (!runtime.empty()) {
        relate(runtime, "RUNTIME_DEPENDENCY_OF", model_ids_[model]);
      }
    }
    if (!image.files.empty()) {
      const auto files = ids_.make("Files-" + platform);
      auto group = package(files, image.name + " files", "", {});
      group["summary"] = "files that were added to the image";
      group["primaryPackagePurpose"] = "OTHER";
      add_files(std::move(group), files, image.files, {});
      relate(id, "CONTAINS", files);
    }
    add_base(image, id);
    return id;
  }

  /// Images with the same runtime share it.
  std::string add_runtime(const ImageContent& image, const std::string& image_id) {
    if (image.runtime.empty()) {
      return {};
    }
    auto& id = runtime_ids_[image.runtime];
    if (id.empty()) {
      const auto [name, version] = runtime_of(image);
      id = ids_.make("Runtime-" + image.runtime);
      auto json = package(id, name, version, {});
      json["summary"] = "runtime that serves the models; its packages are listed one by one";
      json["primaryPackagePurpose"] = "FRAMEWORK";
      packages_.push_back(std::move(json));
    }
    relate(image_id, "CONTAINS", id);
    return id;
  }

  void add_server(const ImageContent& image, const std::string& image_id,
                  const std::string& runtime) {
    if (!image.server) {
      return;
    }
    const auto name = file_name(image.server->path);
    const auto id = ids_.make(fmt::format("Server-{}-{}", name, image.platform.to_string()));
    license::License license;
    if (name == own_server) {
      license.expression = own_license;
    }
    auto json = package(id, name, "", license);
    json["packageFileName"] = "." + image.server->path;
    json["primaryPackagePurpose"] = "APPLICATION";
    if (image.server->checksums) {
      json["checksums"] = Json::array({checksum("SHA256", image.server->checksums->sha256.hex())});
    }
    packages_.push_back(std::move(json));
    relate(image_id, "CONTAINS", id);
    if (!runtime.empty()) {
      relate(id, "DEPENDS_ON", runtime);
    }
  }

  void add_base(const ImageContent& image, const std::string& image_id) {
    if (!image.base) {
      return;
    }
    const auto& base = *image.base;
    const auto id = ids_.make("Base-" + image.platform.to_string());
    auto json = package(id, base.name.empty() ? "base image" : base.name,
                        base.digest ? base.digest->to_string() : "", {});
    if (base.digest) {
      json["checksums"] = Json::array({checksum("SHA256", base.digest->hex())});
    }
    json["primaryPackagePurpose"] = "CONTAINER";
    add_purl(json, base_purl(base));
    packages_.push_back(std::move(json));
    relate(image_id, "DESCENDANT_OF", id);
  }

  void add_models() {
    for (const auto& model : inventory_.models) {
      const auto id = ids_.make("Model-" + model.name);
      const auto version = model.facts && model.facts->model_version != 0
                               ? std::to_string(model.facts->model_version)
                               : std::string();
      auto json = package(id, model.name, version, model.license);
      json["summary"] = "machine learning model";
      if (model.facts) {
        if (!model.facts->description.empty()) {
          json["description"] = model.facts->description;
        }
        json["comment"] = model_comment(*model.facts);
      }
      json["primaryPackagePurpose"] = "OTHER";
      add_files(std::move(json), id, model.files, model.license);
      model_ids_.push_back(id);
    }
  }

  static std::string model_comment(const model::Model& facts) {
    std::vector<std::string> opsets;
    for (const auto& opset : facts.opsets) {
      opsets.push_back(fmt::format("{} {}", domain_text(opset.domain), opset.version));
    }
    const auto tensors = [](const std::vector<model::TensorInfo>& list) {
      std::vector<std::string> texts;
      for (const auto& tensor : list) {
        texts.push_back(tensor_text(tensor));
      }
      return fmt::format("{}", fmt::join(texts, ", "));
    };
    std::string producer = facts.producer_name;
    if (!facts.producer_version.empty()) {
      producer += (producer.empty() ? "" : " ") + facts.producer_version;
    }
    return fmt::format(
        "format {}, IR version {}, opsets {}; inputs {}; outputs {}; {} parameters{}",
        to_string(facts.format), facts.ir_version, fmt::join(opsets, ", "), tensors(facts.inputs),
        tensors(facts.outputs), facts.parameter_count,
        producer.empty() ? "" : "; made by " + producer);
  }

  /// Adds `owner` with its files: as SPDX files where every one of them was hashed.
  void add_files(Json owner, const std::string& owner_id, const std::vector<File>& files,
                 const license::License& license) {
    const bool all_hashed =
        std::ranges::all_of(files, [](const File& file) { return file.checksums.has_value(); });
    if (all_hashed) {
      owner["filesAnalyzed"] = true;
      owner["packageVerificationCode"] = {
          {"packageVerificationCodeValue", verification_code(files)}};
    }
    packages_.push_back(std::move(owner));
    for (const auto& file : files) {
      const auto id = ids_.make("File-" + file.path.substr(1));
      if (all_hashed) {
        files_.push_back(file_json(id, file, license));
      } else {
        auto json = package(id, file.path, "", license);
        json["packageFileName"] = "." + file.path;
        json["primaryPackagePurpose"] = "FILE";
        json["sourceInfo"] = place_of(file);
        if (file.checksums) {
          json["checksums"] = Json::array({checksum("SHA1", file.checksums->sha1),
                                           checksum("SHA256", file.checksums->sha256.hex())});
        }
        packages_.push_back(std::move(json));
      }
      relate(owner_id, "CONTAINS", id);
    }
  }

  static Json file_json(const std::string& id, const File& file, const license::License& license) {
    // One licence, not an expression, is what section 8.6 takes.
    const bool is_single = license.expression.find(' ') == std::string::npos;
    return {{"SPDXID", id},
            {"fileName", "." + file.path},
            {"checksums", Json::array({checksum("SHA1", file.checksums->sha1),
                                       checksum("SHA256", file.checksums->sha256.hex())})},
            {"licenseConcluded", none},
            {"licenseInfoInFiles", Json::array({is_single ? license.expression : none})},
            {"copyrightText", none},
            {"comment", place_of(file)}};
  }

  std::string finish() {
    Json extracted = Json::array();
    for (const auto& [id, text] : texts_) {
      extracted.push_back({{"licenseId", id}, {"name", id}, {"extractedText", text}});
    }
    Json document{
        {"spdxVersion", "SPDX-2.3"},
        {"dataLicense", "CC0-1.0"},
        {"SPDXID", document_id},
        {"name", fmt::format("{}@{}", inventory_.name, inventory_.subject.digest.to_string())},
        {"documentNamespace", ""},
        {"creationInfo",
         {{"created", inventory_.created.empty() ? std::string(no_time) : inventory_.created},
          {"creators", Json::array({fmt::format("Tool: aipack-{}", version())})},
          {"licenseListVersion", std::string(license::list_version)}}},
        {"packages", std::move(packages_)}};
    if (!files_.empty()) {
      document["files"] = std::move(files_);
    }
    if (!extracted.empty()) {
      document["hasExtractedLicensingInfos"] = std::move(extracted);
    }
    document["relationships"] = std::move(relationships_);
    // A name that nobody else gives, and the same for the same content (section 6.5).
    document["documentNamespace"] =
        fmt::format("https://github.com/aipack/aipack/spdx/{}/{}", inventory_.subject.digest.hex(),
                    uuid_of(content_digest(document)));
    return to_text(document);
  }

  const Inventory& inventory_;
  SharedPackages shared_;
  Identifiers ids_;
  Json packages_ = Json::array();
  Json files_ = Json::array();
  Json relationships_ = Json::array();
  std::map<std::string, std::string> texts_;       ///< of LicenseRefs
  std::map<std::string, std::string> runtime_ids_; ///< by ImageContent::runtime
  std::vector<std::string> package_ids_;           ///< as SharedPackages::packages
  std::vector<std::string> model_ids_;             ///< as Inventory::models
};

} // namespace

std::string write_spdx(const Inventory& inventory) {
  return Writer(inventory).write();
}

} // namespace aipack::sbom
