#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "element_type.hpp"
#include "onnx_reading.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace aipack::model::onnx {

// GraphProto: node 1, name 2, initializer 5, doc_string 10, input 11, output 12, value_info 13,
// quantization_annotation 14, sparse_initializer 15, metadata_props 16.
GraphResult Reading::read_graph(std::span<const Extent> pieces, Scope* outer,
                                const OpsetMap& opsets, Function* function, unsigned depth,
                                const FieldPath& path) {
  if (depth > limits_.max_graph_depth) {
    fail(window_, {nullptr, "graph"}, pieces.empty() ? 0 : pieces.front().begin,
         fmt::format("subgraphs are nested more than {} levels deep", limits_.max_graph_depth));
  }
  Scope scope{.outer = outer, .values = {}, .declared = {}};
  std::vector<TypeAndShape> inputs;
  std::vector<TypeAndShape> outputs;
  std::uint64_t initializers = 0;
  std::uint64_t sparse_initializers = 0;
  std::uint64_t nodes = 0;

  // First walk: everything that names and types values; nodes are stepped over.
  FieldReader declarations(window_, pieces, path);
  const auto define_weight = [&](const TensorSummary& tensor, std::string_view type,
                                 const FieldPath& tensor_path) {
    count_weight(tensor);
    keep(tensor.name.size());
    const Value value{.type = types_.intern(type), .is_weight = true, .bytes = tensor.bytes};
    if (!scope.values.emplace(tensor.name, value).second) {
      note("ONNX-GRAPH", Severity::warning,
           fmt::format("initializer {} occurs twice", quoted(tensor.name)), tensor_path);
    }
  };
  const auto type_name = [](std::uint64_t number) {
    const auto* type = find_element_type(number);
    return type == nullptr ? std::string_view() : type->name;
  };
  const auto declare = [&](const TypeAndShape& value) {
    if (!value.type_text.empty()) {
      keep(value.info.name.size());
      scope.declared.emplace(
          value.info.name, Declared{.type = types_.intern(value.type_text), .bytes = value.bytes});
    }
  };
  for (Field field; declarations.next(field);) {
    switch (field.number) {
    case 1:
      static_cast<void>(declarations.body(field));
      ++nodes;
      break;
    case 5: {
      const auto body = declarations.body(field);
      const FieldPath tensor_path{&path, "initializer", initializers++};
      const auto tensor = read_tensor(std::span(&body, 1), tensor_path);
      define_weight(tensor, type_name(tensor.type), tensor_path);
      break;
    }
    case 11:
      inputs.push_back(read_value_info(declarations.body(field), {&path, "input", inputs.size()}));
      keep(inputs.back().info.name.size());
      break;
    case 12:
      outputs.push_back(
          read_value_info(declarations.body(field), {&path, "output", outputs.size()}));
      declare(outputs.back());
      break;
    case 13:
      declare(read_value_info(declarations.body(field), {&path, "value_info"}));
      break;
    case 15: {
      const auto body = declarations.body(field);
      const FieldPath tensor_path{&path, "sparse_initializer", sparse_initializers++};
      ++model_.sparse_initializer_count;
      const auto tensor = read_sparse_tensor(body, tensor_path);
      define_weight(tensor, type_name(tensor.type), tensor_path); // operators see a dense tensor
      break;
    }
    default:
      break;
    }
  }
  if (nodes > std::numeric_limits<std::uint32_t>::max() - 2) {
    throw Error(ErrorCode::unsupported, fmt::format("cannot read {}: it has more than {} nodes",
                                                    quoted(window_.name()), limits_.max_nodes));
  }
  // Models before IR version 4 list their weights as inputs; later ones may, to say that a request
  // can replace them.
  std::erase_if(inputs,
                [&](const TypeAndShape& input) { return scope.values.contains(input.info.name); });
  for (const auto& input : inputs) {
    scope.values.emplace(input.info.name, Value{.type = types_.intern(input.type_text),
                                                .bytes = input.bytes.value_or(0)});
    untyped_values_ += !input.bytes && depth == 0 ? 1U : 0U;
  }

  // Second walk: nodes, in order.
  std::vector<std::uint64_t> nested(
      depth == 0 ? static_cast<std::size_t>(std::min<std::uint64_t>(nodes, limits_.max_nodes)) : 0);
  std::uint64_t nested_here = 0;
  FieldReader walk(window_, pieces, path);
  for (Field field; walk.next(field);) {
    if (field.number != 1) {
      continue;
    }
    const FieldPath node_path{&path, "node", scope.current};
    std::uint64_t nested_bytes = 0;
    process_node(read_node(walk.body(field), node_path), scope, opsets, function, depth,
                 nested_bytes, node_path);
    nested_here = std::max(nested_here, nested_bytes);
    if (scope.current < nested.size()) {
      nested[scope.current] = nested_bytes;
    }
    ++scope.current;
  }

  GraphResult result;
  for (const auto& output : outputs) {
    const auto [owner, value] = scope.find(output.info.name);
    if (value == nullptr) {
      note("ONNX-GRAPH", Severity::warning,
           fmt::format("output {} is not computed by any node", quoted(output.info.name)), path);
    } else if (owner == &scope) {
      value->last_use = scope.current;
    }
    result.outputs.push_back(
        value != nullptr && value->type != 0 ? value->type : types_.intern(output.type_text));
  }
  // Weights are resident all the time and counted apart; what else lives at node n is what was
  // defined by then and is used later.
  if (depth > 0) {
    for (const auto& [name, value] : scope.values) {
      result.live_bytes = value.is_weight
                              ? result.live_bytes
                              : try_add(result.live_bytes, value.bytes).value_or(result.live_bytes);
    }
    result.live_bytes = try_add(result.live_bytes, nested_here).value_or(result.live_bytes);
    return result;
  }
  std::vector<std::pair<std::uint64_t, std::uint64_t>> events(
      nested.size() + 2); // bytes that begin and end at each node
  for (const auto& [name, value] : scope.values) {
    if (!value.is_weight && value.defined_at < events.size() &&
        value.last_use + 1U < events.size()) {
      events[value.defined_at].first =
          try_add(events[value.defined_at].first, value.bytes).value_or(0);
      events[value.last_use + 1U].second =
          try_add(events[value.last_use + 1U].second, value.bytes).value_or(0);
    }
  }
  std::uint64_t live = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    live -= std::min(live, events[i].second);
    live = try_add(live, events[i].first).value_or(live);
    result.live_bytes = std::max(result.live_bytes,
                                 try_add(live, i < nested.size() ? nested[i] : 0).value_or(live));
  }
  for (auto& input : inputs) {
    model_.inputs.push_back(std::move(input.info));
  }
  for (auto& output : outputs) {
    model_.outputs.push_back(std::move(output.info));
  }
  return result;
}

