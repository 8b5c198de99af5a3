#include "element_type.hpp"
#include "operator_schemas.hpp"
#include "support/catch.hpp"

using namespace aipack::model;

TEST_CASE("find_schema gives the newest version that an opset includes", "[model][schemas]") {
  REQUIRE(find_schema("", "Add", 17) != nullptr);
  CHECK(find_schema("", "Add", 17)->since_version == 14);
  CHECK(find_schema("", "Add", 13)->since_version == 13);
  CHECK(find_schema("", "Add", 12)->since_version == 7);
  CHECK(find_schema("", "Gelu", 19) == nullptr);
  CHECK(find_schema("", "Gelu", 20)->since_version == 20);
  CHECK(find_schema("", "NoSuchOperator", 17) == nullptr);
  CHECK(find_schema("ai.onnx.ml", "TreeEnsembleClassifier", 3)->since_version == 3);
  CHECK(find_schema("com.microsoft", "FusedMatMul", 1) != nullptr);
  CHECK(find_schema("elsewhere", "Add", 17) == nullptr);
}

TEST_CASE("parse_signature reads variables, fixed types and variadic parameters",
          "[model][schemas]") {
  const auto loop = parse_signature(":int64;:bool;V~>V~");
  REQUIRE(loop.inputs.size() == 3);
  CHECK(loop.inputs[0].fixed == "int64");
  CHECK(loop.inputs[2].variable == "V");
  CHECK_FALSE(loop.inputs[2].same_type);
  CHECK(Signature::at(loop.inputs, 9) == &loop.inputs[2]);
  const auto constant = parse_signature(">T");
  CHECK(constant.inputs.empty());
  CHECK(Signature::at(constant.outputs, 1) == nullptr);
}

TEST_CASE("stored_bytes rounds packed types up and refuses what does not fit",
          "[model][element_type]") {
  CHECK(stored_bytes(3, 1) == 12);
  CHECK(stored_bytes(3, 22) == 2);  // int4
  CHECK(stored_bytes(5, 25) == 2);  // uint2
  CHECK(stored_bytes(3, 15) == 48); // complex128
  CHECK_FALSE(stored_bytes(3, 8));
  CHECK_FALSE(stored_bytes(UINT64_MAX, 1));
  CHECK(find_element_type(0) == nullptr);
  CHECK(find_element_type(27) == nullptr);
  CHECK(find_element_type(16)->name == "bfloat16");
}
