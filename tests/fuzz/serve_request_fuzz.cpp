// An inference request against a model that takes many element types: the JSON part, and after a
// zero byte the binary part.
#include "error.hpp"
#include "infer_request.hpp"
#include "infer_response.hpp"

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

using namespace aipack::serve;

namespace {

ValueSpec spec(std::string name, ElementType type, std::vector<Dimension> dimensions) {
  ValueSpec out;
  out.name = std::move(name);
  out.element_type = type;
  out.rank_known = !dimensions.empty();
  out.dimensions = std::move(dimensions);
  out.may_be_omitted = true;
  return out;
}

/// Every input can be left out, and every output is one of the inputs.
ModelSignature make_signature() {
  ModelSignature out;
  out.name = "m";
  for (int number = 1; number <= static_cast<int>(ElementType::int4); ++number) {
    const auto type = static_cast<ElementType>(number);
    if (is_feedable(type)) {
      out.inputs.push_back(spec(std::string(datatype_name(type)), type, {}));
    }
  }
  out.inputs.push_back(spec("a", ElementType::fp32, {{-1, "N"}, {3, ""}}));
  out.inputs.push_back(spec("b", ElementType::bytes, {{-1, "N"}}));
  out.outputs = out.inputs;
  return out;
}

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ModelSignature signature = make_signature();
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = std::min(all.find('\0'), size);
  const std::string_view binary = all.substr(std::min(zero + 1, size));
  try {
    InferRequest request = parse_infer_request(signature, all.substr(0, zero), binary);
    request.outputs.clear();
    for (const Tensor& tensor : request.inputs) {
      const auto count = element_count(tensor.shape);
      require(count.has_value());
      if (tensor.element_type == ElementType::bytes) {
        require(tensor.strings.size() == *count);
      } else {
        require(tensor.buffer.size() == byte_count(tensor.element_type, *count));
      }
      request.outputs.push_back({tensor.name, false});
    }
    const InferResponse response = write_infer_response("m", request, request.inputs);
    require(nlohmann::json::accept(response.body));
  } catch (const RequestError&) {
    return 0;
  }
  return 0;
}