// FunctionProto: name 1, input 4, output 5, attribute 6, node 7, doc_string 8, opset_import 9,
// domain 10, attribute_proto 11, value_info 12, overload 13.
void Reading::read_function_header(Extent body, const FieldPath& path) {
  Function function;
  function.body = body;
  FieldReader reader(window_, std::span(&body, 1), path);
  std::uint64_t opset_count = 0;
  for (Field field; reader.next(field);) {
    switch (field.number) {
    case 1:
      function.name = reader.text(field, limits_.max_string_bytes);
      break;
    case 4:
      function.inputs.push_back(reader.text(field, limits_.max_string_bytes));
      keep(function.inputs.back().size());
      break;
    case 9:
      read_opset(field, reader, {&path, "opset_import", opset_count++}, function.opsets);
      break;
    case 10:
      function.domain = normal_domain(reader.text(field, limits_.max_string_bytes));
      break;
    case 13:
      function.overload = reader.text(field, limits_.max_string_bytes);
      break;
    default:
      break;
    }
  }
  keep(function.name.size() + function.domain.size());
  if (function.opsets.empty()) {
    function.opsets = opsets_;
  }
  if (!function_index_
           .emplace(std::tuple(function.domain, function.name, function.overload),
                    functions_.size())
           .second) {
    note("ONNX-GRAPH", Severity::warning,
         fmt::format("function {} is defined twice", quoted(function.name)), path);
  }
  functions_.push_back(std::move(function));
}

