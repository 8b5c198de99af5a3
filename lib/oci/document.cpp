#include "aipack/oci/document.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "json_document.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::oci {
namespace {

using Json = nlohmann::ordered_json; // members stay in the order in which they are added

constexpr int schema_version = 2; // the only one: image-spec, manifest.md, "schemaVersion"

// --- writing: members in the order of the specification's own Go types, empty ones left out ---

template <class Text>
void add_text(Json& to, const char* key, const Text& text) {
  if (!text.empty()) {
    to[key] = text;
  }
}

template <class Map>
void add_map(Json& to, const char* key, const Map& map) {
  if (!map.empty()) {
    Json& object = to[key] = Json::object();
    for (const auto& [name, value] : map) {
      object[name] = value;
    }
  }
}

/// 64-bit Arm carries its only variant in every document that aipack writes.
std::string written_variant(const Platform& platform) {
  return platform.architecture == "arm64" && platform.variant.empty() ? "v8" : platform.variant;
}

void add_platform(Json& to, const Platform& platform) {
  to["architecture"] = platform.architecture;
  to["os"] = platform.os;
  add_text(to, "variant", written_variant(platform));
}

Json write(const Descriptor& descriptor) {
  if (descriptor.size_bytes > INT64_MAX) {
    throw Error(ErrorCode::invalid_input, "cannot write descriptor of " +
                                              descriptor.digest.to_string() +
                                              ": its size does not fit 63 bits");
  }
  Json json = Json::object();
  json["mediaType"] = descriptor.media_type;
  json["digest"] = descriptor.digest.to_string();
  json["size"] = descriptor.size_bytes;
  add_map(json, "annotations", descriptor.annotations);
  if (descriptor.platform) {
    add_platform(json["platform"] = Json::object(), *descriptor.platform);
  }
  add_text(json, "artifactType", descriptor.artifact_type);
  return json;
}

Json write(const std::vector<Descriptor>& descriptors) {
  Json list = Json::array();
  for (const Descriptor& descriptor : descriptors) {
    list.push_back(write(descriptor));
  }
  return list;
}

/// What manifests and indexes begin with.
template <class Document>
Json write_head(const Document& document) {
  Json json = Json::object();
  json["schemaVersion"] = schema_version;
  json["mediaType"] = document.media_type;
  add_text(json, "artifactType", document.artifact_type);
  return json;
}

template <class Document>
void write_tail(Json& json, const Document& document) {
  if (document.subject) {
    json["subject"] = write(*document.subject);
  }
  add_map(json, "annotations", document.annotations);
}

Json write(const Manifest& manifest) {
  Json json = write_head(manifest);
  json["config"] = write(manifest.config);
  json["layers"] = write(manifest.layers);
  write_tail(json, manifest);
  return json;
}

Json write(const Index& index) {
  Json json = write_head(index);
  json["manifests"] = write(index.manifests);
  write_tail(json, index);
  return json;
}

Json write(const HistoryEntry& entry) {
  Json json = Json::object();
  add_text(json, "created", entry.created);
  add_text(json, "created_by", entry.created_by);
  add_text(json, "comment", entry.comment);
  if (entry.empty_layer) {
    json["empty_layer"] = true;
  }
  return json;
}

Json write(const Config& config) {
  Json json = Json::object();
  add_text(json, "created", config.created);
  add_platform(json, config.platform);

  Json& run = json["config"] = Json::object();
  add_text(run, "User", config.user);
  if (!config.exposed_ports.empty()) {
    Json& ports = run["ExposedPorts"] = Json::object();
    for (const std::string& port : config.exposed_ports) {
      ports[port] = Json::object();
    }
  }
  add_text(run, "Env", config.env);
  add_text(run, "Entrypoint", config.entrypoint);
  add_text(run, "Cmd", config.cmd);
  add_text(run, "WorkingDir", config.working_directory);
  add_map(run, "Labels", config.labels);
  add_text(run, "StopSignal", config.stop_signal);

  Json& rootfs = json["rootfs"] = Json::object();
  rootfs["type"] = "layers";
  Json& diff_ids = rootfs["diff_ids"] = Json::array();
  for (const Digest& digest : config.diff_ids) {
    diff_ids.push_back(digest.to_string());
  }
  if (!config.history.empty()) {
    Json& history = json["history"] = Json::array();
    for (const HistoryEntry& entry : config.history) {
      history.push_back(write(entry));
    }
  }
  return json;
}

template <class Document>
Sealed<Document> seal_as(Document document, std::string_view media_type, std::string artifact_type,
                         std::uint64_t max_bytes) {
  std::string bytes;
  try {
    bytes = write(document).dump();
  } catch (const nlohmann::json::type_error&) { // the one thing that dump() refuses
    throw Error(ErrorCode::invalid_input,
                "cannot write " + std::string(media_type) + ": a text in it is not UTF-8");
  }
  if (bytes.size() > max_bytes) {
    throw Error(ErrorCode::invalid_input, "cannot write " + std::string(media_type) +
                                              ": it is larger than " + std::to_string(max_bytes) +
                                              " bytes");
  }
  Descriptor descriptor{.media_type = std::string(media_type),
                        .digest = Digest::of(bytes),
                        .size_bytes = bytes.size(),
                        .artifact_type = std::move(artifact_type)};
  return {std::move(document), std::move(bytes), std::move(descriptor)};
}

// --- reading ---

/// The other registered algorithm: image-spec, descriptor.md, "SHA-512".
bool is_sha512(std::string_view text) noexcept {
  constexpr std::string_view prefix = "sha512:";
  return text.starts_with(prefix) && text.size() == prefix.size() + 128 &&
         text.find_first_not_of("0123456789abcdef", prefix.size()) == std::string_view::npos;
}

Digest read_digest(const JsonReader& field) {
  const std::string text = field.text();
  if (const auto digest = Digest::try_parse(text)) {
    return *digest;
  }
  if (is_sha512(text)) { // no damage: a good document that aipack cannot follow
    field.refuse("is a sha512 digest, and aipack knows sha256 alone", ErrorCode::unsupported);
  }
  field.refuse("must be 'sha256:' and 64 lower-case hexadecimal digits, not " +
               aipack::quoted(text));
}

Annotations read_map(const JsonReader& object, const char* key) {
  Annotations map;
  if (const auto field = object.find(key)) {
    field->for_each_member(
        [&](const std::string& name, const JsonReader& value) { map[name] = value.text(); });
  }
  return map;
}

std::vector<std::string> read_texts(const JsonReader& object, const char* key) {
  std::vector<std::string> texts;
  if (const auto field = object.find(key)) {
    field->for_each_element([&](const JsonReader& value) { texts.push_back(value.text()); });
  }
  return texts;
}

Platform read_platform(const JsonReader& object) {
  Platform platform{.os = object.get("os").text(),
                    .architecture = object.get("architecture").text(),
                    .variant = object.text_or_empty("variant")};
  if (platform.architecture == "arm64" && platform.variant == "v8") {
    platform.variant.clear();
  }
  return platform;
}

Descriptor read_descriptor(const JsonReader& object) {
  Descriptor descriptor{.media_type = object.get("mediaType").text(),
                        .digest = read_digest(object.get("digest")),
                        .size_bytes = object.get("size").size(),
                        .annotations = read_map(object, "annotations"),
                        .artifact_type = object.text_or_empty("artifactType")};
  if (const auto platform = object.find("platform")) {
    descriptor.platform = read_platform(*platform);
  }
  return descriptor;
}

std::vector<Descriptor> read_descriptors(const JsonReader& object, const char* key) {
  std::vector<Descriptor> descriptors;
  if (const auto field = object.find(key)) {
    field->for_each_element(
        [&](const JsonReader& entry) { descriptors.push_back(read_descriptor(entry)); });
  }
  return descriptors;
}

/// A document that is a manifest to one reader and an index to another was used to smuggle images
/// past checks (CVE-2021-41190): its kind is what it contains, `mediaType` must agree, and members
/// of the other kind are refused.
void check_kind(const JsonReader& root, std::string_view media_type,
                bool (*is_kind)(std::string_view) noexcept,
                std::initializer_list<const char*> foreign) {
  const JsonReader version = root.get("schemaVersion");
  if (version.size() != schema_version) {
    version.refuse("must be 2");
  }
  if (!is_kind(media_type)) {
    root.get("mediaType").refuse("names another kind of document: " + aipack::quoted(media_type));
  }
  for (const char* key : foreign) {
    if (const auto field = root.find(key)) {
      field->refuse("belongs to another kind of document");
    }
  }
}

template <class Document>
void read_common(const JsonReader& root, Document& document) {
  if (const auto type = root.find("mediaType")) {
    document.media_type = type->text();
  }
  document.artifact_type = root.text_or_empty("artifactType");
  if (const auto subject = root.find("subject")) {
    document.subject = read_descriptor(*subject);
  }
  document.annotations = read_map(root, "annotations");
}

HistoryEntry read_history(const JsonReader& object) {
  HistoryEntry entry{.created = object.text_or_empty("created"),
                     .created_by = object.text_or_empty("created_by"),
                     .comment = object.text_or_empty("comment")};
  if (const auto empty = object.find("empty_layer")) {
    entry.empty_layer = empty->flag();
  }
  return entry;
}

template <class Document>
Sealed<Document> keep(Document document, std::string bytes, std::string media_type,
                      std::string artifact_type) {
  Descriptor descriptor{.media_type = std::move(media_type),
                        .digest = Digest::of(bytes),
                        .size_bytes = bytes.size(),
                        .artifact_type = std::move(artifact_type)};
  return {std::move(document), std::move(bytes), std::move(descriptor)};
}

} // namespace

