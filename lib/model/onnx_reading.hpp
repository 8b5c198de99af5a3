#pragma once

#include "aipack/model/model.hpp"

#include "external_data.hpp"
#include "findings.hpp"
#include "operator_schemas.hpp"
#include "proto_walker.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <protozero/pbf_reader.hpp>

/// What the sources of the ONNX reader share; included by onnx_*.cpp only. Its names (Node, Value,
/// Scope …) are those of ONNX, hence a namespace of their own.
namespace aipack::model::onnx {

/// Longer strings do not decide anything here.
inline constexpr std::uint64_t max_kept_attribute_bytes = 4096;

using TypeId = std::uint16_t; ///< 0: unknown

/// Types of values, interned: a graph has few of them and many values.
class TypeNames {
public:
  TypeId intern(std::string_view text) {
    if (text.empty()) {
      return 0;
    }
    if (const auto known = ids_.find(std::string(text)); known != ids_.end()) {
      return known->second;
    }
    if (names_.size() > max_types) {
      return 0;
    }
    names_.emplace_back(text);
    const auto id = static_cast<TypeId>(names_.size());
    ids_.emplace(names_.back(), id);
    return id;
  }
  [[nodiscard]] std::string_view name(TypeId id) const noexcept {
    return id == 0 ? std::string_view() : std::string_view(names_[id - 1U]);
  }

private:
  static constexpr std::size_t max_types = 1000;
  std::vector<std::string> names_;
  std::unordered_map<std::string, TypeId> ids_;
};

struct TypeAndShape {
  TensorInfo info;
  std::string type_text;                ///< "float", "seq(float)"; empty: unknown
  std::optional<std::uint64_t> bytes{}; ///< of a tensor with every symbolic dimension taken as 1
};

struct TensorSummary {
  std::string name;
  std::vector<std::int64_t> dims;
  std::uint64_t type = 0;
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
  bool is_external = false;
};

struct Attribute {
  std::string name;
  std::uint64_t type = 0;
  std::int64_t integer = 0;
  std::string text;
  std::uint64_t text_bytes = 0;
  bool has_integer = false;
  Pieces tensor;
  Pieces graph;
  std::vector<Extent> tensors;
  std::vector<Extent> graphs;
  std::vector<Extent> sparse_tensors;
  std::uint64_t list_size = 0;
};

struct Node {
  std::string name;
  std::string op_type;
  std::string domain;
  std::string overload;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<Attribute> attributes;

  [[nodiscard]] const Attribute* find(std::string_view attribute) const noexcept {
    const auto found = std::ranges::find(attributes, attribute, &Attribute::name);
    return found == attributes.end() ? nullptr : &*found;
  }
};

struct Value {
  TypeId type = 0;
  bool is_weight = false;
  bool is_heavy = false;   ///< a weight that a kernel may keep a second, packed copy of
  std::uint64_t bytes = 0; ///< of a weight as stored; of an activation when its shape is known
  std::uint32_t defined_at = 0;
  std::uint32_t last_use = 0;
};

struct Declared {
  TypeId type = 0;
  std::optional<std::uint64_t> bytes{};
};

/// Names of one graph. Those of outer graphs are visible inside subgraphs, not inside functions.
struct Scope {
  Scope* outer = nullptr;
  std::unordered_map<std::string, Value> values;
  std::unordered_map<std::string, Declared> declared; ///< value_info and outputs
  std::uint32_t current = 0;                          ///< index of the node being read

