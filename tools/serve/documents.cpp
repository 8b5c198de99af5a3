#include "documents.hpp"

#include "infer_response.hpp"

#include <nlohmann/json.hpp>

namespace aipack::serve {
namespace {

using Json = nlohmann::ordered_json;

[[nodiscard]] std::string text_of(const Json& document, int indent = -1) {
  return document.dump(indent, ' ', false, Json::error_handler_t::replace);
}

[[nodiscard]] std::vector<Dimension> protocol_dimensions(const ValueSpec& spec) {
  switch (spec.kind) {
  case ValueKind::map: // the values, one a key
    return {Dimension{}};
  case ValueKind::map_sequence: // rows of values
    return {Dimension{}, Dimension{}};
  case ValueKind::tensor_sequence: { // stacked
    std::vector<Dimension> stacked{Dimension{}};
    stacked.insert(stacked.end(), spec.dimensions.begin(), spec.dimensions.end());
    return stacked;
  }
  case ValueKind::tensor:
  case ValueKind::optional_tensor:
  case ValueKind::other:
    return spec.dimensions;
  }
  return spec.dimensions;
}

/// "shape" has -1 for every dimension that is not fixed; "dimensions" beside it keeps the model's
/// symbols, and is left out when it would say nothing more.
[[nodiscard]] Json value_json(const ValueSpec& spec, bool carriable) {
  Json shape = Json::array();
  Json symbols = Json::array();
  bool any_symbol = false;
  for (const Dimension& d : protocol_dimensions(spec)) {
    shape.push_back(d.size);
    if (d.size < 0 && !d.symbol.empty()) {
      symbols.push_back(d.symbol);
      any_symbol = true;
    } else {
      symbols.push_back(d.size);
    }
  }
  Json out{
      {"name", spec.name},
      {"datatype", carriable ? datatype_name(spec.element_type) : std::string_view{"UNSUPPORTED"}},
      {"shape", shape}};
  if (any_symbol) {
    out["dimensions"] = symbols;
  }
  if (spec.may_be_omitted) {
    out["optional"] = true;
  }
  if (spec.kind != ValueKind::tensor) {
    out["onnx_type"] = spec.type_text;
  }
  return out;
}

[[nodiscard]] Json model_json(const ModelSignature& signature) {
  Json inputs = Json::array();
  for (const ValueSpec& spec : signature.inputs) {
    inputs.push_back(value_json(spec, is_carriable_input(spec)));
  }
  Json outputs = Json::array();
  for (const ValueSpec& spec : signature.outputs) {
    outputs.push_back(value_json(spec, is_carriable_output(spec)));
  }
  Json out{{"name", signature.name},
           {"versions", Json::array({model_version})},
           {"platform", "onnxruntime_onnx"},
           {"inputs", inputs},
           {"outputs", outputs}};
  if (!signature.metadata.empty()) {
    out["parameters"] = signature.metadata;
  }
  return out;
}

[[nodiscard]] Json server_json(const ServerFacts& facts) {
  return {{"name", server_name},
          {"version", facts.version},
          {"extensions", {"binary_tensor_data", "model_repository_index"}},
          {"runtime", {{"name", "onnxruntime"}, {"version", facts.runtime_version}}}};
}

} // namespace

std::string server_document(const ServerFacts& facts) {
  return text_of(server_json(facts));
}

std::string model_document(const ModelSignature& signature) {
  return text_of(model_json(signature));
}

std::string models_document(const Repository& repository) {
  Json models = Json::array();
  for (const auto& [name, model] : repository) {
    models.push_back(name);
  }
  return text_of({{"models", models}});
}

std::string index_document(const Repository& repository) {
  Json index = Json::array();
  for (const auto& [name, model] : repository) {
    index.push_back(
        {{"name", name}, {"version", model_version}, {"state", "READY"}, {"reason", ""}});
  }
  return text_of(index);
}

std::string error_document(std::string_view message) {
  return text_of({{"error", message}});
}

std::string check_document(const ServerFacts& facts, const Repository& repository) {
  Json models = Json::array();
  for (const auto& [name, model] : repository) {
    models.push_back(model_json(model->signature()));
  }
  Json out = server_json(facts);
  out["runtime"]["path"] = facts.runtime_path;
  out["models"] = models;
  return text_of(out, 2);
}

} // namespace aipack::serve
