#include "onnx_reader.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "element_type.hpp"
#include "external_data.hpp"
#include "findings.hpp"
#include "operator_schemas.hpp"
#include "proto_walker.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>

namespace aipack::model {
namespace {

using protozero::pbf_wire_type;

constexpr std::uint64_t max_type_bytes = std::uint64_t{1} << 20; ///< of one ValueInfoProto
constexpr std::uint64_t max_kept_attribute_bytes =
    4096;                                      ///< longer strings do not decide anything here
constexpr unsigned max_type_depth = 16;        ///< sequences of optionals of …
constexpr std::uint64_t external_location = 1; ///< TensorProto.DataLocation.EXTERNAL
constexpr std::uint64_t base_memory_bytes = std::uint64_t{30} << 20;

/// What each kept name costs beside its characters: the node of a hash map.
constexpr std::uint64_t bytes_per_name = 96;

// --- types of values: interned, because a graph has few of them and many values
// ------------------------------------------------

using TypeId = std::uint16_t; ///< 0: unknown

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

// --- what is kept of messages
// --------------------------------------------------------------------------------------------------

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

std::string normal_domain(std::string domain) {
  return domain == "ai.onnx" ? std::string() : domain;
}

std::string_view shown_domain(std::string_view domain) {
  return domain.empty() ? std::string_view("ai.onnx") : domain;
}

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

// --- one reading
// ---------------------------------------------------------------------------------------------------------------

class Reading {
public:
  Reading(const ModelSource& source, const Limits& limits, const Operation& op)
      : window_(source.bytes, source.name, op), limits_(limits),
        findings_(limits.max_findings_per_rule), external_(source.directory, findings_) {}

  Model run();

private:
  void read_top_level(const FieldPath& root);
  void read_opset(const Field& field, const FieldReader& reader, const FieldPath& path,
                  OpsetMap& opsets);
  void read_function_header(Extent body, const FieldPath& path);
  void check_calls();
  std::uint64_t deepest_call(std::size_t index, std::vector<std::uint64_t>& depth,
                             std::vector<char>& state);
  void read_function(Function& function, std::size_t index, const FieldPath& path);
  GraphResult read_graph(std::span<const Extent> pieces, Scope* outer, const OpsetMap& opsets,
                         Function* function, unsigned depth, const FieldPath& path);
  Node read_node(Extent body, const FieldPath& path);
  Attribute read_attribute(Extent body, const FieldPath& path);
  void process_node(const Node& node, Scope& scope, const OpsetMap& opsets, Function* function,
                    unsigned depth, std::uint64_t& nested_bytes, const FieldPath& path);
  TensorSummary read_tensor(std::span<const Extent> pieces, const FieldPath& path);
  TensorSummary read_sparse_tensor(Extent body, const FieldPath& path);
  TypeAndShape read_value_info(Extent body, const FieldPath& path);
  void read_type(protozero::pbf_reader message, TypeAndShape& out, unsigned depth);
  std::vector<TypeId> infer(const Node& node, Scope& scope, const OperatorSchema* schema,
                            const std::vector<std::vector<TypeId>>& graph_outputs,
                            std::map<std::string, std::string>& bound);
  TypeId attribute_output(const Node& node, const std::vector<std::vector<TypeId>>& graph_outputs,
                          std::size_t output, const std::map<std::string, std::string>& bound);
  void count_weight(const TensorSummary& tensor);
  void count_use(const Node& node, std::int64_t opset_version, const OperatorSchema* schema,
                 std::map<std::string, std::string> bound);
  void special_operators(const Node& node, const FieldPath& path);
  void keep(std::size_t bytes);
  void note(std::string_view rule, Severity severity, std::string message, const FieldPath& path) {
    findings_.add(rule, severity, std::move(message), path.to_string());
  }

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

void Reading::keep(std::size_t bytes) {
  kept_bytes_ += bytes + bytes_per_name;
  if (kept_bytes_ > limits_.max_text_bytes) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read {}: its names alone need more than {}",
                            quoted(window_.name()), human_bytes(limits_.max_text_bytes)));
  }
}

