#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "element_type.hpp"
#include "onnx_reading.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

namespace aipack::model::onnx {
namespace {

/// Operators whose kernels keep weights in a second, packed layout (measured on ONNX Runtime 1.21:
/// resident 2.1 times the file).
bool packs_weights(std::string_view op_type) {
  static constexpr std::array names{std::string_view("Conv"),
                                    std::string_view("ConvTranspose"),
                                    std::string_view("MatMul"),
                                    std::string_view("Gemm"),
                                    std::string_view("FusedMatMul"),
                                    std::string_view("FusedConv"),
                                    std::string_view("FusedGemm"),
                                    std::string_view("MatMulInteger"),
                                    std::string_view("ConvInteger"),
                                    std::string_view("MatMulNBits"),
                                    std::string_view("LSTM"),
                                    std::string_view("GRU"),
                                    std::string_view("RNN"),
                                    std::string_view("Attention"),
                                    std::string_view("QAttention"),
                                    std::string_view("DynamicQuantizeMatMul"),
                                    std::string_view("MatMulIntegerToFloat"),
                                    std::string_view("DynamicQuantizeLSTM"),
                                    std::string_view("MultiHeadAttention")};
  return op_type.starts_with("QLinear") || std::ranges::find(names, op_type) != names.end();
}

std::string_view inside(std::string_view text, std::string_view wrapper) {
  if (text.size() > wrapper.size() + 2 && text.starts_with(wrapper) &&
      text[wrapper.size()] == '(' && text.back() == ')') {
    return text.substr(wrapper.size() + 1, text.size() - wrapper.size() - 2);
  }
  return {};
}

} // namespace

// AttributeProto: name 1, f 2, i 3, s 4, t 5, g 6, floats 7, ints 8, strings 9, tensors 10, graphs
// 11, tp 14, type_protos 15, type 20, ref_attr_name 21, sparse_tensor 22, sparse_tensors 23.
Attribute Reading::read_attribute(Extent body, const FieldPath& path) {
  Attribute attribute;
  FieldReader reader(window_, std::span(&body, 1), path);
  for (Field field; reader.next(field);) {
    switch (field.number) {
    case 1:
      attribute.name = reader.text(field, limits_.max_string_bytes);
      break;
    case 3:
      attribute.integer = static_cast<std::int64_t>(reader.integer(field));
      attribute.has_integer = true;
      break;
    case 4:
      attribute.text_bytes = reader.body(field).size();
      if (attribute.text_bytes <= max_kept_attribute_bytes) {
        attribute.text = reader.text(field, max_kept_attribute_bytes);
      }
      break;
    case 5:
      attribute.tensor.push_back(reader.body(field));
      break;
    case 6:
      attribute.graph.push_back(reader.body(field));
      break;
    case 8:
    case 9:
      ++attribute.list_size;
      break;
    case 10:
      attribute.tensors.push_back(reader.body(field));
      break;
    case 11:
      attribute.graphs.push_back(reader.body(field));
      break;
    case 20:
      attribute.type = reader.integer(field);
      break;
    case 22:
    case 23:
      attribute.sparse_tensors.push_back(reader.body(field));
      break;
    default:
      break;
    }
  }
  return attribute;
}

// NodeProto: input 1, output 2, name 3, op_type 4, attribute 5, doc_string 6, domain 7, overload 8,
// metadata_props 9.
Node Reading::read_node(Extent body, const FieldPath& path) {
  Node node;
  std::vector<Extent> attributes;
  FieldReader reader(window_, std::span(&body, 1), path);
  for (Field field; reader.next(field);) {
    switch (field.number) {
    case 1:
      node.inputs.push_back(reader.text(field, limits_.max_string_bytes));
      break;
    case 2:
      node.outputs.push_back(reader.text(field, limits_.max_string_bytes));
      break;
    case 3:
      node.name = reader.text(field, limits_.max_string_bytes);
      break;
    case 4:
      node.op_type = reader.text(field, limits_.max_string_bytes);
      break;
    case 5:
      attributes.push_back(reader.body(field));
      break;
    case 7:
      node.domain = normal_domain(reader.text(field, limits_.max_string_bytes));
      break;
    case 8:
      node.overload = reader.text(field, limits_.max_string_bytes);
      break;
    default:
      break;
    }
  }
  node.attributes.reserve(attributes.size());
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    node.attributes.push_back(read_attribute(attributes[i], {&path, "attribute", i}));
  }
  return node;
}

