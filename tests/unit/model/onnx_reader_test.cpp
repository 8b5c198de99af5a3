#include "aipack/core/error.hpp"
#include "aipack/model/model.hpp"

#include "support/catch.hpp"
#include "support/memory_access.hpp"
#include "support/onnx_builder.hpp"

#include <algorithm>
#include <string>

using namespace aipack;
using namespace aipack::model;
namespace onnx = aipack::test::onnx;

namespace {

Model read(const std::string& bytes, const Limits& limits = {}) {
  const test::MemoryAccess access(bytes);
  return inspect(ModelSource{.bytes = access, .name = "m.onnx", .directory = {}}, {}, limits);
}

bool has(const Model& model, std::string_view rule, Severity severity) {
  return std::ranges::any_of(model.findings, [&](const Finding& finding) {
    return finding.rule == rule && finding.severity == severity;
  });
}

bool is_clean(const Model& model) {
  return std::ranges::none_of(
      model.findings, [](const Finding& finding) { return finding.severity != Severity::info; });
}

const OperatorUse* use_of(const Model& model, std::string_view name) {
  const auto found = std::ranges::find(model.operator_uses, name, &OperatorUse::name);
  return found == model.operator_uses.end() ? nullptr : &*found;
}

/// A FormatError with a byte offset, whose message holds `text`.
void check_format_error(const std::string& bytes, const std::string& text,
                        const Limits& limits = {}) {
  try {
    static_cast<void>(read(bytes, limits));
    FAIL("the damaged model was read");
  } catch (const FormatError& error) {
    CHECK(error.code() == ErrorCode::corrupt);
    CHECK(error.offset().has_value());
    CHECK_THAT(error.message(), ContainsSubstring(text));
  }
}

} // namespace

TEST_CASE("inspect reports what a sound model says of itself", "[model][onnx]") {
  const auto model = read(onnx::Model{.graphs = {onnx::linear().bytes()},
                                      .opsets = {{"", 17}, {"ai.onnx.ml", 3}},
                                      .metadata = {{"license", "MIT"}, {"author", "nobody"}}}
                              .bytes());
  CHECK(model.format == ModelFormat::onnx);
  CHECK(model.ir_version == 8);
  CHECK(model.producer_name == "aipack-test");
  CHECK(model.producer_version == "1.0");
  CHECK(model.opsets ==
        std::vector<Opset>{{.domain = "", .version = 17}, {.domain = "ai.onnx.ml", .version = 3}});
  CHECK(model.operators ==
        std::vector<OperatorCount>{{.domain = "", .name = "Gemm", .count = 1},
                                   {.domain = "", .name = "Softmax", .count = 1}});
  REQUIRE(model.inputs.size() == 1);
  CHECK(model.inputs[0].name == "x");
  CHECK(model.inputs[0].element_type == "float");
  CHECK(model.inputs[0].shape_text() == "[batch, 4]");
  REQUIRE(model.outputs.size() == 1);
  CHECK(model.outputs[0].shape_text() == "[batch, 2]");
  CHECK(model.initializer_count == 2);
  CHECK(model.parameter_count == 10);
  CHECK(model.weight_bytes == 40);
  CHECK(model.external_bytes == 0);
  CHECK(model.node_count == 2);
  CHECK(model.license == "MIT");
  CHECK(model.metadata.at("author") == "nobody");
  CHECK(model.custom_domains.empty());
  CHECK(model.memory_bytes_estimate > (std::uint64_t{30} << 20));
  CHECK(is_clean(model));
  CHECK_NOTHROW(require_acceptable(model));
}

