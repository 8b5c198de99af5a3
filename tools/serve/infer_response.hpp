#pragma once

#include "infer_request.hpp"
#include "tensor.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace aipack::serve {

/// The only version of every model: images are immutable, a new model is a new image.
inline constexpr std::string_view model_version = "1";

struct InferResponse {
  std::string body;
  std::size_t header_bytes =
      0; ///< length of the JSON part when binary data follows, 0 when all is JSON
};

/// Writes the response of the Open Inference Protocol. `outputs` stand in the order of
/// `request.outputs`. Throws RequestError when an output has no JSON form and was not asked for in
/// binary.
[[nodiscard]] InferResponse write_infer_response(std::string_view model_name,
                                                 const InferRequest& request,
                                                 std::span<const Tensor> outputs);

} // namespace aipack::serve
