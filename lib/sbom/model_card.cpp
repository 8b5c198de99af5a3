#include "model_card.hpp"

#include <fmt/format.h>

namespace aipack::sbom {
namespace {

Json tensors(const std::vector<model::TensorInfo>& list) {
  Json formats = Json::array();
  for (const auto& tensor : list) {
    formats.push_back({{"format", tensor_text(tensor)}});
  }
  return formats;
}

/// Name and value pairs below "aipack:model:".
class Properties {
public:
  void add(std::string_view name, const std::string& value) {
    if (!value.empty()) {
      list_.push_back({{"name", fmt::format("aipack:model:{}", name)}, {"value", value}});
    }
  }
  void add(std::string_view name, std::uint64_t number) { add(name, std::to_string(number)); }
  Json take() { return std::move(list_); }

private:
  Json list_ = Json::array();
};

} // namespace

Json model_card(const model::Model& facts) {
  Json parameters = Json::object();
  if (!facts.inputs.empty()) {
    parameters["inputs"] = tensors(facts.inputs);
  }
  if (!facts.outputs.empty()) {
    parameters["outputs"] = tensors(facts.outputs);
  }

  Properties properties;
  properties.add("format", std::string(to_string(facts.format)));
  properties.add("ir_version", std::to_string(facts.ir_version));
  properties.add("producer", facts.producer_name);
  properties.add("producer_version", facts.producer_version);
  properties.add("domain", facts.domain);
  for (const auto& opset : facts.opsets) {
    properties.add(fmt::format("opset:{}", domain_text(opset.domain)),
                   std::to_string(opset.version));
  }
  for (const auto& use : facts.operators) {
    properties.add(fmt::format("operator:{}:{}", domain_text(use.domain), use.name), use.count);
  }
  properties.add("parameters", facts.parameter_count);
  properties.add("weight_bytes", facts.weight_bytes);
  properties.add("nodes", facts.node_count);
  properties.add("functions", facts.function_count);
  properties.add("subgraphs", facts.subgraph_count);
  for (const auto& [key, value] : facts.metadata) {
    properties.add("metadata:" + key, value);
  }
  for (const auto& finding : facts.findings) {
    properties.add(fmt::format("finding:{}:{}", to_string(finding.severity), finding.rule),
                   finding.message);
  }

  Json card = Json::object();
  if (!parameters.empty()) {
    card["modelParameters"] = std::move(parameters);
  }
  card["properties"] = properties.take();
  return card;
}

} // namespace aipack::sbom
