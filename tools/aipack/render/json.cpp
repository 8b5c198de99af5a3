#include "render/json.hpp"

#include "aipack/codec/sha256.hpp"
#include "aipack/core/overloaded.hpp"

#include "commands/commands.hpp"
#include "render/transfer.hpp"

#include <fmt/format.h>

namespace aipack::cli {

namespace {

Json shape_json(const model::TensorInfo& tensor) {
  if (!tensor.has_shape) {
    return nullptr;
  }
  Json shape = Json::array();
  for (const auto& dimension : tensor.shape) {
    std::visit(overloaded{[&](std::monostate) { shape.push_back(nullptr); },
                          [&](std::int64_t size) { shape.push_back(size); },
                          [&](const std::string& symbol) { shape.push_back(symbol); }},
               dimension);
  }
  return shape;
}

Json tensors_json(const std::vector<model::TensorInfo>& tensors) {
  Json list = Json::array();
  for (const auto& tensor : tensors) {
    list.push_back({{"name", tensor.name},
                    {"element_type", tensor.element_type},
                    {"shape", shape_json(tensor)}});
  }
  return list;
}

Json optional_digest(const std::optional<oci::Digest>& digest) {
  return digest ? Json(digest->to_string()) : Json(nullptr);
}

Json layer_json(const build::LayerReport& layer) {
  return {{"purpose", to_string(layer.purpose)},
          {"title", layer.title},
          {"diff_id", optional_digest(layer.diff_id)},
          {"digest", optional_digest(layer.digest)},
          {"media_type", layer.digest ? Json(layer.media_type) : Json(nullptr)},
          {"size_bytes", layer.digest ? Json(layer.size_bytes) : Json(nullptr)},
          {"uncompressed_bytes", layer.uncompressed_bytes},
          {"files", layer.files}};
}

Json platforms_json(const std::vector<build::PlatformReport>& platforms) {
  Json list = Json::array();
  for (const auto& platform : platforms) {
    list.push_back(to_json(platform));
  }
  return list;
}

std::string_view kind_name(rootfs::ScriptVerdict::Kind kind) {
  switch (kind) {
  case rootfs::ScriptVerdict::Kind::no_op:
    return "no_op";
  case rootfs::ScriptVerdict::Kind::emulated:
    return "emulated";
  case rootfs::ScriptVerdict::Kind::unsupported:
    return "unsupported";
  }
  return "unsupported";
}

} // namespace

Json to_json(const Error& error) {
  return {{"error",
           {{"code", to_string(error.code())},
            {"message", error.message()},
            {"context", error.context()},
            {"hint", error.hint()}}}};
}

Json to_json(const model::Model& model, const std::vector<build::RuntimeVerdict>& verdicts) {
  Json files = Json::array();
  for (const auto& file : model.files) {
    Json digest = nullptr; // of a large file: its layer's digest says it, once it is built
    if (file.size_bytes <= build::max_digested_bytes) {
      io::FileSource source(file.source);
      digest = codec::sha256(source, {}).to_string();
    }
    files.push_back({{"path", file.path}, {"size_bytes", file.size_bytes}, {"digest", digest}});
  }
  Json opsets = Json::array();
  for (const auto& opset : model.opsets) {
    opsets.push_back({{"domain", opset.domain}, {"version", opset.version}});
  }
  Json operators = Json::array();
  for (const auto& op : model.operators) {
    operators.push_back({{"domain", op.domain}, {"name", op.name}, {"count", op.count}});
  }
  Json findings = Json::array();
  for (const auto& finding : model.findings) {
    findings.push_back({{"rule", finding.rule},
                        {"severity", to_string(finding.severity)},
                        {"message", finding.message},
                        {"location", finding.location}});
  }
  Json runtimes = Json::array();
  for (const auto& verdict : verdicts) {
    runtimes.push_back(
        {{"name", verdict.name}, {"supported", verdict.supported}, {"reason", verdict.reason}});
  }
  return {{"format", to_string(model.format)},
          {"name", model.name},
          {"size_bytes", model.size_bytes()},
          {"files", std::move(files)},
          {"producer", {{"name", model.producer_name}, {"version", model.producer_version}}},
          {"domain", model.domain},
          {"description", model.description},
          {"model_version", model.model_version},
          {"ir_version", model.ir_version},
          {"opsets", std::move(opsets)},
          {"operators", std::move(operators)},
          {"custom_domains", model.custom_domains},
          {"inputs", tensors_json(model.inputs)},
          {"outputs", tensors_json(model.outputs)},
          {"initializer_count", model.initializer_count},
          {"parameter_count", model.parameter_count},
          {"weight_bytes", model.weight_bytes},
          {"memory_bytes_estimate", model.memory_bytes_estimate},
          {"metadata", model.metadata},
          {"license", model.license},
          {"findings", std::move(findings)},
          {"runtimes", std::move(runtimes)}};
}

Json to_json(const build::PlatformReport& report) {
  Json packages = Json::array();
  for (const auto& choice : report.packages) {
    packages.push_back({{"name", choice.package.name},
                        {"version", choice.package.version},
                        {"architecture", choice.package.architecture},
                        {"suite", choice.package.source_suite},
                        {"digest", choice.package.digest.to_string()},
                        {"size_bytes", choice.package.size_bytes},
                        {"required_by", choice.required_by},
                        {"relation", choice.relation}});
  }
  Json dropped = Json::array();
  for (const auto& item : report.dropped) {
    dropped.push_back({{"what", item.what},
                       {"package", item.package},
                       {"size_bytes", item.size_bytes},
                       {"reason", item.reason}});
  }
  Json scripts = Json::array();
  for (const auto& script : report.scripts) {
    scripts.push_back({{"package", script.package},
                       {"script", script.script},
                       {"digest", script.digest},
                       {"kind", kind_name(script.kind)},
                       {"effect", script.effect}});
  }
  Json layers = Json::array();
  for (const auto& layer : report.layers) {
    layers.push_back(layer_json(layer));
  }
  return {{"platform", report.platform.to_string()},
          {"runtime", report.runtime},
          {"digest", optional_digest(report.digest)},
          {"packages", std::move(packages)},
          {"dropped", std::move(dropped)},
          {"scripts", std::move(scripts)},
          {"notes", report.notes},
          {"layers", std::move(layers)},
          {"image_bytes", report.image_bytes},
          {"image_bytes_compressed",
           report.digest ? Json(report.image_bytes_compressed) : Json(nullptr)}};
}

Json to_json(const build::PlanReport& report) {
  return {{"platforms", platforms_json(report.platforms)}};
}

Json to_json(const build::BuildReport& report) {
  Json record{{"reference", report.reference},
              {"digest", report.digest.to_string()},
              {"platforms", platforms_json(report.platforms)},
              {"written",
               {{"new_bytes", report.written.new_bytes},
                {"reused_bytes", report.written.reused_bytes},
                {"cloned_bytes", report.written.cloned_bytes}}}};
  if (!report.pushed.empty()) {
    record["pushed"] = Json::array();
    std::uint64_t requests = 0;
    for (const auto& pushed : report.pushed) {
      record["pushed"].push_back(to_json(pushed));
      requests += pushed.requests;
    }
    record["requests"] = requests;
  }
  if (!report.loaded.empty()) {
    record["loaded"] = Json::array();
    for (const auto& loaded : report.loaded) {
      record["loaded"].push_back(to_json(loaded));
    }
  }
  const auto& attached = report.attached;
  record["attached"] = {{"signatures", attached.signatures},
                        {"attestations", attached.attestations},
                        {"documents", attached.documents},
                        {"present", attached.present}};
  record["notes"] = report.notes;
  return record;
}

Json to_json(const image::ImageSource& source, const std::string& reference) {
  Json images = Json::array();
  for (const auto& image : source.images()) {
    Json layers = Json::array();
    for (const auto& layer : image.layers) {
      layers.push_back(
          {{"purpose", layer.purpose ? Json(to_string(*layer.purpose)) : Json(nullptr)},
           {"title", layer.title},
           {"digest", layer.descriptor.digest.to_string()},
           {"diff_id", layer.diff_id.to_string()},
           {"media_type", layer.descriptor.media_type},
           {"size_bytes", layer.descriptor.size_bytes},
           {"files", layer.file_count ? Json(*layer.file_count) : Json(nullptr)}});
    }
    images.push_back({{"platform", image.platform.to_string()},
                      {"digest", image.manifest.descriptor().digest.to_string()},
                      {"annotations", image.manifest->annotations},
                      {"config", Json::parse(image.config.bytes())},
                      {"layers", std::move(layers)}});
  }
  return {
      {"reference", reference},
      {"digest", source.descriptor().digest.to_string()},
      {"media_type", source.descriptor().media_type},
      {"annotations", source.index() ? Json(source.index()->value().annotations) : Json::object()},
      {"images", std::move(images)},
      {"referrers", Json::array()}};
}

Json to_json(const std::vector<rootfs::ChainLink>& chain) {
  Json links = Json::array();
  for (const auto& link : chain) {
    links.push_back(
        {{"path", link.path.to_string()},
         {"rule", link.reason.rule},
         {"detail", link.reason.detail},
         {"from", link.reason.from ? Json(link.reason.from->to_string()) : Json(nullptr)},
         {"package", link.package}});
  }
  return {{"chain", std::move(links)}};
}

Json to_json(const runtime::Runtime& runtime) {
  Json platforms = Json::array();
  for (const auto& platform : runtime.platforms) {
    platforms.push_back(platform.to_string());
  }
  return {{"name", runtime.name},
          {"version", runtime.version},
          {"title", runtime.title},
          {"formats", runtime.formats},
          {"suite", runtime.suite},
          {"platforms", std::move(platforms)},
          {"packages", runtime.packages},
          {"max_ir_version", runtime.max_ir_version},
          {"max_opsets", runtime.max_opsets}};
}

Json to_json(const std::vector<build::CacheUsage>& usage) {
  Json kinds = Json::array();
  for (const auto& kind : usage) {
    kinds.push_back({{"kind", kind.kind}, {"files", kind.files}, {"size_bytes", kind.bytes}});
  }
  return kinds;
}

void print(const Json& record) {
  // Names inside models are the user's bytes: what is not UTF-8 is replaced, never a failure of the
  // report.
  print_text(record.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

} // namespace aipack::cli