Sealed<Manifest> seal(Manifest manifest) {
  const std::string media_type = manifest.media_type;
  std::string artifact_type = manifest.artifact_type;
  return seal_as(std::move(manifest), media_type, std::move(artifact_type), max_manifest_bytes);
}

Sealed<Index> seal(Index index) {
  const std::string media_type = index.media_type;
  std::string artifact_type = index.artifact_type;
  return seal_as(std::move(index), media_type, std::move(artifact_type), max_manifest_bytes);
}

Sealed<Config> seal(Config config) {
  // Ports are the keys of an object: a set, whatever order they were declared in.
  auto& ports = config.exposed_ports;
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return seal_as(std::move(config), media_type::config, {}, max_config_bytes);
}

Sealed<Manifest> parse_manifest(std::string bytes, std::string_view name) {
  const nlohmann::json json = parse_object(bytes, name, max_manifest_bytes);
  const JsonReader root(json, name, {});
  Manifest manifest{.config = read_descriptor(root.get("config"))};
  read_common(root, manifest);
  check_kind(root, manifest.media_type, is_manifest, {"manifests"});
  manifest.layers = read_descriptors(root, "layers");
  std::string media_type = manifest.media_type;
  std::string artifact_type = manifest.artifact_type;
  return keep(std::move(manifest), std::move(bytes), std::move(media_type),
              std::move(artifact_type));
}

