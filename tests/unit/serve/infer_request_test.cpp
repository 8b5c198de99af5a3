#include "error.hpp"
#include "infer_request.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstring>

using namespace aipack::serve;
using namespace std::string_literals;

namespace {

ModelSignature signature() {
  ModelSignature out;
  out.name = "m";
  ValueSpec a{.name = "a",
              .element_type = ElementType::fp32,
              .dimensions = {{-1, "N"}, {2, ""}},
              .type_text = "tensor(float)"};
  ValueSpec s{.name = "s",
              .element_type = ElementType::bytes,
              .dimensions = {{-1, "N"}},
              .may_be_omitted = true,
              .type_text = "tensor(string)"};
  out.inputs = {a, s};
  out.outputs = {{.name = "y", .element_type = ElementType::fp32, .type_text = "tensor(float)"},
                 {.name = "z", .element_type = ElementType::int64, .type_text = "tensor(int64)"},
                 {.name = "odd", .kind = ValueKind::other, .type_text = "a sparse tensor"}};
  return out;
}

InferRequest parse(const std::string& json, const std::string& binary = "") {
  return parse_infer_request(signature(), json, binary);
}

const std::string a_json = R"({"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2]})";

} // namespace

TEST_CASE("a request is read whatever the order of its members", "[serve][infer_request]") {
  std::vector<std::string> members{R"("name":"a")", R"("datatype":"FP32")", R"("shape":[1,2])",
                                   R"("data":[1,2.5])", R"("x":{})"};
  std::ranges::sort(members);
  do {
    std::string text;
    for (const std::string& member : members) {
      text += (text.empty() ? "" : ",") + member;
    }
    const InferRequest request = parse("{\"inputs\":[{" + text + "}]}");
    float values[2];
    REQUIRE(request.inputs.at(0).buffer.size() == sizeof values);
    std::memcpy(values, request.inputs[0].buffer.data(), sizeof values);
    CHECK((values[0] == 1.0F && values[1] == 2.5F));
  } while (std::ranges::next_permutation(members).found);
}

TEST_CASE("without outputs the request wants all that can be carried, in JSON",
          "[serve][infer_request]") {
  const InferRequest request = parse("{\"inputs\":[" + a_json + "]}");
  REQUIRE(request.outputs.size() == 2);
  CHECK(request.outputs[0].name == "y");
  CHECK_FALSE(request.outputs[0].binary);
}

TEST_CASE("binary_data_output is the default of outputs that say nothing",
          "[serve][infer_request]") {
  const InferRequest request =
      parse(R"({"outputs":[{"name":"z"},{"name":"y","parameters":{"binary_data":false}}],
    "parameters":{"binary_data_output":true,"n":1},"inputs":[)" +
            a_json + "]}");
  CHECK(request.outputs[0].binary);
  CHECK_FALSE(request.outputs[1].binary);
  CHECK(request.parameters == R"("n":1)");
}

TEST_CASE("binary inputs take their bytes in order", "[serve][infer_request]") {
  const std::string json = R"({"inputs":[
    {"name":"s","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":6}},
    {"name":"a","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]})";
  const InferRequest request = parse(json, "\2\0\0\0hi"s + std::string(8, '\0'));
  CHECK(request.inputs[0].strings == std::vector<std::string>{"hi"});
  CHECK(request.inputs[1].buffer.size() == 8);
  CHECK_THROWS_WITH(parse(json, "\2\0\0\0hi"s + std::string(9, '\0')),
                    ContainsSubstring("1 bytes"));
  CHECK_THROWS_WITH(parse(json, "\2\0\0\0hi"s),
                    ContainsSubstring("input 'a'") &&
                        ContainsSubstring("0 bytes of binary data are left"));
}

TEST_CASE("wrong requests are refused with the input and the cause", "[serve][infer_request]") {
  const auto [json, message] = GENERATE(table<std::string, std::string>({
      {"{}", "\"inputs\" is missing"},
      {R"({"inputs":[]})", "input 'a' is missing"},
      {R"({"inputs":[{"name":"a","datatype":"FP32","shape":[1,2]}]})", "input 'a': it has neither"},
      {R"({"inputs":[{"name":"a","datatype":"FP64","shape":[1,2],"data":[1,2]}]})",
       "input 'a': datatype is FP64, the model takes FP32"},
      {R"({"inputs":[{"name":"b","datatype":"FP32","shape":[1,2],"data":[1,2]}]})",
       "input 'b': the model has no such input, it takes 'a', 's'"},
      {R"({"inputs":[{"data":[1,2]}]})", "input 0: \"name\" is missing"},
      {R"({"inputs":[{"data":[1,NaN,{]}]})", "at byte 27"},
      {R"({"inputs":[{"name":"a","name":"a"}]})", "\"name\" is there twice"},
      {R"({"id":"x","id":"y"})", "\"id\" is there twice"},
      {R"({"model_name":"n"})", "\"model_name\" is not 'm'"},
      {R"({"outputs":[{"name":"odd"}]})", "output 'odd': the model gives a sparse tensor"},
      {R"({"parameters":{"p":[1]}})", "'p' is neither"},
      {R"({"parameters":{"p":1,"p":1}})", "\"p\" is there twice"},
  }));
  CHECK_THROWS_WITH(parse(json), ContainsSubstring(message));
}
