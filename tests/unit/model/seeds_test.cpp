#include "support/catch.hpp"
#include "support/onnx_builder.hpp"
#include "support/test_data.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace onnx = aipack::test::onnx;

namespace {

/// Every seed of tests/fuzz/seeds/onnx by name: sound models, and each way of being hostile that
/// the reader must survive.
std::map<std::string, std::string> seeds() {
  using namespace std::string_literals;
  const auto sound = onnx::model_of(onnx::linear());
  std::map<std::string, std::string> all{
      {"sound", sound},
      {"truncated", sound.substr(0, sound.size() / 2)},
      {"nested_60", onnx::nested(60)},
      {"nested_100", onnx::nested(100)},
      {"gigantic_length", sound + "\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"s},
      {"endless_number", sound + "\x08"s + std::string(11, '\xff')},
      {"group", sound + "\x0b\x0c"s},
      {"graph_in_pieces",
       onnx::Model{
           .graphs = {onnx::linear().bytes(),
                      onnx::Graph{.nodes = {{.op_type = "Abs", .inputs = {"x"}, .outputs = {"z"}}}}
                          .bytes()}}
           .bytes()},
      {"negative_dimension", onnx::model_of(onnx::linear_with(onnx::tensor("w", {-1, 2}, 1, "")))},
      {"overflowing_shape",
       onnx::model_of(onnx::linear_with(onnx::tensor("w", {INT64_MAX, INT64_MAX}, 1, "x")))},
  };
  const onnx::Function itself{
      .domain = "local",
      .name = "f",
      .inputs = {"a"},
      .outputs = {"b"},
      .nodes = {{.op_type = "f", .inputs = {"a"}, .outputs = {"b"}, .domain = "local"}}};
  all["function_calls_itself"] =
      onnx::Model{.graphs = {onnx::linear().bytes()}, .functions = {itself}}.bytes();
  const std::map<std::string, std::string> locations{{"parent", "../x"},
                                                     {"absolute", "/etc/passwd"},
                                                     {"memory", "*/_ORT_MEM_ADDR_/*"},
                                                     {"backslash", "..\\x"},
                                                     {"nul", "a\0b"s},
                                                     {"url", "file:///x"}};
  for (const auto& [name, location] : locations) {
    for (const auto& [place, bytes] : onnx::external_everywhere(location)) {
      auto file = "external_" + name + "_in_" + place;
      std::replace(file.begin(), file.end(), ' ', '_');
      all[file] = bytes;
    }
  }
  return all;
}

const std::filesystem::path folder =
    aipack::test::test_data().parent_path() / "fuzz/seeds/onnx";

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

} // namespace

TEST_CASE("the fuzz seeds are what the builder writes", "[model][seeds]") {
  // AIPACK_UPDATE_SEEDS=1 writes them anew.
  const auto update = std::getenv("AIPACK_UPDATE_SEEDS") != nullptr;
  for (const auto& [name, bytes] : seeds()) {
    if (update) {
      std::filesystem::create_directories(folder);
      std::ofstream(folder / name, std::ios::binary) << bytes;
    }
    INFO(name);
    CHECK(read(folder / name) == bytes);
  }
}