// ModelProto: ir_version 1, producer_name 2, producer_version 3, domain 4, model_version 5,
// doc_string 6, graph 7, opset_import 8, metadata_props 14, training_info 20, functions 25,
// configuration 26.
void Reading::read_top_level(const FieldPath& root) {
  const Extent whole{.begin = 0, .end = window_.size()};
  FieldReader reader(window_, std::span(&whole, 1), root);
  std::uint64_t opset_count = 0;
  for (Field field; reader.next(field);) {
    switch (field.number) {
    case 1:
      model_.ir_version = static_cast<std::int64_t>(reader.integer(field));
      break;
    case 2:
      model_.producer_name = reader.text(field, limits_.max_string_bytes);
      break;
    case 3:
      model_.producer_version = reader.text(field, limits_.max_string_bytes);
      break;
    case 4:
      model_.domain = reader.text(field, limits_.max_string_bytes);
      break;
    case 5:
      model_.model_version = static_cast<std::int64_t>(reader.integer(field));
      break;
    case 6:
      model_.description = reader.text(field, limits_.max_string_bytes);
      break;
    case 7:
      graph_.push_back(reader.body(field));
      break;
    case 8:
      read_opset(field, reader, {&root, "opset_import", opset_count++}, opsets_);
      break;
    case 14: {
      const FieldPath path{&root, "metadata_props", model_.metadata.size()};
      const auto body = reader.body(field);
      FieldReader entry(window_, std::span(&body, 1), path);
      std::string key;
      std::string value;
      for (Field part; entry.next(part);) {
        if (part.number == 1) {
          key = entry.text(part, limits_.max_string_bytes);
        } else if (part.number == 2) {
          value = entry.text(part, limits_.max_string_bytes);
        }
      }
      keep(key.size() + value.size());
      if (!model_.metadata.emplace(key, value).second) {
        note("ONNX-GRAPH", Severity::warning,
             fmt::format("metadata key {} occurs twice; the first value counts", quoted(key)),
             path);
      }
      break;
    }
    case 20:
      static_cast<void>(reader.body(field));
      model_.has_training_info = true;
      break;
    case 25:
      function_bodies_.push_back(reader.body(field));
      if (function_bodies_.size() > limits_.max_functions) {
        throw Error(ErrorCode::unsupported,
                    fmt::format("cannot read {}: it defines more than {} functions",
                                quoted(window_.name()), limits_.max_functions));
      }
      break;
    case 26:
      static_cast<void>(reader.body(field));
      break;
    default:
      findings_.add("ONNX-STRUCT", Severity::error,
                    fmt::format("field {} is not part of an ONNX model", field.number),
                    fmt::format("byte {}", field.at));
    }
  }
  if (graph_.empty()) {
    throw FormatError(window_.name(), std::nullopt, "the model has no graph");
  }
}

// OperatorSetIdProto: domain 1, version 2.
void Reading::read_opset(const Field& field, const FieldReader& reader, const FieldPath& path,
                         OpsetMap& opsets) {
  const auto body = reader.body(field);
  FieldReader entry(window_, std::span(&body, 1), path);
  std::string domain;
  std::int64_t version = 0;
  for (Field part; entry.next(part);) {
    if (part.number == 1) {
      domain = normal_domain(entry.text(part, max_kept_attribute_bytes));
    } else if (part.number == 2) {
      version = static_cast<std::int64_t>(entry.integer(part));
    }
  }
  keep(domain.size());
  if (const auto [known, added] = opsets.emplace(domain, version);
      !added && known->second != version) {
    note("ONNX-GRAPH", Severity::warning,
         fmt::format("opset {} is imported as version {} and as {}", quoted(shown_domain(domain)),
                     known->second, version),
         path);
    known->second = version;
  }
}

