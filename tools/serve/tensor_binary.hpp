#pragma once

#include "tensor.hpp"

#include <string>
#include <string_view>

namespace aipack::serve {

/// Reads the bytes of the binary tensor data extension into `tensor`, whose name, element type and
/// shape are set.
///
/// Form: elements row-major, little-endian, without padding; BOOL one byte, 0 or 1; BYTES per
/// element a 4-byte length and that many bytes; 4-bit integers two a byte, the first one in the low
/// half. Source: Open Inference Protocol, "Binary Tensor Data Extension". Throws RequestError that
/// names the input.
void read_binary_data(std::string_view bytes, Tensor& tensor);

/// Bytes that append_binary_data will append.
[[nodiscard]] std::uint64_t binary_size(const Tensor& tensor) noexcept;
void append_binary_data(std::string& out, const Tensor& tensor);

} // namespace aipack::serve