TEST_CASE("inspect derives the element types that operators are used with", "[model][onnx]") {
  onnx::Graph graph = onnx::linear();
  graph.nodes.push_back({.op_type = "Cast",
                         .inputs = {"scores"},
                         .outputs = {"whole"},
                         .attributes = {onnx::int_attribute("to", 7)}});
  graph.nodes.push_back({.op_type = "Abs", .inputs = {"whole"}, .outputs = {"positive"}});
  graph.nodes.push_back({.op_type = "Shape", .inputs = {"x"}, .outputs = {"shape"}});
  graph.nodes.push_back({.op_type = "Neg", .inputs = {"shape"}, .outputs = {"negative"}});
  const auto model = read(onnx::model_of(graph));
  REQUIRE(use_of(model, "Gemm") != nullptr);
  CHECK(use_of(model, "Gemm")->since_version == 13);
  CHECK(use_of(model, "Gemm")->opset_version == 17);
  CHECK(use_of(model, "Gemm")->types.at("T") == "float");
  CHECK(use_of(model, "Cast")->types.at("T2") == "int64");
  CHECK(use_of(model, "Abs")->types.at("T") == "int64");
  CHECK(use_of(model, "Neg")->types.at("T") == "int64");
}

TEST_CASE("inspect reads weights neither inline nor in pieces", "[model][onnx]") {
  constexpr std::size_t weight_bytes = std::size_t{8} << 20;
  onnx::Graph graph;
  for (int i = 0; i < 8; ++i) {
    graph.initializers.push_back(onnx::tensor("w" + std::to_string(i),
                                              {static_cast<std::int64_t>(weight_bytes / 4)},
                                              onnx::type_float, std::string(weight_bytes, 'x')));
  }
  const test::MemoryAccess access(onnx::model_of(graph));
  const auto model = inspect(ModelSource{.bytes = access, .name = "m.onnx"}, {});
  CHECK(model.weight_bytes == 8 * weight_bytes);
  CHECK(access.bytes_read() < (std::size_t{512} << 10));
}

TEST_CASE("inspect merges a graph that is written in pieces, as protobuf demands",
          "[model][onnx]") {
  auto first = onnx::linear();
  auto second =
      onnx::Graph{.nodes = {{.op_type = "Abs", .inputs = {"probabilities"}, .outputs = {"again"}}}};
  const auto model = read(onnx::Model{.graphs = {first.bytes(), second.bytes()}}.bytes());
  CHECK(model.node_count == 3);
  CHECK(is_clean(model));
}

TEST_CASE("inspect does not count weights as inputs, as models before IR version 4 list them",
          "[model][onnx]") {
  auto graph = onnx::linear();
  graph.inputs.push_back(onnx::value_info("w", onnx::type_float, {{.size = 4}, {.size = 2}}));
  const auto model = read(onnx::Model{.graphs = {graph.bytes()}, .ir_version = 3}.bytes());
  REQUIRE(model.inputs.size() == 1);
  CHECK(model.inputs[0].name == "x");
}

TEST_CASE("inspect counts operators of subgraphs and functions, and not calls as custom operators",
          "[model][onnx]") {
  auto graph = onnx::linear();
  graph.nodes.push_back(
      {.op_type = "If",
       .inputs = {"x"},
       .outputs = {"y"},
       .attributes = {onnx::graph_attribute("then_branch", onnx::linear().bytes())}});
  graph.nodes.push_back({.op_type = "Twice", .inputs = {"y"}, .outputs = {"z"}, .domain = "local"});
  const onnx::Function function{
      .domain = "local",
      .name = "Twice",
      .inputs = {"a"},
      .outputs = {"b"},
      .nodes = {{.op_type = "Add", .inputs = {"a", "a"}, .outputs = {"b"}}}};
  const auto model = read(onnx::Model{
      .graphs = {graph.bytes()},
      .opsets = {{"", 17}, {"local", 1}},
      .functions = {function}}.bytes());
  CHECK(model.subgraph_count == 1);
  CHECK(model.function_count == 1);
  CHECK(std::ranges::count(model.operators,
                           OperatorCount{.domain = "", .name = "Gemm", .count = 2}) == 1);
  CHECK(std::ranges::count(model.operators,
                           OperatorCount{.domain = "", .name = "Add", .count = 1}) == 1);
  CHECK(model.custom_domains.empty());
  CHECK_FALSE(has(model, "ONNX-CUSTOMOP", Severity::error));
  CHECK(use_of(model, "Twice") == nullptr);
}