void Reading::read_function(Function& function, std::size_t index, const FieldPath& path) {
  Scope scope;
  for (const auto& input : function.inputs) {
    scope.values.emplace(input, Value{});
  }
  FieldReader reader(window_, std::span(&function.body, 1), path);
  for (Field field; reader.next(field);) {
    if (field.number == 12) {
      const auto value = read_value_info(reader.body(field), {&path, "value_info"});
      if (!value.type_text.empty()) {
        keep(value.info.name.size());
        scope.declared.emplace(value.info.name, Declared{.type = types_.intern(value.type_text),
                                                         .bytes = value.bytes});
      }
    } else if (field.number == 11) {
      const auto attribute = read_attribute(reader.body(field), {&path, "attribute_proto"});
      if (!attribute.tensor.empty()) { // a default value; it may hide external data like any other
        static_cast<void>(read_tensor(attribute.tensor, {&path, "attribute_proto.t"}));
      }
    }
  }
  FieldReader walk(window_, std::span(&function.body, 1), path);
  for (Field field; walk.next(field);) {
    if (field.number != 7) {
      continue;
    }
    const FieldPath node_path{&path, "node", scope.current};
    std::uint64_t nested_bytes = 0;
    process_node(read_node(walk.body(field), node_path), scope, functions_[index].opsets,
                 &functions_[index], 0, nested_bytes, node_path);
    ++scope.current;
  }
}

/// Depth of the call tree below a function. Iterative depth is bounded: every level counts, and
/// recursion stops at the limit.
std::uint64_t Reading::deepest_call(std::size_t index, std::vector<std::uint64_t>& depth,
                                    std::vector<char>& state) {
  if (state[index] == 2) {
    return depth[index];
  }
  // An explicit stack: ten thousand functions in a row must not exhaust ours.
  struct Frame {
    std::size_t function;
    std::set<std::size_t>::const_iterator next;
  };
  std::vector<Frame> stack{{index, functions_[index].calls.begin()}};
  state[index] = 1;
  while (!stack.empty()) {
    auto& frame = stack.back();
    auto& function = functions_[frame.function];
    if (frame.next == function.calls.end()) {
      std::uint64_t below = 0;
      for (const auto callee : function.calls) {
        below = std::max(below, depth[callee]);
      }
      depth[frame.function] = below + 1;
      state[frame.function] = 2;
      stack.pop_back();
      continue;
    }
    const auto callee = *frame.next++;
    if (state[callee] == 1) {
      findings_.add("ONNX-RECURSION", Severity::error,
                    fmt::format("function {} calls itself", quoted(functions_[callee].name)),
                    fmt::format("functions[{}]", callee));
    } else if (state[callee] == 0) {
      state[callee] = 1;
      stack.push_back({callee, functions_[callee].calls.begin()});
    }
  }
  return depth[index];
}

void Reading::check_calls() {
  std::vector<std::uint64_t> depth(functions_.size(), 0);
  std::vector<char> state(functions_.size(), 0);
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    if (deepest_call(i, depth, state) > limits_.max_function_depth) {
      findings_.add("ONNX-RECURSION", Severity::error,
                    fmt::format("functions call each other more than {} levels deep",
                                limits_.max_function_depth),
                    fmt::format("functions[{}]", i));
      return;
    }
  }
}

} // namespace aipack::model::onnx
