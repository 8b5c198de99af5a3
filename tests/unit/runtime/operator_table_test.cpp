#include "aipack/core/error.hpp"
#include "aipack/runtime/operator_table.hpp"

#include "support/catch.hpp"

#include <string>

using namespace aipack;
using namespace aipack::runtime;

namespace {

OperatorTable table() {
  return OperatorTable::parse(
      R"({"type_sets": {"f": "float double", "i": "int64"}, "operators": {"": {
    "Max": {"1": "none", "8": "all", "12": [{"T": "f"}]},
    "OneHot": {"9": [{"T1": "i", "T2": "f"}, {"T1": "f"}]}}}})",
      "t.json");
}

std::optional<std::string> refusal(const std::string& name, std::int64_t opset,
                                   std::map<std::string, std::string> types = {}) {
  return table().refuse(
      {.domain = "", .name = name, .opset_version = opset, .types = std::move(types)});
}

} // namespace

TEST_CASE("OperatorTable judges the version that the opset means", "[runtime][operators]") {
  CHECK(table().size() == 4);
  CHECK(refusal("Max", 7) == "Max-1 is not implemented");
  CHECK_FALSE(refusal("Max", 8));
  CHECK_FALSE(refusal("Max", 11, {{"T", "int8"}}));
  CHECK(refusal("Max", 13, {{"T", "int8"}}) == "Max-12 is not implemented for T=int8");
  CHECK(refusal("Max", 0, {{"T", "int8"}}).has_value()); // not imported: the newest
}

TEST_CASE("OperatorTable knows which operators there are", "[runtime][operators]") {
  CHECK(refusal("Mix", 13) == "Mix is not an operator of ai.onnx 13");
  CHECK(refusal("OneHot", 8) == "OneHot is not an operator of ai.onnx 8");
  CHECK(table().refuse({.domain = "other", .name = "Max", .opset_version = 1}).has_value());
}

TEST_CASE("OperatorTable wants one kernel that takes every known type, and does not guess",
          "[runtime][operators]") {
  CHECK_FALSE(refusal("OneHot", 9, {{"T1", "int64"}, {"T2", "float"}}));
  CHECK(refusal("OneHot", 9, {{"T1", "int64"}, {"T2", "int64"}}).has_value());
  CHECK_FALSE(refusal("OneHot", 9, {{"T1", "float"}, {"T2", "int64"}}));
  CHECK_FALSE(refusal("OneHot", 9, {{"T1", "int64"}}));
  CHECK_FALSE(refusal("OneHot", 9));
}

TEST_CASE("OperatorTable refuses what is not a table", "[runtime][operators]") {
  const auto text = GENERATE(as<std::string>(), "", "{}", "[]",
                             R"({"type_sets": {}, "operators": {"": {"A": {"x": "all"}}}})",
                             R"({"type_sets": {}, "operators": {"": {"A": {"1": "some"}}}})",
                             R"({"type_sets": {}, "operators": {"": {"A": {"1": []}}}})",
                             R"({"type_sets": {}, "operators": {"": {"A": {"1": [{"T": "s9"}]}}}})",
                             R"({"type_sets": {}, "operators": {"": {"A": {"0": "all"}}}})",
                             R"({"type_sets": 1, "operators": {}})");
  CHECK_THROWS_AS(OperatorTable::parse(text, "t.json"), FormatError);
}
