#include "operator_schemas.hpp"

#include "aipack/core/text.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <tuple>

namespace aipack::model {
namespace {

constexpr OperatorSchema schemas[] = {
#include "operator_schemas.inc"
};

constexpr std::array standard_domains{std::string_view(""),
                                      std::string_view("ai.onnx.ml"),
                                      std::string_view("ai.onnx.preview.training"),
                                      std::string_view("com.microsoft"),
                                      std::string_view("com.microsoft.nchwc"),
                                      std::string_view("ai.onnx.training")};

std::vector<Parameter> parse_parameters(std::string_view text) {
  std::vector<Parameter> parameters;
  if (text.empty()) {
    return parameters;
  }
  for (auto part : split(text, ';')) {
    Parameter parameter;
    if (!part.empty() && (part.back() == '*' || part.back() == '~')) {
      parameter.variadic = true;
      parameter.same_type = part.back() == '*';
      part.remove_suffix(1);
    }
    if (!part.empty() && part.front() == ':') {
      parameter.fixed = part.substr(1);
    } else {
      parameter.variable = part;
    }
    parameters.push_back(parameter);
  }
  return parameters;
}

} // namespace

const Parameter* Signature::at(const std::vector<Parameter>& parameters,
                               std::size_t index) noexcept {
  if (index < parameters.size()) {
    return &parameters[index];
  }
  return !parameters.empty() && parameters.back().variadic ? &parameters.back() : nullptr;
}

const OperatorSchema* find_schema(std::string_view domain, std::string_view name,
                                  std::int64_t opset_version) noexcept {
  const auto* after = std::upper_bound(
      std::begin(schemas), std::end(schemas), std::tuple(domain, name, opset_version),
      [](const auto& wanted, const OperatorSchema& schema) {
        return wanted < std::tuple(schema.domain, schema.name, schema.since_version);
      });
  if (after == std::begin(schemas)) {
    return nullptr;
  }
  const auto* found = std::prev(after);
  return found->domain == domain && found->name == name ? found : nullptr;
}

Signature parse_signature(std::string_view text) {
  const auto arrow = text.find('>');
  return {.inputs = parse_parameters(text.substr(0, arrow)),
          .outputs = parse_parameters(text.substr(arrow + 1))};
}

bool is_standard_domain(std::string_view domain) noexcept {
  return std::find(standard_domains.begin(), standard_domains.end(), domain) !=
         standard_domains.end();
}

} // namespace aipack::model