// ValueInfoProto: name 1, type 2. Small, so protozero reads it from memory.
TypeAndShape Reading::read_value_info(Extent body, const FieldPath& path) {
  const auto bytes = small_message(window_, std::span(&body, 1), path, max_type_bytes);
  TypeAndShape out;
  std::string type; // pieces of a repeated singular field, joined
  try {
    protozero::pbf_reader message(bytes);
    while (message.next()) {
      switch (message.tag_and_type()) {
      case protozero::tag_and_type(1, pbf_wire_type::length_delimited):
        out.info.name = message.get_string();
        break;
      case protozero::tag_and_type(2, pbf_wire_type::length_delimited):
        type += message.get_string();
        break;
      default:
        message.skip();
      }
    }
    read_type(protozero::pbf_reader(type), out, 0);
  } catch (const protozero::exception& error) {
    fail(window_, path, body.begin, fmt::format("the type is damaged ({})", error.what()));
  }
  return out;
}

// TypeProto: tensor_type 1 (elem_type 1, shape 2), sequence_type 4 (elem_type 1), map_type 5
// (key_type 1, value_type 2), sparse_tensor_type 8 (as tensor), optional_type 9 (elem_type 1);
// TensorShapeProto: dim 1 (dim_value 1, dim_param 2).
void Reading::read_type(protozero::pbf_reader message, TypeAndShape& out, unsigned depth) {
  if (depth > max_type_depth) {
    throw FormatError(window_.name(), std::nullopt,
                      fmt::format("the type of {} is nested too deeply", quoted(out.info.name)));
  }
  while (message.next()) {
    if (message.wire_type() != pbf_wire_type::length_delimited) {
      message.skip();
      continue;
    }
    const auto number = message.tag();
    if (number == 1 || number == 8) {
      auto tensor = message.get_message();
      std::uint64_t type = 0;
      std::optional<std::uint64_t> elements;
      while (tensor.next()) {
        if (tensor.tag_and_type() == protozero::tag_and_type(1, pbf_wire_type::varint)) {
          type = static_cast<std::uint64_t>(tensor.get_uint64());
        } else if (tensor.tag_and_type() ==
                   protozero::tag_and_type(2, pbf_wire_type::length_delimited)) {
          auto shape = tensor.get_message();
          out.info.has_shape = true;
          elements = 1;
          while (shape.next(1, pbf_wire_type::length_delimited)) {
            auto axis = shape.get_message();
            Dimension dimension;
            while (axis.next()) {
              if (axis.tag_and_type() == protozero::tag_and_type(1, pbf_wire_type::varint)) {
                dimension = axis.get_int64();
              } else if (axis.tag_and_type() ==
                         protozero::tag_and_type(2, pbf_wire_type::length_delimited)) {
                auto symbol = axis.get_string();
                dimension = symbol.empty() ? Dimension() : Dimension(std::move(symbol));
              } else {
                axis.skip();
              }
            }
            if (const auto* size = std::get_if<std::int64_t>(&dimension);
                size != nullptr && elements) {
              elements = *size >= 0 ? try_multiply(*elements, static_cast<std::uint64_t>(*size))
                                    : std::nullopt;
            }
            out.info.shape.push_back(std::move(dimension));
            if (out.info.shape.size() > limits_.max_dimensions) {
              throw FormatError(window_.name(), std::nullopt,
                                fmt::format("{} has more than {} dimensions", quoted(out.info.name),
                                            limits_.max_dimensions));
            }
          }
        } else {
          tensor.skip();
        }
      }
      const auto* element = find_element_type(type);
      const auto name = element != nullptr ? element->name : std::string_view();
      out.info.element_type = number == 1 ? std::string(name) : "sparse_tensor";
      out.type_text =
          number == 1 || name.empty() ? std::string(name) : fmt::format("sparse_tensor({})", name);
      if (elements && number == 1) {
        out.bytes = stored_bytes(*elements, type);
      }
    } else if (number == 4 || number == 9) {
      auto wrapper = message.get_message();
      TypeAndShape inner;
      while (wrapper.next()) {
        if (wrapper.tag_and_type() == protozero::tag_and_type(1, pbf_wire_type::length_delimited)) {
          read_type(wrapper.get_message(), inner, depth + 1);
        } else {
          wrapper.skip();
        }
      }
      out.info.element_type = number == 4 ? "sequence" : "optional";
      out.type_text =
          inner.type_text.empty()
              ? std::string()
              : fmt::format("{}({})", number == 4 ? "seq" : "optional", inner.type_text);
    } else if (number == 5) {
      auto map = message.get_message();
      std::uint64_t key = 0;
      TypeAndShape inner;
      while (map.next()) {
        if (map.tag_and_type() == protozero::tag_and_type(1, pbf_wire_type::varint)) {
          key = map.get_uint64();
        } else if (map.tag_and_type() ==
                   protozero::tag_and_type(2, pbf_wire_type::length_delimited)) {
          read_type(map.get_message(), inner, depth + 1);
        } else {
          map.skip();
        }
      }
      const auto* element = find_element_type(key);
      out.info.element_type = "map";
      out.type_text = element == nullptr || inner.type_text.empty()
                          ? std::string()
                          : fmt::format("map({},{})", element->name, inner.type_text);
    } else {
      message.skip();
    }
  }
}

