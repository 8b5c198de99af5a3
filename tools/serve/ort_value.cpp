#include "ort_value.hpp"

#include "error.hpp"
#include "tensor_json.hpp"
#include "text.hpp"

#include <cstring>

namespace aipack::serve {
namespace {

// Our element types are the runtime's numbers.
static_assert(static_cast<int>(ElementType::fp32) == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
static_assert(static_cast<int>(ElementType::bytes) == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING);
static_assert(static_cast<int>(ElementType::boolean) == ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL);
static_assert(static_cast<int>(ElementType::fp16) == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16);
static_assert(static_cast<int>(ElementType::fp64) == ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE);
static_assert(static_cast<int>(ElementType::uint64) == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64);
static_assert(static_cast<int>(ElementType::complex128) ==
              ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128);
static_assert(static_cast<int>(ElementType::bf16) == ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16);
static_assert(static_cast<int>(ElementType::fp8_e5m2fnuz) ==
              ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ);
static_assert(static_cast<int>(ElementType::int4) == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4);

[[nodiscard]] ElementType element_type_of(ONNXTensorElementDataType type) noexcept {
  const int number = static_cast<int>(type);
  const bool known = number > 0 && number <= static_cast<int>(ElementType::int4);
  return known ? static_cast<ElementType>(number) : ElementType::undefined;
}

/// As ONNX writes element types, for type_text only.
[[nodiscard]] std::string_view onnx_name(ElementType type) noexcept {
  switch (type) {
  case ElementType::undefined:
    return "undefined";
  case ElementType::fp32:
    return "float";
  case ElementType::uint8:
    return "uint8";
  case ElementType::int8:
    return "int8";
  case ElementType::uint16:
    return "uint16";
  case ElementType::int16:
    return "int16";
  case ElementType::int32:
    return "int32";
  case ElementType::int64:
    return "int64";
  case ElementType::bytes:
    return "string";
  case ElementType::boolean:
    return "bool";
  case ElementType::fp16:
    return "float16";
  case ElementType::fp64:
    return "double";
  case ElementType::uint32:
    return "uint32";
  case ElementType::uint64:
    return "uint64";
  case ElementType::complex64:
    return "complex64";
  case ElementType::complex128:
    return "complex128";
  case ElementType::bf16:
    return "bfloat16";
  case ElementType::fp8_e4m3fn:
    return "float8e4m3fn";
  case ElementType::fp8_e4m3fnuz:
    return "float8e4m3fnuz";
  case ElementType::fp8_e5m2:
    return "float8e5m2";
  case ElementType::fp8_e5m2fnuz:
    return "float8e5m2fnuz";
  case ElementType::uint4:
    return "uint4";
  case ElementType::int4:
    return "int4";
  }
  return "undefined";
}

void read_tensor_type(const OrtLibrary& ort, const OrtTensorTypeAndShapeInfo& info,
                      ValueSpec& spec) {
  const OrtApi& api = ort.api();
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  ort.check(api.GetTensorElementType(&info, &type));
  spec.element_type = element_type_of(type);
  std::size_t rank = 0;
  ort.check(api.GetDimensionsCount(&info, &rank));
  std::vector<std::int64_t> sizes(rank);
  std::vector<const char*> symbols(rank);
  ort.check(api.GetDimensions(&info, sizes.data(), rank));
  ort.check(api.GetSymbolicDimensions(&info, symbols.data(), rank));
  spec.rank_known = rank != 0;
  for (std::size_t i = 0; i < rank; ++i) {
    const char* symbol = symbols[i];
    spec.dimensions.push_back(
        {sizes[i] < 0 ? -1 : sizes[i], symbol != nullptr && sizes[i] < 0 ? symbol : ""});
  }
  spec.type_text = "tensor(" + std::string(onnx_name(spec.element_type)) + ")";
}

/// Fills kind, element type, dimensions and text. Recursion: the runtime's types nest at most three
/// deep where it matters; anything deeper ends as ValueKind::other.
void read_type(const OrtLibrary& ort, const OrtTypeInfo& type, ValueSpec& spec, int depth) {
  const OrtApi& api = ort.api();
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  ort.check(api.GetOnnxTypeFromTypeInfo(&type, &kind));
  spec.kind = ValueKind::other;
  spec.type_text = "a type of its own";
  if (depth == 0) {
    return;
  }
  if (kind == ONNX_TYPE_TENSOR) {
    const OrtTensorTypeAndShapeInfo* info = nullptr;
    ort.check(api.CastTypeInfoToTensorInfo(&type, &info));
    read_tensor_type(ort, *info, spec);
    spec.kind = ValueKind::tensor;
  } else if (kind == ONNX_TYPE_SEQUENCE) {
    const OrtSequenceTypeInfo* info = nullptr;
    ort.check(api.CastTypeInfoToSequenceTypeInfo(&type, &info));
    const auto inner = ort.make<OrtTypeInfo>(api.ReleaseTypeInfo, api.GetSequenceElementType, info);
    read_type(ort, *inner, spec, depth - 1);
    const ValueKind of = spec.kind;
    spec.kind = of == ValueKind::tensor ? ValueKind::tensor_sequence
                : of == ValueKind::map  ? ValueKind::map_sequence
                                        : ValueKind::other;
    spec.type_text = "sequence(" + spec.type_text + ")";
  } else if (kind == ONNX_TYPE_MAP) {
    const OrtMapTypeInfo* info = nullptr;
    ort.check(api.CastTypeInfoToMapTypeInfo(&type, &info));
    ONNXTensorElementDataType key = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    ort.check(api.GetMapKeyType(info, &key));
    const auto inner = ort.make<OrtTypeInfo>(api.ReleaseTypeInfo, api.GetMapValueType, info);
    read_type(ort, *inner, spec, depth - 1);
    spec.kind = spec.kind == ValueKind::tensor ? ValueKind::map : ValueKind::other;
    spec.type_text =
        "map(" + std::string(onnx_name(element_type_of(key))) + "," + spec.type_text + ")";
  } else if (kind == ONNX_TYPE_OPTIONAL) {
    const OrtOptionalTypeInfo* info = nullptr;
    ort.check(api.CastTypeInfoToOptionalTypeInfo(&type, &info));
    const auto inner =
        ort.make<OrtTypeInfo>(api.ReleaseTypeInfo, api.GetOptionalContainedTypeInfo, info);
    read_type(ort, *inner, spec, depth - 1);
    spec.kind = spec.kind == ValueKind::tensor ? ValueKind::optional_tensor : ValueKind::other;
    spec.type_text = "optional(" + spec.type_text + ")";
  } else if (kind == ONNX_TYPE_SPARSETENSOR) {
    spec.type_text = "a sparse tensor";
  }
}

[[noreturn]] void no_form(const ValueSpec& spec, const std::string& cause) {
  throw RequestError("cannot write output " + quote(spec.name) + ", " + spec.type_text + ": " +
                     cause + "; ask for the model's other outputs");
}

/// The elements of a value that is a tensor; keeps the value alive.
[[nodiscard]] Tensor read_tensor(const OrtLibrary& ort, const std::string& name,
                                 OrtPtr<OrtValue> value) {
  const OrtApi& api = ort.api();
  const auto info = ort.make<OrtTensorTypeAndShapeInfo>(api.ReleaseTensorTypeAndShapeInfo,
                                                        api.GetTensorTypeAndShape, value.get());
  ValueSpec actual;
  read_tensor_type(ort, *info, actual);
  Tensor tensor;
  tensor.name = name;
  tensor.element_type = actual.element_type;
  for (const Dimension& d : actual.dimensions) {
    tensor.shape.push_back(d.size);
  }
  const auto count = element_count(tensor.shape);
  if (!count || !is_feedable(tensor.element_type)) {
    throw RequestError(Status::internal, "cannot write output " + quote(name) + ": it is " +
                                             actual.type_text + " of shape " +
                                             to_string(tensor.shape));
  }
  if (tensor.element_type == ElementType::bytes) {
    std::size_t length = 0;
    ort.check(api.GetStringTensorDataLength(value.get(), &length));
    std::string text(length, '\0');
    std::vector<std::size_t> starts(static_cast<std::size_t>(*count));
    ort.check(
        api.GetStringTensorContent(value.get(), text.data(), length, starts.data(), starts.size()));
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const std::size_t end = i + 1 < starts.size() ? starts[i + 1] : length;
      tensor.strings.push_back(text.substr(starts[i], end - starts[i]));
    }
    return tensor;
  }
  void* data = nullptr;
  ort.check(api.GetTensorMutableData(value.get(), &data));
  const std::shared_ptr<void> owner(value.release(), [release = api.ReleaseValue](void* p) {
    release(static_cast<OrtValue*>(p));
  });
  tensor.buffer = Buffer::share(owner, static_cast<std::byte*>(data),
                                static_cast<std::size_t>(byte_count(tensor.element_type, *count)));
  return tensor;
}

[[nodiscard]] std::size_t value_count(const OrtLibrary& ort, const OrtValue& value) {
  std::size_t count = 0;
  ort.check(ort.api().GetValueCount(&value, &count));
  return count;
}

[[nodiscard]] OrtPtr<OrtValue> element_of(const OrtLibrary& ort, const OrtValue& value,
                                          std::size_t index) {
  OrtAllocator* allocator = nullptr;
  ort.check(ort.api().GetAllocatorWithDefaultOptions(&allocator));
  return ort.make<OrtValue>(ort.api().ReleaseValue, ort.api().GetValue, &value,
                            static_cast<int>(index), allocator);
}

/// Puts tensors of one type and shape behind each other, with a new dimension in front.
class Stack {
public:
  Stack(const ValueSpec& spec, std::size_t rows) : spec_(spec) {
    out_.name = spec.name;
    out_.element_type = spec.element_type;
    out_.shape = {static_cast<std::int64_t>(rows)};
  }