Sealed<Index> parse_index(std::string bytes, std::string_view name) {
  const nlohmann::json json = parse_object(bytes, name, max_manifest_bytes);
  const JsonReader root(json, name, {});
  Index index;
  read_common(root, index);
  check_kind(root, index.media_type, is_index, {"config", "layers"});
  index.manifests = read_descriptors(root, "manifests");
  std::string media_type = index.media_type;
  std::string artifact_type = index.artifact_type;
  return keep(std::move(index), std::move(bytes), std::move(media_type), std::move(artifact_type));
}

Sealed<Config> parse_config(std::string bytes, std::string_view name) {
  const nlohmann::json json = parse_object(bytes, name, max_config_bytes);
  const JsonReader root(json, name, {});
  Config config;
  config.created = root.text_or_empty("created");
  config.platform = read_platform(root);
  if (const auto run = root.find("config")) {
    config.user = run->text_or_empty("User");
    if (const auto ports = run->find("ExposedPorts")) {
      ports->for_each_member([&](const std::string& port, const JsonReader&) {
        config.exposed_ports.push_back(port);
      });
    }
    config.env = read_texts(*run, "Env");
    config.entrypoint = read_texts(*run, "Entrypoint");
    config.cmd = read_texts(*run, "Cmd");
    config.working_directory = run->text_or_empty("WorkingDir");
    config.stop_signal = run->text_or_empty("StopSignal");
    config.labels = read_map(*run, "Labels");
  }
  const JsonReader rootfs = root.get("rootfs");
  if (const JsonReader type = rootfs.get("type"); type.text() != "layers") {
    type.refuse("must be 'layers'");
  }
  if (const auto diff_ids = rootfs.find("diff_ids")) {
    diff_ids->for_each_element(
        [&](const JsonReader& field) { config.diff_ids.push_back(read_digest(field)); });
  }
  if (const auto history = root.find("history")) {
    history->for_each_element(
        [&](const JsonReader& entry) { config.history.push_back(read_history(entry)); });
  }
  return keep(std::move(config), std::move(bytes), std::string(media_type::config), {});
}

bool is_index(std::string_view media_type) noexcept {
  return media_type == media_type::index || media_type == media_type::docker_manifest_list;
}

bool is_manifest(std::string_view media_type) noexcept {
  return media_type == media_type::manifest || media_type == media_type::docker_manifest;
}

std::string rfc3339(std::int64_t seconds) {
  // RFC 3339 writes years with four digits. The calendar is computed here: gmtime and strftime
  // answer to the process's settings.
  constexpr std::int64_t year_0 = -62167219200;
  constexpr std::int64_t year_10000 = 253402300800;
  if (seconds < year_0 || seconds >= year_10000) {
    throw Error(ErrorCode::invalid_input, "cannot write time " + std::to_string(seconds) +
                                              ": it is outside the years 0000 to 9999");
  }
  const std::chrono::sys_seconds time{std::chrono::seconds{seconds}};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

} // namespace aipack::oci