// TensorProto: dims 1, data_type 2, segment 3, float_data 4, int32_data 5, string_data 6,
// int64_data 7, name 8, raw_data 9, double_data 10, uint64_data 11, external_data 13,
// data_location 14.
TensorSummary Reading::read_tensor(std::span<const Extent> pieces, const FieldPath& path) {
  TensorSummary tensor;
  ExternalEntries entries;
  std::uint64_t location = 0;
  struct Held {
    std::uint64_t bytes = 0;
    std::uint64_t elements_at_most = 0;
    bool present = false;
  };
  std::map<std::uint32_t, Held> held;
  FieldReader reader(window_, pieces, path);
  for (Field field; reader.next(field);) {
    switch (field.number) {
    case 1:
      append_integers(window_, field, path, limits_.max_dimensions, tensor.dims);
      break;
    case 2:
      tensor.type = reader.integer(field);
      break;
    case 8:
      tensor.name = reader.text(field, limits_.max_string_bytes);
      break;
    case 4:
    case 5:
    case 7:
    case 10:
    case 11: {
      auto& values = held[field.number];
      values.present = true;
      const auto unit = field.number == 4 ? 4U : field.number == 10 ? 8U : 1U;
      values.bytes += field.body.size();
      values.elements_at_most +=
          field.type == pbf_wire_type::length_delimited ? field.body.size() / unit : 1;
      break;
    }
    case 6: {
      auto& values = held[6];
      values.present = true;
      values.bytes += reader.body(field).size();
      values.elements_at_most += 1;
      break;
    }
    case 9:
      held[9] = {.bytes = reader.body(field).size(), .elements_at_most = 0, .present = true};
      break;
    case 13: {
      const auto body = reader.body(field);
      const FieldPath entry_path{&path, "external_data", entries.size()};
      FieldReader entry(window_, std::span(&body, 1), entry_path);
      std::pair<std::string, std::string> pair;
      for (Field part; entry.next(part);) {
        if (part.number == 1) {
          pair.first = entry.text(part, max_kept_attribute_bytes);
        } else if (part.number == 2) {
          pair.second = entry.text(part, max_kept_attribute_bytes);
        }
      }
      if (entries.size() < limits_.max_dimensions) {
        entries.push_back(std::move(pair));
      }
      break;
    }
    case 14:
      location = reader.integer(field);
      break;
    default:
      break;
    }
  }
  const auto where = [&] {
    return tensor.name.empty() ? path.to_string()
                               : fmt::format("{} {}", path.to_string(), quoted(tensor.name));
  };
  const auto broken = [&](std::string message) {
    findings_.add("ONNX-TENSOR", Severity::error, std::move(message), where());
  };

  std::optional<std::uint64_t> elements = 1;
  for (const auto dim : tensor.dims) {
    if (dim < 0) {
      broken(fmt::format("a tensor dimension is {}", dim));
      elements = std::nullopt;
      break;
    }
    elements = elements ? try_multiply(*elements, static_cast<std::uint64_t>(dim)) : std::nullopt;
    if (!elements) {
      broken("the product of the tensor's dimensions does not fit 64 bits");
      break;
    }
  }
  const auto* type = find_element_type(tensor.type);
  if (type == nullptr) {
    broken(fmt::format("element type {} does not exist", tensor.type));
  }
  std::erase_if(held, [](const auto& item) { return !item.second.present; });
  tensor.is_external = location == external_location;
  if (tensor.is_external) {
    const auto has_values =
        std::ranges::any_of(held, [](const auto& item) { return item.second.bytes > 0; });
    if (has_values) {
      broken("the tensor holds values and also refers to external data");
    }
    if (tensor.type == 8) {
      broken("strings cannot be external data");
    }
    const auto needed =
        elements && type != nullptr ? stored_bytes(*elements, tensor.type) : std::nullopt;
    tensor.bytes = external_.add(entries, needed, where());
    tensor.elements = elements.value_or(0);
    return tensor;
  }
  std::erase_if(held, [](const auto& item) { return item.second.bytes == 0 && item.first != 6; });
  std::uint64_t inline_bytes = 0;
  for (const auto& [number, values] : held) {
    inline_bytes += values.bytes;
  }
  if (elements && type != nullptr) {
    tensor.elements = *elements;
    const auto needed = stored_bytes(*elements, tensor.type);
    tensor.bytes = needed.value_or(inline_bytes);
    if (held.size() > 1) {
      broken("the tensor has values in more than one field");
    } else if (*elements == 0) {
      if (inline_bytes > 0) {
        broken("the tensor has no elements but holds values");
      }
    } else if (held.empty()) {
      broken(fmt::format("the tensor should have {} elements but holds no values", *elements));
    } else if (held.begin()->first == 9) {
      if (tensor.type == 8) {
        broken("strings cannot be raw data");
      } else if (!needed || inline_bytes < *needed) {
        broken(fmt::format("the tensor's raw data has {} bytes, its shape and type need {}",
                           inline_bytes,
                           needed ? fmt::format("{}", *needed) : "more than 64 bits can say"));
      } else if (inline_bytes > *needed) {
        findings_.add(
            "ONNX-TENSOR", Severity::warning,
            fmt::format("the tensor's raw data is {} bytes too long", inline_bytes - *needed),
            where());
      }
    } else if (held.begin()->first != value_field(tensor.type)) {
      broken(fmt::format("values of type {} are in field {}", type->name, held.begin()->first));
    } else {
      const auto at_most = held.begin()->second.elements_at_most;
      auto fields_needed =
          tensor.type == 14 || tensor.type == 15 ? try_multiply(*elements, 2) : elements;
      if (type->bits > 0 && type->bits < 8) {
        fields_needed = stored_bytes(*elements, tensor.type);
      }
      if (!fields_needed || at_most < *fields_needed) {
        broken(fmt::format("the tensor should have {} elements but holds at most {} values",
                           *elements, at_most));
      }
    }
  } else {
    tensor.bytes = inline_bytes;
  }
  return tensor;
}

