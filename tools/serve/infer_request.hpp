#pragma once

#include "signature.hpp"
#include "tensor.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::serve {

inline constexpr std::size_t max_request_id_bytes = 4096;
inline constexpr std::size_t max_parameters_bytes =
    64 * 1024; ///< of the request's own "parameters", which are echoed

/// An output that the client wants, and how.
struct RequestedOutput {
  std::string name;
  bool binary = false;
};

/// A request of the Open Inference Protocol that fits the model: every tensor has a type and shape
/// that the model takes, every input that must be there is there, every wanted output exists.
struct InferRequest {
  std::string id;
  std::string parameters; ///< members of the request's "parameters" without the protocol's own
                          ///< ones, to be echoed
  std::vector<Tensor> inputs;
  std::vector<RequestedOutput> outputs;
};

/// Reads the JSON part and the binary part (empty without the binary tensor data extension) of an
/// inference request against the signature of its model. Unknown members are ignored. Throws
/// RequestError that says which input and why.
[[nodiscard]] InferRequest parse_infer_request(const ModelSignature& signature,
                                               std::string_view json, std::string_view binary);

} // namespace aipack::serve