  void push(const Tensor& row) {
    if (first_) {
      first_ = false;
      row_shape_ = row.shape;
      out_.element_type = row.element_type;
      out_.shape.insert(out_.shape.end(), row.shape.begin(), row.shape.end());
      const auto count = element_count(out_.shape);
      if (!count || element_bits(row.element_type) == 4) {
        no_form(spec_, "its elements cannot be put into one tensor");
      }
      if (row.element_type != ElementType::bytes) {
        out_.buffer =
            Buffer::allocate(static_cast<std::size_t>(byte_count(row.element_type, *count)));
      }
    } else if (row.shape != row_shape_ || row.element_type != out_.element_type) {
      no_form(spec_, "its elements have the shapes " + to_string(row_shape_) + " and " +
                         to_string(row.shape));
    }
    out_.strings.insert(out_.strings.end(), row.strings.begin(), row.strings.end());
    if (row.buffer.size() != 0) {
      std::memcpy(out_.buffer.data() + filled_, row.buffer.data(), row.buffer.size());
      filled_ += row.buffer.size();
    }
  }

  [[nodiscard]] Tensor take() {
    if (first_) { // no row: the shape is what the type says, with nothing in it
      out_.shape.insert(out_.shape.end(),
                        spec_.dimensions.size() + (spec_.kind == ValueKind::map_sequence ? 1U : 0U),
                        0);
      out_.buffer = Buffer::allocate(0);
    }
    return std::move(out_);
  }

private:
  const ValueSpec& spec_;
  Tensor out_;
  Shape row_shape_;
  std::size_t filled_ = 0;
  bool first_ = true;
};

/// Keys as a JSON array in text form, which is how they travel in "parameters".
[[nodiscard]] std::string keys_text(const OrtLibrary& ort, const OrtValue& map) {
  std::string text;
  append_json_data(text, read_tensor(ort, "keys", element_of(ort, map, 0)));
  return text;
}

[[nodiscard]] Tensor read_map_values(const OrtLibrary& ort, const ValueSpec& spec,
                                     const OrtValue& map) {
  return read_tensor(ort, spec.name, element_of(ort, map, 1));
}

[[nodiscard]] Tensor read_map_sequence(const OrtLibrary& ort, const ValueSpec& spec,
                                       const OrtValue& sequence) {
  const std::size_t rows = value_count(ort, sequence);
  Stack stack(spec, rows);
  std::string keys;
  for (std::size_t i = 0; i < rows; ++i) {
    const auto map = element_of(ort, sequence, i);
    std::string these = keys_text(ort, *map);
    if (i != 0 && these != keys) {
      no_form(spec,
              "its maps have different keys (export the model without ZipMap to get a tensor)");
    }
    keys = std::move(these);
    stack.push(read_map_values(ort, spec, *map));
  }
  Tensor out = stack.take();
  out.parameters = "\"keys\":" + json_string(rows == 0 ? "[]" : keys);
  return out;
}

} // namespace

ValueSpec read_value_spec(const OrtLibrary& ort, std::string name, const OrtTypeInfo& type) {
  constexpr int deepest = 4;
  ValueSpec spec;
  spec.name = std::move(name);
  read_type(ort, type, spec, deepest);
  return spec;
}

OrtPtr<OrtValue> make_value(const OrtLibrary& ort, const Tensor& tensor) {
  const OrtApi& api = ort.api();
  const auto type = static_cast<ONNXTensorElementDataType>(tensor.element_type);
  if (tensor.element_type != ElementType::bytes) {
    const auto memory = ort.make<OrtMemoryInfo>(api.ReleaseMemoryInfo, api.CreateCpuMemoryInfo,
                                                OrtDeviceAllocator, OrtMemTypeDefault);
    // The runtime only reads inputs; its signature says void* because the same call makes outputs.
    return ort.make<OrtValue>(api.ReleaseValue, api.CreateTensorWithDataAsOrtValue, memory.get(),
                              const_cast<std::byte*>(tensor.buffer.data()), tensor.buffer.size(),
                              tensor.shape.data(), tensor.shape.size(), type);
  }
  OrtAllocator* allocator = nullptr;
  ort.check(api.GetAllocatorWithDefaultOptions(&allocator));
  auto value = ort.make<OrtValue>(api.ReleaseValue, api.CreateTensorAsOrtValue, allocator,
                                  tensor.shape.data(), tensor.shape.size(), type);
  for (std::size_t i = 0; i < tensor.strings.size(); ++i) {
    const std::string& text = tensor.strings[i];
    char* place = nullptr; // FillStringTensor would end a string at its first zero byte
    ort.check(api.GetResizedStringTensorElementBuffer(value.get(), i, text.size(), &place));
    std::memcpy(place, text.data(), text.size());
  }
  return value;
}

Tensor read_output(const OrtLibrary& ort, const ValueSpec& spec, OrtPtr<OrtValue> value) {
  switch (spec.kind) {
  case ValueKind::tensor:
    return read_tensor(ort, spec.name, std::move(value));
  case ValueKind::optional_tensor: {
    int has_value = 0;
    ort.check(ort.api().HasValue(value.get(), &has_value));
    if (has_value == 0) {
      no_form(spec, "it has no value this time");
    }
    return read_tensor(ort, spec.name, std::move(value));
  }
  case ValueKind::tensor_sequence: {
    const std::size_t rows = value_count(ort, *value);
    Stack stack(spec, rows);
    for (std::size_t i = 0; i < rows; ++i) {
      stack.push(read_tensor(ort, spec.name, element_of(ort, *value, i)));
    }
    return stack.take();
  }
  case ValueKind::map: {
    Tensor out = read_map_values(ort, spec, *value);
    out.parameters = "\"keys\":" + json_string(keys_text(ort, *value));
    return out;
  }
  case ValueKind::map_sequence:
    return read_map_sequence(ort, spec, *value);
  case ValueKind::other:
    break;
  }
  no_form(spec, "the protocol has no form for it");
}

} // namespace aipack::serve