// SparseTensorProto: values 1, indices 2 (int64, [NNZ] or [NNZ, rank]), dims 3.
TensorSummary Reading::read_sparse_tensor(Extent body, const FieldPath& path) {
  Pieces values_pieces;
  Pieces indices_pieces;
  std::vector<std::int64_t> dims;
  FieldReader reader(window_, std::span(&body, 1), path);
  for (Field field; reader.next(field);) {
    if (field.number == 1) {
      values_pieces.push_back(reader.body(field));
    } else if (field.number == 2) {
      indices_pieces.push_back(reader.body(field));
    } else if (field.number == 3) {
      append_integers(window_, field, path, limits_.max_dimensions, dims);
    }
  }
  auto values = read_tensor(values_pieces, {&path, "values"});
  const auto indices = read_tensor(indices_pieces, {&path, "indices"});
  const auto broken = [&](std::string message) {
    note("ONNX-TENSOR", Severity::error, std::move(message), path);
  };
  if (std::ranges::any_of(dims, [](std::int64_t dim) { return dim < 0; })) {
    broken("a dimension of the sparse tensor is negative");
  }
  if (values.dims.size() != 1) {
    broken("the values of a sparse tensor must have one dimension");
  } else if (indices.type != 7) {
    broken("the indices of a sparse tensor must be int64");
  } else if (indices.dims.empty() || indices.dims.size() > 2 ||
             indices.dims.front() != values.dims.front() ||
             (indices.dims.size() == 2 &&
              indices.dims.back() != static_cast<std::int64_t>(dims.size()))) {
    broken("the indices of a sparse tensor do not match its values");
  }
  values.bytes = try_add(values.bytes, indices.bytes).value_or(values.bytes);
  values.is_external = values.is_external || indices.is_external;
  values.dims = std::move(dims);
  return values;
}