TEST_CASE("inspect refuses operators that need a library of their own", "[model][onnx]") {
  auto graph = onnx::linear();
  graph.nodes.push_back(
      {.op_type = "Tokenize", .inputs = {"x"}, .outputs = {"t"}, .domain = "ai.onnx.contrib"});
  const auto model = read(
      onnx::Model{.graphs = {graph.bytes()}, .opsets = {{"", 17}, {"ai.onnx.contrib", 1}}}.bytes());
  CHECK(model.custom_domains == std::vector<std::string>{"ai.onnx.contrib"});
  CHECK(has(model, "ONNX-CUSTOMOP", Severity::error));
  CHECK_THROWS_AS(require_acceptable(model), Error);
}

TEST_CASE("inspect finds tensors whose values do not fit their shape", "[model][onnx]") {
  const auto [name, tensor] = GENERATE(table<std::string, std::string>({
      {"negative dimension", onnx::tensor("w", {-4, 2}, onnx::type_float, "")},
      {"overflow", onnx::tensor("w", {INT64_MAX, INT64_MAX}, onnx::type_float, "x")},
      {"too short", onnx::tensor("w", {4, 2}, onnx::type_float, std::string(31, 'x'))},
      {"no values", onnx::tensor("w", {4, 2}, onnx::type_float, "")},
      {"no elements but values", onnx::tensor("w", {0, 2}, onnx::type_float, "xxxx")},
      {"strings in raw data", onnx::tensor("w", {1}, onnx::type_string, "x")},
      {"unknown type", onnx::tensor("w", {4, 2}, 99, std::string(32, 'x'))},
      {"two value fields",
       onnx::tensor("w", {4, 2}, onnx::type_float, std::string(32, 'x')) +
           onnx::message([](auto& w) { w.add_string(4, std::string(32, 'x')); })},
  }));
  INFO(name);
  CHECK(has(read(onnx::model_of(onnx::linear_with(tensor))), "ONNX-TENSOR", Severity::error));
}

TEST_CASE("inspect warns about graphs that are not in order", "[model][onnx]") {
  auto graph = onnx::linear();
  SECTION("a node before its input") {
    std::swap(graph.nodes[0], graph.nodes[1]);
  }
  SECTION("a value defined twice") {
    graph.nodes.push_back(graph.nodes[1]);
  }
  SECTION("an initializer twice") {
    graph.initializers.push_back(graph.initializers[0]);
  }
  SECTION("an output that nothing computes") {
    graph.outputs.push_back(onnx::value_info("nowhere", 1, {}));
  }
  SECTION("a node without operator") {
    graph.nodes.push_back({.op_type = "", .inputs = {"x"}, .outputs = {"y"}});
  }
  SECTION("an attribute twice") {
    graph.nodes[1].attributes = {onnx::int_attribute("axis", 1), onnx::int_attribute("axis", 1)};
  }
  CHECK(has(read(onnx::model_of(graph)), "ONNX-GRAPH", Severity::warning));
}