/// What an output is when no input says so: the attributes that choose a type, and the structural
/// operators.
TypeId Reading::attribute_output(const Node& node,
                                 const std::vector<std::vector<TypeId>>& graph_outputs,
                                 std::size_t output,
                                 const std::map<std::string, std::string>& bound) {
  const auto& op = node.op_type;
  const auto get_bound = [&](const std::string& variable) {
    const auto found = bound.find(variable);
    return found == bound.end() ? std::string_view() : std::string_view(found->second);
  };
  const auto wrapped = [&](std::string_view wrapper, std::string_view inner) {
    return inner.empty() ? TypeId{0} : types_.intern(fmt::format("{}({})", wrapper, inner));
  };
  const auto element = [&](std::uint64_t number) {
    const auto* type = find_element_type(number);
    return type == nullptr ? std::string_view() : type->name;
  };
  std::string_view chosen;
  for (const auto* name : {"to", "dtype", "output_dtype", "output_datatype"}) {
    if (const auto* attribute = node.find(name);
        attribute != nullptr && attribute->has_integer && attribute->integer > 0) {
      chosen = element(static_cast<std::uint64_t>(attribute->integer));
    } else if (attribute != nullptr && op == "Cast" && !attribute->text.empty()) {
      std::string lower = attribute->text; // Cast-1 names the type: "FLOAT"
      std::ranges::transform(lower, lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      });
      return types_.intern(lower);
    }
  }
  if (op == "SequenceEmpty") {
    return wrapped("seq", chosen.empty() ? "float" : chosen);
  }
  if (!chosen.empty()) {
    return types_.intern(chosen);
  }
  if (op == "If" || op == "Loop" || op == "Scan") {
    const std::size_t skipped = op == "Loop" ? 1 : 0; // the body's first output is the condition
    for (const auto& outputs : graph_outputs) {
      if (output + skipped < outputs.size() && outputs[output + skipped] != 0) {
        return outputs[output + skipped];
      }
    }
    return 0;
  }
  if (op == "Constant" || op == "ConstantOfShape") {
    for (const auto& attribute : node.attributes) {
      if (attribute.name == "value" && !attribute.tensor.empty()) {
        std::uint64_t type = 0;
        const FieldPath path{nullptr, "value"};
        FieldReader reader(window_, attribute.tensor, path);
        for (Field field; reader.next(field);) {
          if (field.number == 2) {
            type = reader.integer(field);
          }
        }
        return types_.intern(element(type));
      }
      if (attribute.name.starts_with("value_int")) {
        return types_.intern("int64");
      }
      if (attribute.name.starts_with("value_float")) {
        return types_.intern("float");
      }
      if (attribute.name.starts_with("value_string")) {
        return types_.intern("string");
      }
    }
    return op == "ConstantOfShape" ? types_.intern("float") : TypeId{0};
  }
  static constexpr std::array float_by_default{
      std::string_view("RandomNormal"),   std::string_view("RandomUniform"),
      std::string_view("BlackmanWindow"), std::string_view("HammingWindow"),
      std::string_view("HannWindow"),     std::string_view("MelWeightMatrix")};
  if (std::ranges::find(float_by_default, op) != float_by_default.end()) {
    return types_.intern("float");
  }
  if (op == "RandomNormalLike" || op == "RandomUniformLike" || op == "EyeLike" ||
      op == "Bernoulli") {
    return types_.intern(get_bound("T1"));
  }
  if (op == "Multinomial") {
    return types_.intern("int32");
  }
  if (op == "QuantizeLinear" && node.inputs.size() < 3) {
    return types_.intern("uint8");
  }
  if (op == "SequenceConstruct" || op == "SplitToSequence") {
    return wrapped("seq", get_bound("T"));
  }
  if (op == "SequenceAt" || op == "ConcatFromSequence") {
    return types_.intern(inside(get_bound("S"), "seq"));
  }
  if (op == "Optional") {
    return wrapped("optional", get_bound("V"));
  }
  if (op == "OptionalGetElement") {
    const auto given = get_bound("O");
    const auto inner = inside(given, "optional");
    return types_.intern(inner.empty() ? given : inner);
  }
  if (op == "LabelEncoder" && node.domain == "ai.onnx.ml") {
    for (const auto& attribute : node.attributes) {
      if (attribute.name == "values_strings" || attribute.name == "values_int64s" ||
          attribute.name == "values_floats") {
        return types_.intern(attribute.name == "values_strings"  ? "string"
                             : attribute.name == "values_int64s" ? "int64"
                                                                 : "float");
      }
    }
  }
  if (op == "CategoryMapper" || (op == "LabelEncoder" && node.domain == "ai.onnx.ml" &&
                                 node.find("classes_strings") != nullptr)) {
    const auto given = get_bound("T1");
    return given.empty() ? TypeId{0} : types_.intern(given == "string" ? "int64" : "string");
  }
  return 0;
}