void Reading::count_weight(const TensorSummary& tensor) {
  if (++model_.initializer_count > limits_.max_initializers) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read {}: it has more than {} initializers",
                            quoted(window_.name()), limits_.max_initializers));
  }
  const auto parameters = try_add(model_.parameter_count, tensor.elements);
  const auto bytes = try_add(model_.weight_bytes, tensor.bytes);
  const auto external = try_add(model_.external_bytes, tensor.is_external ? tensor.bytes : 0);
  if (!parameters || !bytes || !external) {
    overflow_ = true;
    return;
  }
  model_.parameter_count = *parameters;
  model_.weight_bytes = *bytes;
  model_.external_bytes = *external;
}

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

Model Reading::run() {
  const FieldPath root;
  model_.format = ModelFormat::onnx;
  read_top_level(root);
  if (model_.ir_version >= 3 && opsets_.empty()) {
    findings_.add("ONNX-STRUCT", Severity::error, "the model imports no opset");
  }
  if (opsets_.empty()) {
    opsets_.emplace("", 1);
  }
  for (std::size_t i = 0; i < function_bodies_.size(); ++i) {
    read_function_header(function_bodies_[i], {&root, "functions", i});
  }
  model_.function_count = functions_.size();
  const FieldPath graph_path{&root, "graph"};
  const auto graph = read_graph(graph_, nullptr, opsets_, nullptr, 0, graph_path);
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    read_function(functions_[i], i, {&root, "functions", i});
  }
  check_calls();

  for (const auto& [domain, version] : opsets_) {
    model_.opsets.push_back({.domain = domain, .version = version});
  }
  for (const auto& [key, count] : operators_) {
    model_.operators.push_back({.domain = key.first, .name = key.second, .count = count});
  }
  for (const auto& [use, count] : uses_) {
    model_.operator_uses.push_back(use);
    model_.operator_uses.back().count = count;
  }
  for (const auto& [domain, names] : foreign_) {
    model_.custom_domains.push_back(domain);
    std::string list;
    std::uint64_t nodes = 0;
    for (const auto& [name, count] : names) {
      nodes += count;
      if (list.size() < 200) {
        list += (list.empty() ? "" : ", ") + std::string(trim(quoted(name)));
      }
    }
    findings_.add(
        "ONNX-CUSTOMOP", Severity::error,
        fmt::format("{} nodes use operators of domain {}, which need a library of their own: {}",
                    nodes, quoted(domain), list));
  }
  for (const auto& [domain, count] : unimported_) {
    findings_.add(
        "ONNX-CUSTOMOP", Severity::warning,
        fmt::format("{} nodes use operators of domain {}, which the model does not import", count,
                    quoted(shown_domain(domain))));
  }
  if (model_.has_training_info) {
    findings_.add("ONNX-TRAINING", Severity::warning,
                  "the model carries training information, which serving does not use");
  }
  if (model_.metadata.contains("ort_config")) {
    findings_.add("ONNX-ORTCONFIG", Severity::warning,
                  "the model carries settings for ONNX Runtime (metadata 'ort_config'); images of "
                  "aipack ignore them");
  }
  for (const auto& use : model_.operator_uses) {
    if (const auto locale = use.traits.find("locale"); locale != use.traits.end()) {
      findings_.add("ONNX-LOCALE", Severity::warning,
                    fmt::format("{} compares words in the locale {}, which must be in the image",
                                use.name, quoted(locale->second)));
    }
  }
  if (overflow_) {
    findings_.add("ONNX-TENSOR", Severity::error,
                  "the sizes of all weights together do not fit 64 bits");
  }
  for (const auto* key : {"license", "licence", "License", "LICENSE"}) {
    if (const auto found = model_.metadata.find(key);
        found != model_.metadata.end() && model_.license.empty()) {
      model_.license = found->second;
    }
  }

  // Weights that kernels pack count 2.2 times, others 1.1 times; the arena grows by a quarter
  // beyond what lives at once (reference, section 4, measured on ONNX Runtime 1.21).
  const auto scaled = [](std::uint64_t bytes, std::uint64_t tenths) {
    return try_multiply(bytes, tenths).value_or(UINT64_MAX) / 10;
  };
  const auto all = try_add(model_.weight_bytes, constant_bytes_).value_or(UINT64_MAX);
  std::uint64_t estimate = base_memory_bytes;
  for (const auto part : {scaled(all, 11), scaled(std::min(heavy_bytes_, all), 11),
                          graph.live_bytes, graph.live_bytes / 4}) {
    estimate = try_add(estimate, part).value_or(UINT64_MAX);
  }
  model_.memory_bytes_estimate = estimate;
  if (untyped_values_ > 0) {
    findings_.add(
        "ONNX-MEMORY", Severity::info,
        fmt::format(
            "{} intermediate values have no shape in the file; the memory estimate leaves them out",
            untyped_values_));
  }
  model_.files = external_.finish();
  model_.findings = findings_.take();
  return std::move(model_);
}

} // namespace

