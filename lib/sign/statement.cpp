#include "aipack/sign/statement.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "json.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace aipack::sign {
namespace {

using Json = nlohmann::ordered_json; // members stay in the order in which they are added

constexpr std::string_view statement_type_v0_1 = "https://in-toto.io/Statement/v0.1";

// cosign's --type names (its cmd/cosign/cli/options/predicate.go), and one of our own, "model".
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> predicate_names{{
    {"slsaprovenance1", predicate_type::slsa_provenance_v1},
    {"slsaprovenance", "https://slsa.dev/provenance/v0.2"},
    {"slsaprovenance02", "https://slsa.dev/provenance/v0.2"},
    {"spdx", predicate_type::spdx},
    {"spdxjson", predicate_type::spdx},
    {"cyclonedx", predicate_type::cyclonedx},
    {"vuln", predicate_type::vulnerabilities},
    {"openvex", predicate_type::openvex},
    {"link", "https://in-toto.io/Link/v1"},
    {"custom", "https://cosign.sigstore.dev/attestation/v1"},
    {"model", predicate_type::model_signature},
}};

Json write_subject(const Subject& subject) {
  Json json = Json::object();
  if (!subject.name.empty()) {
    json["name"] = subject.name;
  }
  json["digest"] = subject.digests;
  if (!subject.annotations.empty()) {
    json["annotations"] = subject.annotations;
  }
  return json;
}

Subject read_subject(const JsonField& field) {
  Subject subject{.name = field.text_or_empty("name")};
  if (const auto digests = field.find("digest")) {
    subject.digests = digests->texts();
  }
  // Annotations may be of any kind; those that are no texts cannot be asked for.
  if (const auto annotations = field.find("annotations")) {
    subject.annotations = annotations->texts_among();
  }
  return subject;
}

} // namespace

std::string write(const Statement& statement) {
  (void)parse_json(statement.predicate, "predicate", max_statement_bytes); // throws for no object
  Json json = Json::object();
  json["_type"] = statement.type;
  Json& subjects = json["subject"] = Json::array();
  for (const Subject& subject : statement.subjects) {
    subjects.push_back(write_subject(subject));
  }
  json["predicateType"] = statement.predicate_type;
  std::string text = dump(json, "statement");
  text.pop_back(); // the closing brace
  return text + ",\"predicate\":" + statement.predicate + "}";
}

Statement parse_statement(std::string_view json, std::string_view name) {
  const nlohmann::json document = parse_json(json, name, max_statement_bytes);
  const JsonField root(document, name);
  Statement statement{.type = root.get("_type").text(),
                      .subjects = {},
                      .predicate_type = root.get("predicateType").text()};
  if (statement.type != statement_type_v1 && statement.type != statement_type_v0_1) {
    throw Error(ErrorCode::unsupported, fmt::format("cannot read {}: it is a statement of type {}",
                                                    quoted(name), quoted(statement.type)));
  }
  for (const JsonField& subject : root.get("subject").elements()) {
    statement.subjects.push_back(read_subject(subject));
  }
  if (const auto predicate = root.find("predicate")) {
    if (!predicate->json().is_object()) {
      predicate->refuse("must be an object");
    }
    statement.predicate = predicate->json().dump();
  }
  return statement;
}

std::string predicate_type_of(std::string_view name) {
  std::string names;
  for (const auto& [known, type] : predicate_names) {
    if (name == known) {
      return std::string(type);
    }
    names += (names.empty() ? "" : ", ") + std::string(known);
  }
  if (name.find("://") != std::string_view::npos) {
    return std::string(name);
  }
  throw Error(ErrorCode::invalid_input,
              fmt::format("cannot use predicate type {}: it is neither a URI nor one of {}",
                          quoted(name), names));
}

} // namespace aipack::sign
