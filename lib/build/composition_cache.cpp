#include "composition_cache.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/version.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

#include "json_reader.hpp"
#include "runtime_json.hpp"
#include "user_files.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::build {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t max_entry_bytes = std::uint64_t{64} << 20;

Json dropped_json(const rootfs::Dropped& dropped) {
  return {dropped.what, dropped.package, dropped.size_bytes, dropped.reason};
}

rootfs::Dropped dropped_from(const JsonReader& json) {
  return {.what = json.text(0U),
          .package = json.text(1U),
          .size_bytes = json.number(2U),
          .reason = json.text(3U)};
}

Json script_json(const rootfs::ScriptVerdict& script) {
  return {script.package, script.script, script.digest, static_cast<int>(script.kind),
          script.effect};
}

rootfs::ScriptVerdict script_from(const JsonReader& json) {
  using Kind = rootfs::ScriptVerdict::Kind;
  const auto kind = json.number(3U);
  if (kind > static_cast<std::uint64_t>(Kind::unsupported)) {
    json.fail("no such kind of a script");
  }
  return {.package = json.text(0U),
          .script = json.text(1U),
          .digest = json.text(2U),
          .kind = static_cast<Kind>(kind),
          .effect = json.text(4U)};
}

Json layer_json(const image::Layer& layer) {
  const auto& descriptor = layer.blob->descriptor();
  return {{"purpose", to_string(layer.purpose)},
          {"title", layer.title},
          {"media_type", descriptor.media_type},
          {"digest", descriptor.digest.to_string()},
          {"size_bytes", descriptor.size_bytes},
          {"diff_id", layer.diff_id.to_string()},
          {"uncompressed_bytes", layer.uncompressed_bytes},
          {"file_count", layer.file_count}};
}

/// Empty when the store has lost the blob.
std::optional<image::Layer> layer_from(const JsonReader& json, const blob::BlobStore& store) {
  const oci::Descriptor descriptor{.media_type = json.text("media_type"),
                                   .digest = json.digest("digest"),
                                   .size_bytes = json.number("size_bytes")};
  auto blob = store.find(descriptor);
  if (!blob) {
    return std::nullopt;
  }
  return image::Layer{.purpose = image::parse_purpose(json.text("purpose")),
                      .title = json.text("title"),
                      .blob = std::move(blob),
                      .diff_id = json.digest("diff_id"),
                      .uncompressed_bytes = json.number("uncompressed_bytes"),
                      .file_count = json.number("file_count")};
}

/// The user's files by path, kind, mode and content.
Json user_files_json(const BuildRequest& request, const Operation& op) {
  Json list = Json::array();
  for (const auto& file : collect_user_files(request.files, 0, op)) {
    Json item{file.path.text(), static_cast<int>(file.entry.type), file.entry.mode,
              file.entry.link_target};
    if (file.entry.content) {
      const auto source = file.entry.content->open();
      item.push_back(codec::sha256(*source, op).hex());
    }
    list.push_back(std::move(item));
  }
  return list;
}

std::filesystem::path entry_file(const Context& context, const oci::Digest& key) {
  return context.compositions_dir() / (key.hex() + ".json");
}

} // namespace

oci::Digest composition_key(const Plan& plan, const ImagePlan& image, const Operation& op) {
  const auto& request = plan.request;
  Json packages = Json::array();
  for (const auto& choice : image.choices) {
    packages.push_back({choice.package.name, choice.package.version, choice.package.architecture,
                        choice.package.digest.hex()});
  }
  Json assumed = Json::array();
  for (const auto& [name, requirer] : image.assumed) {
    assumed.push_back({name, requirer});
  }
  const Json key{{"layout", layout_version},
                 {"aipack", version()},
                 {"codec", codec::codec_version(request.compression.codec)},
                 {"compression", request.compression.to_string()},
                 {"platform", image.platform.to_string()},
                 {"runtime", runtime_to_json(image.runtime)},
                 {"server", image.server_digest ? image.server_digest->hex() : ""},
                 {"packages", std::move(packages)},
                 {"assumed", std::move(assumed)},
                 {"whole", image.requested},
                 {"files", user_files_json(request, op)},
                 {"entrypoint", request.entrypoint},
                 {"user", request.user},
                 {"epoch", request.source_date_epoch ? Json(*request.source_date_epoch) : Json()},
                 {"waived", request.waived_scripts}};
  return oci::Digest::of(key.dump());
}

std::optional<PlatformLayers> find_composition(const Context& context, const oci::Digest& key) {
  const auto file = entry_file(context, key);
  std::error_code failed;
  if (!std::filesystem::is_regular_file(file, failed)) {
    return std::nullopt;
  }
  try {
    const auto document = JsonReader::parse(io::read_text_file(file, max_entry_bytes), "entry");
    const JsonReader json(document, "entry");
    PlatformLayers result;
    result.epoch = json.time("epoch");
    bool is_whole = true;
    json.each("layers", [&](const JsonReader& item) {
      if (auto layer = layer_from(item, context.layers)) {
        result.layers.push_back(std::move(*layer));
      } else {
        is_whole = false;
      }
    });
    if (!is_whole) {
      return std::nullopt;
    }
    json.each("dropped",
              [&](const JsonReader& item) { result.report.dropped.push_back(dropped_from(item)); });
    json.each("scripts",
              [&](const JsonReader& item) { result.report.scripts.push_back(script_from(item)); });
    result.report.notes = json.texts("notes");
    for (auto& name : json.texts("packages")) {
      result.report.packages.push_back({.package = {.name = std::move(name),
                                                    .version = {},
                                                    .architecture = {},
                                                    .source_suite = {},
                                                    .url = {},
                                                    .digest = key}});
    }
    return result;
  } catch (const Error&) {
    return std::nullopt; // a broken entry is no entry
  }
}

bool drop_damaged_layers(const Context& context, const Operation& op) {
  bool dropped = false;
  std::error_code failed;
  for (const auto& entry :
       std::filesystem::directory_iterator(context.layers.root() / "sha256", failed)) {
    const auto named = oci::Digest::try_from_hex(entry.path().filename().string());
    io::FileSource source(entry.path());
    if (named && codec::sha256(source, op) != *named) {
      dropped = std::filesystem::remove(entry.path(), failed) || dropped;
    }
  }
  return dropped;
}

void remember_composition(const Context& context, const oci::Digest& key,
                          const PlatformLayers& layers) noexcept {
  try {
    Json json{{"epoch", layers.epoch},
              {"layers", Json::array()},
              {"dropped", Json::array()},
              {"scripts", Json::array()}};
    for (const auto& layer : layers.layers) {
      json["layers"].push_back(layer_json(layer));
    }
    for (const auto& dropped : layers.report.dropped) {
      json["dropped"].push_back(dropped_json(dropped));
    }
    for (const auto& script : layers.report.scripts) {
      json["scripts"].push_back(script_json(script));
    }
    json["notes"] = layers.report.notes;
    json["packages"] = Json::array();
    for (const auto& choice : layers.report.packages) {
      json["packages"].push_back(choice.package.name);
    }
    io::write_file_atomically(entry_file(context, key), io::as_bytes(json.dump()));
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the next build composes again
  }
}

} // namespace aipack::build
