#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace aipack::model {

/// TensorProto.DataType of onnx.proto (IR 13).
struct ElementType {
  std::string_view name; ///< lower case, as ONNX Runtime prints it
  unsigned bits = 0;     ///< of one element; 0: strings
};

/// Null for numbers that ONNX does not define, and for 0 (undefined).
[[nodiscard]] const ElementType* find_element_type(std::uint64_t number) noexcept;
/// Which of the value fields of TensorProto holds elements of this type when they are not in
/// raw_data: a field number.
[[nodiscard]] std::uint32_t value_field(std::uint64_t number) noexcept;
/// ceil(elements * bits / 8); empty when it does not fit 64 bits or the type has no fixed size.
[[nodiscard]] std::optional<std::uint64_t> stored_bytes(std::uint64_t elements,
                                                        std::uint64_t number) noexcept;

} // namespace aipack::model