TEST_CASE("inspect tells training, settings, vendor code and locales apart", "[model][onnx]") {
  auto graph = onnx::linear();
  SECTION("training information") {
    CHECK(has(read(onnx::Model{.graphs = {graph.bytes()}, .has_training_info = true}.bytes()),
              "ONNX-TRAINING", Severity::warning));
  }
  SECTION("settings for the runtime") {
    CHECK(has(
        read(onnx::Model{.graphs = {graph.bytes()}, .metadata = {{"ort_config", "{}"}}}.bytes()),
        "ONNX-ORTCONFIG", Severity::warning));
  }
  SECTION("compiled vendor code") {
    graph.nodes.push_back(
        {.op_type = "EPContext", .inputs = {"x"}, .outputs = {"y"}, .domain = "com.microsoft"});
    CHECK(has(read(onnx::model_of(graph)), "ONNX-EPCONTEXT", Severity::error));
  }
  SECTION("a locale") {
    graph.nodes.push_back({.op_type = "StringNormalizer",
                           .inputs = {"x"},
                           .outputs = {"y"},
                           .attributes = {onnx::string_attribute("case_change_action", "LOWER")}});
    const auto model = read(onnx::model_of(graph));
    CHECK(has(model, "ONNX-LOCALE", Severity::warning));
    CHECK(use_of(model, "StringNormalizer")->traits.at("locale") == "en_US.UTF-8");
  }
  SECTION("a locale that every image has") {
    graph.nodes.push_back({.op_type = "StringNormalizer",
                           .inputs = {"x"},
                           .outputs = {"y"},
                           .attributes = {onnx::string_attribute("case_change_action", "LOWER"),
                                          onnx::string_attribute("locale", "C.UTF-8")}});
    CHECK_FALSE(has(read(onnx::model_of(graph)), "ONNX-LOCALE", Severity::warning));
  }
}

TEST_CASE("inspect finds functions that call themselves, however long the way", "[model][onnx]") {
  std::vector<onnx::Function> functions;
  const auto calls = [](const std::string& from, const std::string& to) {
    return onnx::Function{
        .domain = "local",
        .name = from,
        .inputs = {"a"},
        .outputs = {"b"},
        .nodes = {{.op_type = to, .inputs = {"a"}, .outputs = {"b"}, .domain = "local"}},
        .opsets = {{"", 17}, {"local", 1}}};
  };
  SECTION("at once") {
    functions = {calls("f", "f")};
  }
  SECTION("through another") {
    functions = {calls("f", "g"), calls("g", "f")};
  }
  SECTION("a chain that is too long") {
    for (int i = 0; i < 150; ++i) {
      functions.push_back(calls("f" + std::to_string(i), "f" + std::to_string(i + 1)));
    }
  }
  const auto model =
      read(onnx::Model{.graphs = {onnx::linear().bytes()}, .functions = functions}.bytes());
  CHECK(has(model, "ONNX-RECURSION", Severity::error));
}

TEST_CASE("inspect accepts functions that call each other without a cycle", "[model][onnx]") {
  const onnx::Function inner{.domain = "local",
                             .name = "inner",
                             .inputs = {"a"},
                             .outputs = {"b"},
                             .nodes = {{.op_type = "Abs", .inputs = {"a"}, .outputs = {"b"}}}};
  const onnx::Function outer{
      .domain = "local",
      .name = "outer",
      .inputs = {"a"},
      .outputs = {"b"},
      .nodes = {{.op_type = "inner", .inputs = {"a"}, .outputs = {"b"}, .domain = "local"}}};
  CHECK(is_clean(
      read(onnx::Model{.graphs = {onnx::linear().bytes()}, .functions = {outer, inner}}.bytes())));
}

