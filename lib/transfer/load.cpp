#include "aipack/transfer/load.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/http/transport.hpp"
#include "aipack/image/annotation.hpp"
#include "aipack/image/archive.hpp"
#include "aipack/oci/reference.hpp"

#include "child_process.hpp"
#include "one_image.hpp"

#include <chrono>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace aipack::transfer {
namespace {

using Json = nlohmann::json;

/// Unpacking gigabytes takes an engine minutes in which it may say nothing.
constexpr std::chrono::milliseconds engine_timeout{600'000};
constexpr std::size_t max_line_bytes = std::size_t{64} << 10;

/// An engine's answer to a load: JSON records, one per line, of progress and at last of the result.
/// Source: Docker Engine API, "Import images"; moby, pkg/jsonmessage.
class LoadAnswer final : public io::ByteSink {
public:
  void write(std::span<const std::byte> bytes) override {
    for (const char c : io::as_text(bytes)) {
      if (c == '\n') {
        take_line();
      } else if (line_.size() < max_line_bytes) {
        line_ += c;
      }
    }
  }
  /// The reference or ID of what was loaded, or empty. Throws what the engine reported.
  std::string finish() {
    take_line();
    if (!error_.empty()) {
      throw Error(ErrorCode::io, fmt::format("cannot load the image: {}", quoted(error_)));
    }
    return loaded_;
  }

private:
  void take_line() {
    const auto record = Json::parse(line_, nullptr, false);
    line_.clear();
    if (!record.is_object()) {
      return;
    }
    const auto text = [&](const char* key) {
      const auto found = record.find(key);
      return found != record.end() && found->is_string() ? found->get<std::string>()
                                                         : std::string();
    };
    if (auto error = text("error"); !error.empty()) {
      error_ = std::move(error);
    }
    // "Loaded image: NAME:TAG", "Loaded image ID: sha256:…"
    const auto stream = text("stream");
    const auto colon = stream.find(": ");
    if (stream.starts_with("Loaded image") && colon != std::string::npos) {
      loaded_ = trim(std::string_view(stream).substr(colon + 2));
    }
  }

  std::string line_;
  std::string error_;
  std::string loaded_;
};

std::string message_of(const http::Response& response) {
  const auto json = Json::parse(response.body, nullptr, false);
  const auto message = json.is_object() ? json.find("message") : json.end();
  return message != json.end() && message->is_string() ? message->get<std::string>()
                                                       : std::string(trim(response.body));
}

/// An engine with Docker's API.
class EngineApi {
public:
  explicit EngineApi(const std::string& socket)
      : transport_(http::make_transport({.unix_socket = socket})) {}

  /// What it runs; empty when it does not say.
  std::optional<oci::Platform> platform(const Operation& op) {
    const auto response = transport_->perform({.url = "http://engine/version"}, op);
    const auto json = Json::parse(response.body, nullptr, false);
    const auto text = [&](const char* key) {
      return json.is_object() && json.contains(key) && json[key].is_string()
                 ? json[key].get<std::string>()
                 : std::string();
    };
    if (response.status != 200 || text("Os").empty() || text("Arch").empty()) {
      return std::nullopt;
    }
    return oci::Platform::parse(text("Os") + "/" + text("Arch"));
  }

  std::string load(const image::Archive& archive, const Operation& op) {
    LoadAnswer answer;
    http::Request request;
    request.method = "POST";
    request.url = "http://engine/images/load";
    request.headers = {{"Content-Type", "application/x-tar"}};
    request.sink = &answer;
    request.body = [&] { return archive.open("load image", op); };
    request.body_bytes = archive.size_bytes();
    request.stall_timeout = engine_timeout;
    request.answer_timeout = engine_timeout;
    request.min_bytes_per_second = 0;
    const auto response = transport_->perform(request, op);
    if (response.status / 100 != 2) {
      throw Error(ErrorCode::io, fmt::format("cannot load the image: the engine answered {}: {}",
                                             response.status, quoted(message_of(response))));
    }
    return answer.finish();
  }

private:
  std::unique_ptr<http::HttpTransport> transport_;
};

std::vector<std::string> tags_of(const LoadOptions& options) {
  return options.tag.empty() ? std::vector<std::string>() : std::vector{options.tag};
}

LoadReport report_of(const image::StoredImage& image, const ContainerEngine& engine) {
  return {.engine = engine.kind,
          .reference = {},
          .platform = image.platform,
          .config = image.config.descriptor().digest};
}

LoadReport load_docker_archive(Origin& origin, const ContainerEngine& engine,
                               const LoadOptions& options, const Operation& op) {
  const bool has_api = engine.program.empty();
  std::optional<EngineApi> api;
  auto platform = options.platform;
  if (has_api) {
    api.emplace(engine.socket);
    platform = platform ? platform : api->platform(op);
  }
  const auto image = open_one(origin, platform, std::filesystem::temp_directory_path(), op);
  const auto archive = image::docker_archive(image, tags_of(options), op);
  auto report = report_of(image, engine);
  report.sent_bytes = archive.size_bytes();
  if (has_api) {
    report.reference = api->load(archive, op);
  } else {
    const auto output =
        run_program({engine.program, "load", "--quiet"}, *archive.open("load image", op), op);
    // "Loaded image: NAME:TAG", with an (s) in older ones.
    const auto colon = output.rfind(": ");
    report.reference = colon == std::string::npos
                           ? std::string()
                           : trim(std::string_view(output).substr(colon + 2));
  }
  if (report.reference.empty()) {
    report.reference = options.tag.empty() ? report.config.to_string() : options.tag;
  }
  return report;
}

/// A name as containerd's users write it: with its registry. Source: containerd, reference/docker,
/// "ParseDockerRef".
std::string full_name(const std::string& tag) {
  const auto reference = oci::Reference::parse(tag);
  if (reference.tag().empty() || reference.digest()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot name an image {}: it must read NAME:TAG", quoted(tag)));
  }
  if (!reference.registry().empty()) {
    return tag;
  }
  const bool is_official = reference.repository().find('/') == std::string::npos;
  return fmt::format("docker.io/{}{}", is_official ? "library/" : "", tag);
}

image::Archive containerd_archive(const image::StoredImage& image, const std::string& name) {
  std::vector<blob::BlobPtr> blobs{
      blob::memory_blob(image.config.descriptor(), image.config.bytes()),
      blob::memory_blob(image.manifest.descriptor(), image.manifest.bytes())};
  for (const auto& layer : image.layers) {
    if (!layer.blob) {
      throw Error(ErrorCode::not_found, fmt::format("cannot load the layer {}: it is missing",
                                                    layer.descriptor.digest.to_string()));
    }
    blobs.push_back(layer.blob);
  }
  auto entry = image.manifest.descriptor();
  entry.platform = image.platform;
  // Source: containerd, images/annotations.go.
  entry.annotations["io.containerd.image.name"] = name;
  entry.annotations[std::string(image::annotation::ref_name)] = name.substr(name.rfind(':') + 1);
  return image::oci_archive(blobs, {std::move(entry)});
}

LoadReport load_containerd(Origin& origin, const ContainerEngine& engine,
                           const LoadOptions& options, const Operation& op) {
  if (options.tag.empty()) {
    throw Error(ErrorCode::invalid_input,
                "cannot load an image without a name: containerd knows images by name only")
        .with_hint("give it one with -t NAME:TAG");
  }
  const auto name = full_name(options.tag);
  const auto image = open_one(origin, options.platform, {}, op);
  const auto archive = containerd_archive(image, name);
  auto report = report_of(image, engine);
  report.reference = name;
  report.sent_bytes = archive.size_bytes();
  (void)run_program({engine.program, "--address", engine.socket, "--namespace",
                     options.containerd_namespace, "images", "import", "--platform",
                     image.platform.to_string(), "-"},
                    *archive.open("load image", op), op);
  return report;
}

} // namespace

LoadReport load(Origin& origin, const ContainerEngine& engine, const LoadOptions& options,
                const Operation& op) {
  return with_context(
      [&] {
        return engine.kind == EngineKind::containerd
                   ? load_containerd(origin, engine, options, op)
                   : load_docker_archive(origin, engine, options, op);
      },
      fmt::format("while loading {} into {}", quoted(origin.name()), to_string(engine.kind)));
}

} // namespace aipack::transfer
