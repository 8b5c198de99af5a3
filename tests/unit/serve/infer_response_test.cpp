#include "infer_response.hpp"
#include "support/catch.hpp"

#include <cstring>

#include <nlohmann/json.hpp>

using namespace aipack::serve;

namespace {

Tensor numbers(std::string name) {
  const float values[2] = {1, 2.5F};
  Tensor tensor;
  tensor.name = std::move(name);
  tensor.element_type = ElementType::fp32;
  tensor.shape = {2};
  tensor.buffer = Buffer::allocate(sizeof values);
  std::memcpy(tensor.buffer.data(), values, sizeof values);
  return tensor;
}

} // namespace

TEST_CASE("a response in JSON", "[serve][infer_response]") {
  InferRequest request;
  request.id = "i\"";
  request.parameters = R"("p":1)";
  request.outputs = {{"y", false}};
  std::vector<Tensor> outputs{numbers("y")};
  outputs[0].parameters = R"("keys":"[0,1]")";
  const InferResponse response = write_infer_response("m", request, outputs);
  CHECK(response.header_bytes == 0);
  CHECK(nlohmann::json::parse(response.body) ==
        nlohmann::json::parse(R"({"model_name":"m","model_version":"1","id":"i\"",
    "parameters":{"p":1},"outputs":[{"name":"y","datatype":"FP32","shape":[2],"parameters":{"keys":"[0,1]"},"data":[1.0,2.5]}]})"));
}

TEST_CASE("a response with binary data behind its JSON part", "[serve][infer_response]") {
  InferRequest request;
  request.outputs = {{"y", true}, {"z", false}, {"w", true}};
  const std::vector<Tensor> outputs{numbers("y"), numbers("z"), numbers("w")};
  const InferResponse response = write_infer_response("m", request, outputs);
  REQUIRE(response.body.size() == response.header_bytes + 16);
  const auto document = nlohmann::json::parse(response.body.substr(0, response.header_bytes));
  CHECK(document["outputs"][0]["parameters"]["binary_data_size"] == 8);
  CHECK_FALSE(document["outputs"][0].contains("data"));
  CHECK(document["outputs"][1]["data"].size() == 2);
}
