#pragma once

/// Writes ONNX models, sound and hostile ones, with protozero. Field numbers are those of
/// onnx.proto.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <protozero/pbf_writer.hpp>

namespace aipack::test::onnx {

using Entries = std::vector<std::pair<std::string, std::string>>;
using Names = std::vector<std::string>;

inline constexpr std::int32_t type_float = 1;
inline constexpr std::int32_t type_int64 = 7;
inline constexpr std::int32_t type_string = 8;

template <class Fill>
std::string message(Fill&& fill) {
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  fill(writer);
  return bytes;
}

inline std::string entry(const std::string& key, const std::string& value) {
  return message([&](auto& w) {
    w.add_string(1, key);
    w.add_string(2, value);
  });
}

inline std::string opset_id(const std::string& domain, std::int64_t version) {
  return message([&](auto& w) {
    w.add_string(1, domain);
    w.add_int64(2, version);
  });
}

/// TensorProto with raw data.
inline std::string tensor(const std::string& name, const std::vector<std::int64_t>& dims,
                          std::int32_t type, const std::string& raw) {
  return message([&](auto& w) {
    for (const auto dim : dims) {
      w.add_int64(1, dim);
    }
    w.add_int32(2, type);
    w.add_string(8, name);
    w.add_string(9, raw);
  });
}

/// TensorProto whose values are elsewhere.
inline std::string external_tensor(const std::string& name, const std::vector<std::int64_t>& dims,
                                   const Entries& entries, std::int32_t type = type_float) {
  return message([&](auto& w) {
    for (const auto dim : dims) {
      w.add_int64(1, dim);
    }
    w.add_int32(2, type);
    w.add_string(8, name);
    for (const auto& [key, value] : entries) {
      w.add_message(13, entry(key, value));
    }
    w.add_int32(14, 1);
  });
}

/// One axis: a size, or a symbol when `symbol` is not empty.
struct Axis {
  std::int64_t size = 0;
  std::string symbol{};
};

inline std::string value_info(const std::string& name, std::int32_t type,
                              const std::vector<Axis>& shape) {
  const auto shape_bytes = message([&](auto& w) {
    for (const auto& axis : shape) {
      w.add_message(1, message([&](auto& dim) {
                      if (axis.symbol.empty()) {
                        dim.add_int64(1, axis.size);
                      } else {
                        dim.add_string(2, axis.symbol);
                      }
                    }));
    }
  });
  const auto tensor_type = message([&](auto& w) {
    w.add_int32(1, type);
    w.add_message(2, shape_bytes);
  });
  return message([&](auto& w) {
    w.add_string(1, name);
    w.add_message(2, message([&](auto& t) { t.add_message(1, tensor_type); }));
  });
}

inline std::string int_attribute(const std::string& name, std::int64_t value) {
  return message([&](auto& w) {
    w.add_string(1, name);
    w.add_int64(3, value);
    w.add_int32(20, 2);
  });
}

inline std::string string_attribute(const std::string& name, const std::string& value) {
  return message([&](auto& w) {
    w.add_string(1, name);
    w.add_string(4, value);
    w.add_int32(20, 3);
  });
}

inline std::string tensor_attribute(const std::string& name, const std::string& tensor_bytes) {
  return message([&](auto& w) {
    w.add_string(1, name);
    w.add_message(5, tensor_bytes);
    w.add_int32(20, 4);
  });
}

inline std::string graph_attribute(const std::string& name, const std::string& graph_bytes) {
  return message([&](auto& w) {
    w.add_string(1, name);
    w.add_message(6, graph_bytes);
    w.add_int32(20, 5);
  });
}

inline std::string sparse_tensor(const std::string& values, const std::string& indices,
                                 const std::vector<std::int64_t>& dims) {
  return message([&](auto& w) {
    w.add_message(1, values);
    w.add_message(2, indices);
    for (const auto dim : dims) {
      w.add_int64(3, dim);
    }
  });
}

inline std::string sparse_attribute(const std::string& name, const std::string& sparse) {
  return message([&](auto& w) {
    w.add_string(1, name);
    w.add_message(22, sparse);
    w.add_int32(20, 11);
  });
}

struct Node {
  std::string op_type;
  Names inputs{};
  Names outputs{};
  std::vector<std::string> attributes{};
  std::string domain{};

  [[nodiscard]] std::string bytes() const {
    return message([&](auto& w) {
      for (const auto& input : inputs) {
        w.add_string(1, input);
      }
      for (const auto& output : outputs) {
        w.add_string(2, output);
      }
      w.add_string(4, op_type);
      for (const auto& attribute : attributes) {
        w.add_message(5, attribute);
      }
      if (!domain.empty()) {
        w.add_string(7, domain);
      }
    });
  }
};

struct Graph {
  std::vector<Node> nodes{};
  std::vector<std::string> initializers{};
  std::vector<std::string> sparse_initializers{};
  std::vector<std::string> inputs{};
  std::vector<std::string> outputs{};
  std::vector<std::string> value_infos{};