TEST_CASE("inspect names offset and place of damage", "[model][onnx]") {
  const auto sound = onnx::model_of(onnx::linear());
  SECTION("truncated anywhere") {
    for (std::size_t length = 1; length < sound.size(); ++length) {
      INFO("length " << length);
      try {
        static_cast<void>(read(sound.substr(0, length)));
      } catch (const Error& error) {
        CHECK((error.code() == ErrorCode::corrupt || error.code() == ErrorCode::invalid_input));
      }
    }
  }
  SECTION("a length beyond the end") {
    check_format_error(sound + std::string("\x3a\xff\xff\xff\xff\x0f", 6), "are left");
  }
  SECTION("a length of 2^63") {
    check_format_error(sound + std::string("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10),
                       "are left");
  }
  SECTION("a number that never ends") {
    check_format_error(sound + std::string("\x08") + std::string(11, '\xff'),
                       "longer than ten bytes");
  }
  SECTION("a group") {
    check_format_error(sound + std::string("\x0b\x0c", 2), "wire type 3");
  }
  SECTION("a graph that is a number") {
    check_format_error(sound + std::string("\x38\x01", 2), "should have a length");
  }
  SECTION("subgraphs without end") {
    CHECK_NOTHROW(read(onnx::nested(60)));
    check_format_error(onnx::nested(80), "more than 64 levels");
  }
  SECTION("damage deep inside says where") {
    auto graph = onnx::linear();
    graph.initializers.push_back(std::string("\x4a\x7f", 2));
    check_format_error(onnx::model_of(graph), "graph.initializer[2]");
  }
}

TEST_CASE("inspect says which field is not part of a model", "[model][onnx]") {
  const auto model =
      read(onnx::model_of(onnx::linear()) + onnx::message([](auto& w) { w.add_string(19, "x"); }));
  CHECK(has(model, "ONNX-STRUCT", Severity::error));
}

TEST_CASE("inspect refuses a model without a graph", "[model][onnx]") {
  CHECK_THROWS_AS(read(onnx::Model{}.bytes()), FormatError);
}

TEST_CASE("inspect holds its limits", "[model][onnx]") {
  auto graph = onnx::linear();
  const auto bytes = onnx::model_of(graph);
  const auto code_of = [&](const Limits& limits) {
    try {
      static_cast<void>(read(bytes, limits));
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::internal;
  };
  CHECK(code_of({.max_nodes = 1}) == ErrorCode::unsupported);
  CHECK(code_of({.max_initializers = 1}) == ErrorCode::unsupported);
  CHECK(code_of({.max_string_bytes = 3}) == ErrorCode::corrupt);
  CHECK(code_of({.max_text_bytes = 100}) == ErrorCode::unsupported);
  CHECK(code_of({.max_dimensions = 1}) == ErrorCode::corrupt);
}

TEST_CASE("inspect counts what it does not list", "[model][onnx]") {
  auto graph = onnx::linear();
  for (int i = 0; i < 100; ++i) {
    graph.nodes.push_back(
        {.op_type = "Abs", .inputs = {"missing"}, .outputs = {"o" + std::to_string(i)}});
  }
  const auto model = read(onnx::model_of(graph), {.max_findings_per_rule = 5});
  const auto count = std::ranges::count(model.findings, std::string("ONNX-GRAPH"), &Finding::rule);
  CHECK(count == 6);
  CHECK_THAT(model.findings.back().message + model.findings[5].message,
             ContainsSubstring("95 more"));
}

TEST_CASE("inspect stops when it is asked to", "[model][onnx]") {
  std::stop_source stop;
  stop.request_stop();
  const test::MemoryAccess access(onnx::model_of(onnx::linear()));
  try {
    static_cast<void>(
        inspect(ModelSource{.bytes = access, .name = "m"}, Operation{.stop = stop.get_token()}));
    FAIL("not stopped");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
}

TEST_CASE("the memory estimate counts packed weights twice and live values once", "[model][onnx]") {
  auto graph = onnx::linear();
  const auto without = read(onnx::model_of(graph)).memory_bytes_estimate;
  const std::string big(std::size_t{1} << 20, 'x');
  graph.initializers.push_back(onnx::tensor("big", {1 << 18}, onnx::type_float, big));
  const auto stored = read(onnx::model_of(graph)).memory_bytes_estimate;
  graph.nodes.push_back({.op_type = "MatMul", .inputs = {"x", "big"}, .outputs = {"y"}});
  const auto packed = read(onnx::model_of(graph)).memory_bytes_estimate;
  CHECK(stored - without == Approx(1.1 * (1 << 20)).margin(64));
  CHECK(packed - without == Approx(2.2 * (1 << 20)).margin(64));
}
