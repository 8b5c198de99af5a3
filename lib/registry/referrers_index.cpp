#include "referrers_index.hpp"

#include "aipack/core/text.hpp"
#include "aipack/oci/document.hpp"

#include <algorithm>
#include <set>

namespace aipack::registry {
namespace {

[[noreturn]] void refuse(std::string_view name, std::string_view cause) {
  throw FormatError(std::string(name), std::nullopt, cause);
}

std::string digest_text(const Json& entry) {
  return text_member(entry, "digest");
}

Json to_json(const Referrer& referrer) {
  oci::Index index;
  index.manifests.push_back(referrer);
  return Json::parse(oci::seal(std::move(index)).bytes()).at("manifests").at(0);
}

/// Throws when the entry is none that anything could be done with.
void check_entry(const Json& entry, std::string_view name) {
  const Json* size = find_member(entry, "size");
  const std::string digest = digest_text(entry);
  if (digest.find(':') == std::string::npos || text_member(entry, "mediaType").empty() ||
      size == nullptr || !size->is_number_unsigned() || size->get<std::uint64_t>() > INT64_MAX) {
    refuse(name, "an entry of its 'manifests' is no descriptor");
  }
}

oci::Annotations annotations_of(const Json& object) {
  oci::Annotations annotations;
  if (const Json* found = find_member(object, "annotations"); found && found->is_object()) {
    for (const auto& [key, value] : found->items()) {
      if (value.is_string()) {
        annotations[key] = value.get<std::string>();
      }
    }
  }
  return annotations;
}

} // namespace

ReferrersIndex::ReferrersIndex() : json_(Json::parse(oci::seal(oci::Index{}).bytes())) {}

ReferrersIndex ReferrersIndex::parse(std::string_view bytes, std::string_view name) {
  ReferrersIndex index;
  index.json_ = parse_answer(bytes, name);
  Json& json = index.json_;
  const std::string type = text_member(json, "mediaType");
  if ((!type.empty() && type != oci::media_type::index) || json.contains("layers") ||
      json.contains("config")) {
    refuse(name, "it is no index of referrers");
  }
  Json* list = json.contains("manifests") ? &json["manifests"] : nullptr;
  if (list == nullptr || list->is_null()) { // as Go writes an empty list
    json["manifests"] = Json::array();
  } else if (!list->is_array() || list->size() > max_referrers) {
    refuse(name, list->is_array() ? "it has too many entries" : "its 'manifests' are no list");
  }
  std::set<std::string> digests;
  Json unique = Json::array();
  for (Json& entry : json["manifests"]) {
    check_entry(entry, name);
    if (digests.insert(digest_text(entry)).second) {
      unique.push_back(std::move(entry));
    }
  }
  json["manifests"] = std::move(unique);
  return index;
}

bool ReferrersIndex::add(const Referrer& referrer) {
  Json entry = to_json(referrer);
  for (Json& known : entries()) {
    if (digest_text(known) == digest_text(entry)) {
      const bool is_same = nlohmann::json(known) == nlohmann::json(entry); // in whatever order
      known = std::move(entry);
      return !is_same;
    }
  }
  entries().push_back(std::move(entry));
  return true;
}

bool ReferrersIndex::add_all(const ReferrersIndex& other) {
  std::set<std::string> known;
  for (const Json& entry : entries()) {
    known.insert(digest_text(entry));
  }
  bool added = false;
  for (const Json& entry : other.entries()) {
    if (known.insert(digest_text(entry)).second) {
      entries().push_back(entry);
      added = true;
    }
  }
  return added;
}

std::vector<Referrer> ReferrersIndex::referrers() const {
  std::vector<Referrer> referrers;
  for (const Json& entry : entries()) {
    if (const auto digest = oci::Digest::try_parse(digest_text(entry))) {
      referrers.push_back({.media_type = text_member(entry, "mediaType"),
                           .digest = *digest,
                           .size_bytes = entry.at("size").get<std::uint64_t>(),
                           .annotations = annotations_of(entry),
                           .artifact_type = text_member(entry, "artifactType")});
    }
  }
  return referrers;
}

std::string ReferrersIndex::bytes() const {
  return json_.dump();
}

Referrer referrer_of(const Document& document) {
  const std::string name = document.descriptor.digest.to_string();
  const Json json = parse_answer(document.bytes, name);
  Referrer referrer = document.descriptor;
  referrer.platform.reset();
  referrer.annotations = annotations_of(json);
  referrer.artifact_type = text_member(json, "artifactType");
  if (const Json* config = find_member(json, "config");
      config != nullptr && referrer.artifact_type.empty()) {
    referrer.artifact_type = text_member(*config, "mediaType");
  }
  return referrer;
}

std::optional<oci::Descriptor> subject_of(const Document& document) {
  const std::string name = document.descriptor.digest.to_string();
  const Json json = parse_answer(document.bytes, name);
  const Json* subject = find_member(json, "subject");
  if (subject == nullptr || subject->is_null()) {
    return std::nullopt;
  }
  const auto digest = oci::Digest::try_parse(digest_text(*subject));
  if (!digest) {
    refuse(name, "its subject has no sha256 digest");
  }
  check_entry(*subject, name);
  return oci::Descriptor{.media_type = text_member(*subject, "mediaType"),
                         .digest = *digest,
                         .size_bytes = subject->at("size").get<std::uint64_t>()};
}

std::string referrers_tag(const oci::Digest& subject) {
  return "sha256-" + subject.hex();
}

} // namespace aipack::registry