  [[nodiscard]] std::pair<Scope*, Value*> find(const std::string& name) {
    for (auto* scope = this; scope != nullptr; scope = scope->outer) {
      if (const auto found = scope->values.find(name); found != scope->values.end()) {
        return {scope, &found->second};
      }
    }
    return {nullptr, nullptr};
  }
};

struct GraphResult {
  std::vector<TypeId> outputs;
  std::uint64_t live_bytes = 0; ///< most that intermediate values need at one time
};

struct Function {
  std::string domain;
  std::string name;
  std::string overload;
  Extent body{};
  std::map<std::string, std::int64_t> opsets;
  std::vector<std::string> inputs;
  std::set<std::size_t> calls;
};

using OpsetMap = std::map<std::string, std::int64_t>;

/// "ai.onnx" and the empty domain are the same.
[[nodiscard]] inline std::string normal_domain(std::string domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

/// One reading of one model: what its messages have said so far. The messages are read where they
/// belong: onnx_reader.cpp the model, onnx_graph.cpp graphs and functions, onnx_nodes.cpp nodes,
/// onnx_tensors.cpp tensors and types.
class Reading {
public:
  Reading(const ModelSource& source, const Limits& limits, const Operation& op)
      : window_(source.bytes, source.name, op), limits_(limits),
        findings_(limits.max_findings_per_rule), external_(source.directory, findings_) {}

  Model run();

private:
  // onnx_reader.cpp: the model
  void read_top_level(const FieldPath& root);
  void read_opset(const Field& field, const FieldReader& reader, const FieldPath& path,
                  OpsetMap& opsets);
  void keep(std::size_t bytes);
  void note(std::string_view rule, Severity severity, std::string message, const FieldPath& path) {
    findings_.add(rule, severity, std::move(message), path.to_string());
  }

  // onnx_graph.cpp: graphs, functions and their calls
  GraphResult read_graph(std::span<const Extent> pieces, Scope* outer, const OpsetMap& opsets,
                         Function* function, unsigned depth, const FieldPath& path);
  void read_function_header(Extent body, const FieldPath& path);
  void read_function(Function& function, std::size_t index, const FieldPath& path);
  void check_calls();
  std::uint64_t deepest_call(std::size_t index, std::vector<std::uint64_t>& depth,
                             std::vector<char>& state);

  // onnx_nodes.cpp: nodes, their attributes, and the types of what they compute
  Node read_node(Extent body, const FieldPath& path);
  Attribute read_attribute(Extent body, const FieldPath& path);
  void process_node(const Node& node, Scope& scope, const OpsetMap& opsets, Function* function,
                    unsigned depth, std::uint64_t& nested_bytes, const FieldPath& path);
  std::vector<TypeId> infer(const Node& node, Scope& scope, const OperatorSchema* schema,
                            const std::vector<std::vector<TypeId>>& graph_outputs,
                            std::map<std::string, std::string>& bound);
  TypeId attribute_output(const Node& node, const std::vector<std::vector<TypeId>>& graph_outputs,
                          std::size_t output, const std::map<std::string, std::string>& bound);
  void count_use(const Node& node, std::int64_t opset_version, const OperatorSchema* schema,
                 std::map<std::string, std::string> bound);
  void special_operators(const Node& node, const FieldPath& path);

  // onnx_tensors.cpp: types, tensors and where their values are
  TypeAndShape read_value_info(Extent body, const FieldPath& path);
  void read_type(protozero::pbf_reader message, TypeAndShape& out, unsigned depth);
  TensorSummary read_tensor(std::span<const Extent> pieces, const FieldPath& path);
  TensorSummary read_sparse_tensor(Extent body, const FieldPath& path);
  void count_weight(const TensorSummary& tensor);

  Window window_;
  const Limits& limits_;
  Findings findings_;
  ExternalData external_;
  Model model_;
  TypeNames types_;

  Pieces graph_;
  std::vector<Extent> function_bodies_;
  OpsetMap opsets_;
  std::vector<Function> functions_;
  std::map<std::tuple<std::string, std::string, std::string>, std::size_t> function_index_;
  std::map<std::pair<std::string, std::string>, std::uint64_t> operators_;
  std::map<std::string, std::map<std::string, std::uint64_t>>
      foreign_; ///< domain → operators that need a library of their own
  std::map<std::string, std::uint64_t> unimported_;
  std::map<OperatorUse, std::uint64_t> uses_;
  std::uint64_t kept_bytes_ = 0;
  std::uint64_t constant_bytes_ = 0;
  std::uint64_t heavy_bytes_ = 0; ///< part of weights + constants
  std::uint64_t untyped_values_ = 0;
  bool overflow_ = false;
};

} // namespace aipack::model::onnx