  [[nodiscard]] std::string bytes() const {
    return message([&](auto& w) {
      for (const auto& node : nodes) {
        w.add_message(1, node.bytes());
      }
      w.add_string(2, "g");
      for (const auto& initializer : initializers) {
        w.add_message(5, initializer);
      }
      for (const auto& input : inputs) {
        w.add_message(11, input);
      }
      for (const auto& output : outputs) {
        w.add_message(12, output);
      }
      for (const auto& info : value_infos) {
        w.add_message(13, info);
      }
      for (const auto& sparse : sparse_initializers) {
        w.add_message(15, sparse);
      }
    });
  }
};

struct Function {
  std::string domain;
  std::string name;
  Names inputs{};
  Names outputs{};
  std::vector<Node> nodes{};
  std::vector<std::pair<std::string, std::int64_t>> opsets{{"", 17}};

  [[nodiscard]] std::string bytes() const {
    return message([&](auto& w) {
      w.add_string(1, name);
      for (const auto& input : inputs) {
        w.add_string(4, input);
      }
      for (const auto& output : outputs) {
        w.add_string(5, output);
      }
      for (const auto& node : nodes) {
        w.add_message(7, node.bytes());
      }
      for (const auto& [opset_domain, version] : opsets) {
        w.add_message(9, opset_id(opset_domain, version));
      }
      w.add_string(10, domain);
    });
  }
};

struct Model {
  std::vector<std::string> graphs{}; ///< more than one: pieces that readers must merge
  std::int64_t ir_version = 8;
  std::vector<std::pair<std::string, std::int64_t>> opsets{{"", 17}};
  Entries metadata{};
  std::vector<Function> functions{};
  bool has_training_info = false;

  [[nodiscard]] std::string bytes() const {
    return message([&](auto& w) {
      w.add_int64(1, ir_version);
      w.add_string(2, "aipack-test");
      w.add_string(3, "1.0");
      for (const auto& graph : graphs) {
        w.add_message(7, graph);
      }
      for (const auto& [domain, version] : opsets) {
        w.add_message(8, opset_id(domain, version));
      }
      for (const auto& [key, value] : metadata) {
        w.add_message(14, entry(key, value));
      }
      if (has_training_info) {
        w.add_message(20, std::string());
      }
      for (const auto& function : functions) {
        w.add_message(25, function.bytes());
      }
    });
  }
};

/// x[batch, 4] times w[4, 2] plus b[2]: the smallest thing that is a classifier.
inline Graph linear() {
  return {.nodes = {{.op_type = "Gemm", .inputs = {"x", "w", "b"}, .outputs = {"scores"}},
                    {.op_type = "Softmax", .inputs = {"scores"}, .outputs = {"probabilities"}}},
          .initializers = {tensor("w", {4, 2}, type_float, std::string(32, '\1')),
                           tensor("b", {2}, type_float, std::string(8, '\1'))},
          .inputs = {value_info("x", type_float, {{.symbol = "batch"}, {.size = 4}})},
          .outputs = {value_info("probabilities", type_float, {{.symbol = "batch"}, {.size = 2}})}};
}

/// The same with `initializer` as weight in place of the first.
inline Graph linear_with(const std::string& initializer) {
  auto graph = linear();
  graph.initializers.front() = initializer;
  return graph;
}

inline std::string model_of(const Graph& graph) {
  return Model{.graphs = {graph.bytes()}}.bytes();
}

/// `depth` subgraphs inside each other.
inline std::string nested(unsigned depth) {
  Graph graph{.nodes = {{.op_type = "Constant",
                         .outputs = {"c"},
                         .attributes = {int_attribute("value_int", 1)}}}};
  for (unsigned i = 0; i < depth; ++i) {
    auto inner = graph.bytes();
    graph = {.nodes = {{.op_type = "If",
                        .inputs = {"x"},
                        .outputs = {"y"},
                        .attributes = {graph_attribute("then_branch", inner)}}}};
  }
  return model_of(graph);
}

/// A location in each place where a tensor can stand.
inline std::vector<std::pair<std::string, std::string>>
external_everywhere(const std::string& location) {
  const auto weight =
      external_tensor("w", {4, 2}, {{"location", location}, {"offset", "0"}, {"length", "32"}});
  const auto indices = tensor("", {8}, type_int64, std::string(64, '\0'));
  const auto sparse =
      sparse_tensor(external_tensor("w", {8}, {{"location", location}}), indices, {4, 2});
  const Node constant{
      .op_type = "Constant", .outputs = {"w2"}, .attributes = {tensor_attribute("value", weight)}};
  auto in_constant = linear();
  in_constant.nodes.insert(in_constant.nodes.begin(), constant);
  auto in_sparse = linear();
  in_sparse.sparse_initializers.push_back(sparse);
  auto in_sparse_attribute = linear();
  in_sparse_attribute.nodes.push_back({.op_type = "Constant",
                                       .outputs = {"s"},
                                       .attributes = {sparse_attribute("sparse_value", sparse)}});
  auto in_subgraph = linear();
  in_subgraph.nodes.push_back(
      {.op_type = "If",
       .inputs = {"x"},
       .outputs = {"y"},
       .attributes = {graph_attribute("then_branch", linear_with(weight).bytes())}});
  const Function function{.domain = "local", .name = "f", .outputs = {"w2"}, .nodes = {constant}};
  return {{"initializer", model_of(linear_with(weight))},
          {"constant", model_of(in_constant)},
          {"sparse initializer", model_of(in_sparse)},
          {"sparse attribute", model_of(in_sparse_attribute)},
          {"subgraph", model_of(in_subgraph)},
          {"function", Model{.graphs = {linear().bytes()}, .functions = {function}}.bytes()}};
}

} // namespace aipack::test::onnx