std::vector<TypeId> Reading::infer(const Node& node, Scope& scope, const OperatorSchema* schema,
                                   const std::vector<std::vector<TypeId>>& graph_outputs,
                                   std::map<std::string, std::string>& bound) {
  std::vector<TypeId> outputs(node.outputs.size(), 0);
  const auto declared_type = [&](std::size_t i) {
    const auto found = scope.declared.find(node.outputs[i]);
    return found == scope.declared.end() ? TypeId{0} : found->second.type;
  };
  if (schema == nullptr) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      outputs[i] = declared_type(i);
    }
    return outputs;
  }
  const auto signature = parse_signature(schema->signature);
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const auto* parameter = Signature::at(signature.inputs, i);
    if (parameter == nullptr || parameter->variable.empty() || !parameter->same_type ||
        node.inputs[i].empty()) {
      continue;
    }
    if (const auto* value = scope.find(node.inputs[i]).second;
        value != nullptr && value->type != 0) {
      bound.emplace(parameter->variable, types_.name(value->type));
    }
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto* parameter = Signature::at(signature.outputs, i);
    if (parameter == nullptr) {
      continue;
    }
    if (parameter->variable.empty()) {
      outputs[i] = types_.intern(parameter->fixed);
      continue;
    }
    if (const auto known = bound.find(std::string(parameter->variable));
        known != bound.end() && parameter->same_type) {
      outputs[i] = types_.intern(known->second);
      continue;
    }
    outputs[i] = attribute_output(node, graph_outputs, i, bound);
    if (outputs[i] == 0) {
      outputs[i] = declared_type(i);
    }
    if (outputs[i] != 0 && parameter->same_type) {
      bound.emplace(parameter->variable, types_.name(outputs[i]));
    }
  }
  return outputs;
}

void Reading::count_use(const Node& node, std::int64_t opset_version, const OperatorSchema* schema,
                        std::map<std::string, std::string> bound) {
  OperatorUse use{.domain = node.domain,
                  .name = node.op_type,
                  .opset_version = opset_version,
                  .since_version = schema == nullptr ? 0 : schema->since_version,
                  .types = std::move(bound)};
  if (const auto* layout = node.find("layout"); layout != nullptr && layout->integer != 0) {
    use.traits.emplace("layout", fmt::format("{}", layout->integer));
  }
  if (node.op_type == "StringNormalizer") {
    const auto* action = node.find("case_change_action");
    const auto* locale = node.find("locale");
    const auto changes_case = action != nullptr && !action->text.empty() && action->text != "NONE";
    // Stop words are compared through wide characters, whatever the case rules: measured, ONNX
    // Runtime asks for the locale when the session is created or at the first run.
    const auto* stop_words = node.find("stopwords");
    const auto compares = stop_words != nullptr && stop_words->list_size > 0;
    const auto name =
        locale == nullptr || locale->text.empty() ? std::string("en_US.UTF-8") : locale->text;
    if ((changes_case || compares) && name != "C.UTF-8" && name != "C.utf8" && name != "C" &&
        name != "POSIX") {
      use.traits.emplace("locale", name);
    }
  }
  const auto [known, added] = uses_.try_emplace(std::move(use), 0);
  if (added) {
    keep(known->first.name.size() + known->first.domain.size());
  }
  ++known->second;
}

void Reading::special_operators(const Node& node, const FieldPath& path) {
  if (node.op_type == "EPContext") {
    note("ONNX-EPCONTEXT", Severity::error,
         "an EPContext node holds code compiled for one vendor's hardware, which cannot be looked "
         "into",
         path);
  }
  if (node.op_type == "Gradient" ||
      (node.domain == "ai.onnx.preview.training" &&
       (node.op_type == "Adam" || node.op_type == "Adagrad" || node.op_type == "Momentum"))) {
    note("ONNX-TRAINING", Severity::warning,
         fmt::format("{} is an operator for training", node.op_type), path);
  }
}

