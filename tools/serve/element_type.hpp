#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace aipack::serve {

/// Element types of tensors. The numbers are those of the ONNX Runtime C API
/// (ONNXTensorElementDataType) and are checked against its header where that is included, so that
/// everything above works without it.
enum class ElementType : int {
  undefined = 0,
  fp32 = 1,
  uint8 = 2,
  int8 = 3,
  uint16 = 4,
  int16 = 5,
  int32 = 6,
  int64 = 7,
  bytes = 8,
  boolean = 9,
  fp16 = 10,
  fp64 = 11,
  uint32 = 12,
  uint64 = 13,
  complex64 = 14,
  complex128 = 15,
  bf16 = 16,
  fp8_e4m3fn = 17,
  fp8_e4m3fnuz = 18,
  fp8_e5m2 = 19,
  fp8_e5m2fnuz = 20,
  uint4 = 21,
  int4 = 22,
};

/// The datatype word of the Open Inference Protocol ("FP32"). FP8 kinds and 4-bit integers are not
/// in the protocol: they carry their ONNX names. "UNSUPPORTED" for complex and undefined types.
[[nodiscard]] std::string_view datatype_name(ElementType type) noexcept;

/// The reverse of datatype_name; empty for a word that is none.
[[nodiscard]] std::optional<ElementType> parse_datatype(std::string_view name) noexcept;

/// Whether ONNX Runtime takes tensors of this type from memory.
[[nodiscard]] bool is_feedable(ElementType type) noexcept;

/// Bits of one element in memory; 0 for bytes (strings have no fixed size) and for types that are
/// not feedable.
[[nodiscard]] unsigned element_bits(ElementType type) noexcept;

/// Whether values may be NaN or infinite.
[[nodiscard]] bool is_floating(ElementType type) noexcept;

} // namespace aipack::serve