bool OnnxReader::recognises(std::span<const std::byte> head) const noexcept {
  // A walk over the top-level fields that the head shows: all of them must be ModelProto's, with
  // its wire types, and one of them must be the IR version, the graph or an opset.
  const auto* data = reinterpret_cast<const char*>(head.data());
  protozero::pbf_reader reader(data, head.size());
  unsigned fields = 0;
  bool telling = false;
  try {
    while (reader.next()) {
      const auto number = reader.tag();
      const auto is_number = number == 1 || number == 5;
      const auto is_message = (number >= 2 && number <= 8 && number != 5) || number == 14 ||
                              number == 20 || number == 25 || number == 26;
      if ((!is_number && !is_message) ||
          reader.wire_type() !=
              (is_number ? pbf_wire_type::varint : pbf_wire_type::length_delimited)) {
        return fields >= 2 && telling; // something newer than this reader, after a good beginning
      }
      telling = telling || number == 1 || number == 7 || number == 8;
      ++fields;
      reader.skip();
    }
  } catch (const protozero::exception&) {
    return fields >= 1 && telling; // the head ends inside a field
  } catch (...) {
    return false;
  }
  return fields >= 1 && telling;
}

Model OnnxReader::read(const ModelSource& source, const Limits& limits, const Operation& op) const {
  return Reading(source, limits, op).run();
}

} // namespace aipack::model