void Reading::process_node(const Node& node, Scope& scope, const OpsetMap& opsets,
                           Function* function, unsigned depth, std::uint64_t& nested_bytes,
                           const FieldPath& path) {
  if (++model_.node_count > limits_.max_nodes) {
    throw Error(ErrorCode::unsupported, fmt::format("cannot read {}: it has more than {} nodes",
                                                    quoted(window_.name()), limits_.max_nodes));
  }
  if (node.op_type.empty()) {
    note("ONNX-GRAPH", Severity::warning, "the node names no operator", path);
  }
  for (const auto& input : node.inputs) {
    if (input.empty()) {
      continue;
    }
    const auto [owner, value] = scope.find(input);
    if (value == nullptr) {
      note("ONNX-GRAPH", Severity::warning,
           fmt::format("input {} of {} is not defined before it is used", quoted(input),
                       node.op_type),
           path);
      continue;
    }
    value->last_use = std::max(value->last_use, owner->current);
    if (value->is_weight && !value->is_heavy && packs_weights(node.op_type)) {
      value->is_heavy = true;
      heavy_bytes_ = try_add(heavy_bytes_, value->bytes).value_or(heavy_bytes_);
    }
  }
  std::unordered_set<std::string_view> attribute_names;
  std::vector<std::vector<TypeId>> graph_outputs;
  std::uint64_t constant_bytes = 0;
  for (std::size_t i = 0; i < node.attributes.size(); ++i) {
    const auto& attribute = node.attributes[i];
    const FieldPath attribute_path{&path, "attribute", i};
    if (!attribute_names.insert(attribute.name).second) {
      note("ONNX-GRAPH", Severity::warning,
           fmt::format("attribute {} occurs twice", quoted(attribute.name)), path);
    }
    const auto add_constant = [&](const TensorSummary& tensor) {
      constant_bytes = try_add(constant_bytes, tensor.bytes).value_or(constant_bytes);
    };
    if (!attribute.tensor.empty()) {
      add_constant(read_tensor(attribute.tensor, {&attribute_path, "t"}));
    }
    for (std::size_t k = 0; k < attribute.tensors.size(); ++k) {
      add_constant(
          read_tensor(std::span(&attribute.tensors[k], 1), {&attribute_path, "tensors", k}));
    }
    for (std::size_t k = 0; k < attribute.sparse_tensors.size(); ++k) {
      add_constant(
          read_sparse_tensor(attribute.sparse_tensors[k], {&attribute_path, "sparse_tensor", k}));
    }
    const auto subgraph = [&](std::span<const Extent> pieces, const FieldPath& graph_path) {
      ++model_.subgraph_count;
      auto result = read_graph(pieces, &scope, opsets, function, depth + 1, graph_path);
      nested_bytes = std::max(nested_bytes, result.live_bytes);
      graph_outputs.push_back(std::move(result.outputs));
    };
    if (!attribute.graph.empty()) {
      subgraph(attribute.graph, {&attribute_path, "g"});
    }
    for (std::size_t k = 0; k < attribute.graphs.size(); ++k) {
      subgraph(std::span(&attribute.graphs[k], 1), {&attribute_path, "graphs", k});
    }
  }
  constant_bytes_ = try_add(constant_bytes_, constant_bytes).value_or(constant_bytes_);

  // An operator of a domain with functions in the model is a call of one of them; they go before
  // operators of the same name.
  std::vector<TypeId> output_types(node.outputs.size(), 0);
  auto callee = function_index_.find({node.domain, node.op_type, node.overload});
  if (callee != function_index_.end()) {
    if (function != nullptr) {
      function->calls.insert(callee->second);
    }
    for (std::size_t i = 0; i < output_types.size(); ++i) {
      const auto found = scope.declared.find(node.outputs[i]);
      output_types[i] = found == scope.declared.end() ? TypeId{0} : found->second.type;
    }
  } else {
    const auto imported = opsets.find(node.domain);
    if (!is_standard_domain(node.domain)) {
      if (++foreign_[node.domain][node.op_type] == 1) {
        keep(node.op_type.size() + node.domain.size());
      }
    } else if (imported == opsets.end()) {
      ++unimported_[node.domain];
    }
    // ONNX Runtime takes the newest version of a domain that the model does not import.
    const auto version =
        imported == opsets.end() ? std::numeric_limits<std::int64_t>::max() : imported->second;
    const auto* schema = find_schema(node.domain, node.op_type, version);
    std::map<std::string, std::string> bound;
    output_types = infer(node, scope, schema, graph_outputs, bound);
    count_use(node, imported == opsets.end() ? 0 : imported->second, schema, std::move(bound));
  }
  const auto [known, added] = operators_.try_emplace({node.domain, node.op_type}, 0);
  if (added) {
    keep(node.op_type.size());
  }
  ++known->second;
  special_operators(node, path);

  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const auto& name = node.outputs[i];
    if (name.empty()) {
      continue;
    }
    Value value{.type = output_types[i], .defined_at = scope.current, .last_use = scope.current};
    const auto declared = scope.declared.find(name);
    if (node.op_type == "Constant") {
      value.is_weight = true;
      value.bytes = constant_bytes;
    } else if (declared != scope.declared.end() && declared->second.bytes) {
      value.bytes = *declared->second.bytes;
    } else {
      ++untyped_values_;
    }
    keep(name.size());
    if (!scope.values.emplace(name, value).second) {
      note("ONNX-GRAPH", Severity::warning,
           fmt::format("value {} is defined more than once", quoted(name)), path);
    }
  }
}

} // namespace aipack::model::onnx
