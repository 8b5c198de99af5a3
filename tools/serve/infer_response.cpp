#include "infer_response.hpp"

#include "tensor_binary.hpp"
#include "tensor_json.hpp"
#include "text.hpp"

namespace aipack::serve {
namespace {

void append_shape(std::string& out, const Shape& shape) {
  out.push_back('[');
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out += (i == 0 ? "" : ",") + std::to_string(shape[i]);
  }
  out.push_back(']');
}

void append_output(std::string& out, const Tensor& tensor, bool binary) {
  out += "{\"name\":";
  append_json_string(out, tensor.name);
  out += ",\"datatype\":\"";
  out += datatype_name(tensor.element_type);
  out += "\",\"shape\":";
  append_shape(out, tensor.shape);
  std::string parameters = tensor.parameters;
  if (binary) {
    parameters += (parameters.empty() ? "" : ",");
    parameters += "\"binary_data_size\":" + std::to_string(binary_size(tensor));
  }
  if (!parameters.empty()) {
    out += ",\"parameters\":{" + parameters + "}";
  }
  if (!binary) {
    out += ",\"data\":";
    append_json_data(out, tensor);
  }
  out.push_back('}');
}

} // namespace

InferResponse write_infer_response(std::string_view model_name, const InferRequest& request,
                                   std::span<const Tensor> outputs) {
  InferResponse response;
  std::string& out = response.body;
  out += "{\"model_name\":";
  append_json_string(out, model_name);
  out += ",\"model_version\":\"";
  out += model_version;
  out += "\"";
  if (!request.id.empty()) {
    out += ",\"id\":";
    append_json_string(out, request.id);
  }
  if (!request.parameters.empty()) {
    out += ",\"parameters\":{" + request.parameters + "}";
  }
  out += ",\"outputs\":[";
  bool any_binary = false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (i != 0) {
      out.push_back(',');
    }
    append_output(out, outputs[i], request.outputs[i].binary);
    any_binary = any_binary || request.outputs[i].binary;
  }
  out += "]}";
  if (any_binary) {
    response.header_bytes = out.size();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (request.outputs[i].binary) {
        append_binary_data(out, outputs[i]);
      }
    }
  }
  return response;
}

} // namespace aipack::serve
