#include "element_type.hpp"

#include <array>

namespace aipack::serve {
namespace {

struct Row {
  ElementType type;
  std::string_view name;
  unsigned bits;
  bool floating;
};

constexpr std::array rows{
    Row{ElementType::boolean, "BOOL", 8, false},
    Row{ElementType::uint8, "UINT8", 8, false},
    Row{ElementType::uint16, "UINT16", 16, false},
    Row{ElementType::uint32, "UINT32", 32, false},
    Row{ElementType::uint64, "UINT64", 64, false},
    Row{ElementType::int8, "INT8", 8, false},
    Row{ElementType::int16, "INT16", 16, false},
    Row{ElementType::int32, "INT32", 32, false},
    Row{ElementType::int64, "INT64", 64, false},
    Row{ElementType::fp16, "FP16", 16, true},
    Row{ElementType::bf16, "BF16", 16, true},
    Row{ElementType::fp32, "FP32", 32, true},
    Row{ElementType::fp64, "FP64", 64, true},
    Row{ElementType::bytes, "BYTES", 0, false},
    Row{ElementType::fp8_e4m3fn, "FLOAT8E4M3FN", 8, true},
    Row{ElementType::fp8_e4m3fnuz, "FLOAT8E4M3FNUZ", 8, true},
    Row{ElementType::fp8_e5m2, "FLOAT8E5M2", 8, true},
    Row{ElementType::fp8_e5m2fnuz, "FLOAT8E5M2FNUZ", 8, true},
    Row{ElementType::uint4, "UINT4", 4, false},
    Row{ElementType::int4, "INT4", 4, false},
};

[[nodiscard]] const Row* find(ElementType type) noexcept {
  for (const Row& row : rows) {
    if (row.type == type) {
      return &row;
    }
  }
  return nullptr;
}

} // namespace

std::string_view datatype_name(ElementType type) noexcept {
  const Row* row = find(type);
  return row != nullptr ? row->name : std::string_view{"UNSUPPORTED"};
}

std::optional<ElementType> parse_datatype(std::string_view name) noexcept {
  for (const Row& row : rows) {
    if (row.name == name) {
      return row.type;
    }
  }
  return std::nullopt;
}

bool is_feedable(ElementType type) noexcept {
  return find(type) != nullptr;
}

unsigned element_bits(ElementType type) noexcept {
  const Row* row = find(type);
  return row != nullptr ? row->bits : 0;
}

bool is_floating(ElementType type) noexcept {
  const Row* row = find(type);
  return row != nullptr && row->floating;
}

} // namespace aipack::serve
