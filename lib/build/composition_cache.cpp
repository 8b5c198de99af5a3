#include "composition_cache.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/version.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"

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

rootfs::Dropped dropped_from(const Json& json) {
  return {.what = json.at(0).get<std::string>(),
          .package = json.at(1).get<std::string>(),
          .size_bytes = json.at(2).get<std::uint64_t>(),
          .reason = json.at(3).get<std::string>()};
}

Json script_json(const rootfs::ScriptVerdict& script) {
  return {script.package, script.script, script.digest, static_cast<int>(script.kind),
          script.effect};
}

rootfs::ScriptVerdict script_from(const Json& json) {
  return {.package = json.at(0).get<std::string>(),
          .script = json.at(1).get<std::string>(),
          .digest = json.at(2).get<std::string>(),
          .kind = static_cast<rootfs::ScriptVerdict::Kind>(json.at(3).get<int>()),
          .effect = json.at(4).get<std::string>()};
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
std::optional<image::Layer> layer_from(const Json& json, const blob::BlobStore& store) {
  const oci::Descriptor descriptor{.media_type = json.at("media_type").get<std::string>(),
                                   .digest =
                                       oci::Digest::parse(json.at("digest").get<std::string>()),
                                   .size_bytes = json.at("size_bytes").get<std::uint64_t>()};
  auto blob = store.find(descriptor);
  if (!blob) {
    return std::nullopt;
  }
  return image::Layer{.purpose = image::parse_purpose(json.at("purpose").get<std::string>()),
                      .title = json.at("title").get<std::string>(),
                      .blob = std::move(blob),
                      .diff_id = oci::Digest::parse(json.at("diff_id").get<std::string>()),
                      .uncompressed_bytes = json.at("uncompressed_bytes").get<std::uint64_t>(),
                      .file_count = json.at("file_count").get<std::uint64_t>()};
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
    const auto json = Json::parse(io::read_text_file(file, max_entry_bytes));
    PlatformLayers result;
    result.epoch = json.at("epoch").get<std::int64_t>();
    for (const auto& item : json.at("layers")) {
      auto layer = layer_from(item, context.layers);
      if (!layer) {
        return std::nullopt;
      }
      result.layers.push_back(std::move(*layer));
    }
    for (const auto& item : json.at("dropped")) {
      result.report.dropped.push_back(dropped_from(item));
    }
    for (const auto& item : json.at("scripts")) {
      result.report.scripts.push_back(script_from(item));
    }
    result.report.notes = json.at("notes").get<std::vector<std::string>>();
    for (const auto& name : json.at("packages")) {
      result.report.packages.push_back({.package = {.name = name.get<std::string>(),
                                                    .version = {},
                                                    .architecture = {},
                                                    .source_suite = {},
                                                    .url = {},
                                                    .digest = key}});
    }
    return result;
  } catch (const Json::exception&) {
    return std::nullopt; // a broken entry is no entry
  } catch (const Error&) {
    return std::nullopt;
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
