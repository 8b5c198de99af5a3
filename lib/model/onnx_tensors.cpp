#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "element_type.hpp"
#include "onnx_reading.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>

namespace aipack::model::onnx {
namespace {

using protozero::pbf_wire_type;

constexpr std::uint64_t max_type_bytes = std::uint64_t{1} << 20; ///< of one ValueInfoProto
constexpr unsigned max_type_depth = 16;                          ///< sequences of optionals of …
constexpr std::uint64_t external_location = 1; ///< TensorProto.DataLocation.EXTERNAL

} // namespace

// ValueInfoProto: name 1, type 2. Small, so protozero reads it from memory.
TypeAndShape Reading::read_value_info(Extent body, const FieldPath& path) {
  const auto bytes = small_message(window_, std::span(&body, 1), path, max_type_bytes);
  TypeAndShape out;
  std::string type; // pieces of a repeated singular field, joined
  try {
    protozero::pbf_reader message(bytes);
    while (message.next()) {
      switch (message.tag_and_type()) {
      case protozero::tag_and_type(1, pbf_wire_type::length_delimited):
        out.info.name = message.get_string();
        break;
      case protozero::tag_and_type(2, pbf_wire_type::length_delimited):
        type += message.get_string();
        break;
      default:
        message.skip();
      }
    }
    read_type(protozero::pbf_reader(type), out, 0);
  } catch (const protozero::exception& error) {
    fail(window_, path, body.begin, fmt::format("the type is damaged ({})", error.what()));
  }
  return out;
}

// TypeProto: tensor_type 1 (elem_type 1, shape 2), sequence_type 4 (elem_type 1), map_type 5
// (key_type 1, value_type 2), sparse_tensor_type 8 (as tensor), optional_type 9 (elem_type 1);
// TensorShapeProto: dim 1 (dim_value 1, dim_param 2).
void Reading::read_type(protozero::pbf_reader message, TypeAndShape& out, unsigned depth) {
  if (depth > max_type_depth) {
    throw FormatError(window_.name(), std::nullopt,
                      fmt::format("the type of {} is nested too deeply", quoted(out.info.name)));
  }
  while (message.next()) {
    if (message.wire_type() != pbf_wire_type::length_delimited) {
      message.skip();
      continue;
    }
    const auto number = message.tag();
    if (number == 1 || number == 8) {
      auto tensor = message.get_message();
      std::uint64_t type = 0;
      std::optional<std::uint64_t> elements;
      while (tensor.next()) {
        if (tensor.tag_and_type() == protozero::tag_and_type(1, pbf_wire_type::varint)) {
          type = static_cast<std::uint64_t>(tensor.get_uint64());
        } else if (tensor.tag_and_type() ==
                   protozero::tag_and_type(2, pbf_wire_type::length_delimited)) {
          auto shape = tensor.get_message();
          out.info.has_shape = true;
          elements = 1;
          while (shape.next(1, pbf_wire_type::length_delimited)) {
            auto axis = shape.get_message();
            Dimension dimension;
            while (axis.next()) {
              if (axis.tag_and_type() == protozero::tag_and_type(1, pbf_wire_type::varint)) {
                dimension = axis.get_int64();
              } else if (axis.tag_and_type() ==
                         protozero::tag_and_type(2, pbf_wire_type::length_delimited)) {
                auto symbol = axis.get_string();
                dimension = symbol.empty() ? Dimension() : Dimension(std::move(symbol));
              } else {
                axis.skip();
              }
            }
            if (const auto* size = std::get_if<std::int64_t>(&dimension);
                size != nullptr && elements) {
              elements = *size >= 0 ? try_multiply(*elements, static_cast<std::uint64_t>(*size))
                                    : std::nullopt;
            }
            out.info.shape.push_back(std::move(dimension));
            if (out.info.shape.size() > limits_.max_dimensions) {
              throw FormatError(window_.name(), std::nullopt,
                                fmt::format("{} has more than {} dimensions", quoted(out.info.name),
                                            limits_.max_dimensions));
            }
          }
        } else {
          tensor.skip();
        }
      }
      const auto* element = find_element_type(type);
      const auto name = element != nullptr ? element->name : std::string_view();
      out.info.element_type = number == 1 ? std::string(name) : "sparse_tensor";
      out.type_text =
          number == 1 || name.empty() ? std::string(name) : fmt::format("sparse_tensor({})", name);
      if (elements && number == 1) {
        out.bytes = stored_bytes(*elements, type);
      }
    } else if (number == 4 || number == 9) {
      auto wrapper = message.get_message();
      TypeAndShape inner;
      while (wrapper.next()) {
        if (wrapper.tag_and_type() == protozero::tag_and_type(1, pbf_wire_type::length_delimited)) {
          read_type(wrapper.get_message(), inner, depth + 1);
        } else {
          wrapper.skip();
        }
      }
      out.info.element_type = number == 4 ? "sequence" : "optional";
      out.type_text =
          inner.type_text.empty()
              ? std::string()
              : fmt::format("{}({})", number == 4 ? "seq" : "optional", inner.type_text);
    } else if (number == 5) {
      auto map = message.get_message();
      std::uint64_t key = 0;
      TypeAndShape inner;
      while (map.next()) {
        if (map.tag_and_type() == protozero::tag_and_type(1, pbf_wire_type::varint)) {
          key = map.get_uint64();
        } else if (map.tag_and_type() ==
                   protozero::tag_and_type(2, pbf_wire_type::length_delimited)) {
          read_type(map.get_message(), inner, depth + 1);
        } else {
          map.skip();
        }
      }
      const auto* element = find_element_type(key);
      out.info.element_type = "map";
      out.type_text = element == nullptr || inner.type_text.empty()
                          ? std::string()
                          : fmt::format("map({},{})", element->name, inner.type_text);
    } else {
      message.skip();
    }
  }
}

// TensorProto: dims 1, data_type 2, segment 3, float_data 4, int32_data 5, string_data 6,
// int64_data 7, name 8, raw_data 9, double_data 10, uint64_data 11, external_data 13,
// data_location 14.
TensorSummary Reading::read_tensor(std::span<const Extent> pieces, const FieldPath& path) {
  TensorSummary tensor;
  ExternalEntries entries;
  std::uint64_t location = 0;
  struct Held {
    std::uint64_t bytes = 0;
    std::uint64_t elements_at_most = 0;
    bool present = false;
  };
  std::map<std::uint32_t, Held> held;
  FieldReader reader(window_, pieces, path);
  for (Field field; reader.next(field);) {
    switch (field.number) {
    case 1:
      append_integers(window_, field, path, limits_.max_dimensions, tensor.dims);
      break;
    case 2:
      tensor.type = reader.integer(field);
      break;
    case 8:
      tensor.name = reader.text(field, limits_.max_string_bytes);
      break;
    case 4:
    case 5:
    case 7:
    case 10:
    case 11: {
      auto& values = held[field.number];
      values.present = true;
      const auto unit = field.number == 4 ? 4U : field.number == 10 ? 8U : 1U;
      values.bytes += field.body.size();
      values.elements_at_most +=
          field.type == pbf_wire_type::length_delimited ? field.body.size() / unit : 1;
      break;
    }
    case 6: {
      auto& values = held[6];
      values.present = true;
      values.bytes += reader.body(field).size();
      values.elements_at_most += 1;
      break;
    }
    case 9:
      held[9] = {.bytes = reader.body(field).size(), .elements_at_most = 0, .present = true};
      break;
    case 13: {
      const auto body = reader.body(field);
      const FieldPath entry_path{&path, "external_data", entries.size()};
      FieldReader entry(window_, std::span(&body, 1), entry_path);
      std::pair<std::string, std::string> pair;
      for (Field part; entry.next(part);) {
        if (part.number == 1) {
          pair.first = entry.text(part, max_kept_attribute_bytes);
        } else if (part.number == 2) {
          pair.second = entry.text(part, max_kept_attribute_bytes);
        }
      }
      if (entries.size() < limits_.max_dimensions) {
        entries.push_back(std::move(pair));
      }
      break;
    }
    case 14:
      location = reader.integer(field);
      break;
    default:
      break;
    }
  }
  const auto where = [&] {
    return tensor.name.empty() ? path.to_string()
                               : fmt::format("{} {}", path.to_string(), quoted(tensor.name));
  };
  const auto broken = [&](std::string message) {
    findings_.add("ONNX-TENSOR", Severity::error, std::move(message), where());
  };

  std::optional<std::uint64_t> elements = 1;
  for (const auto dim : tensor.dims) {
    if (dim < 0) {
      broken(fmt::format("a tensor dimension is {}", dim));
      elements = std::nullopt;
      break;
    }
    elements = elements ? try_multiply(*elements, static_cast<std::uint64_t>(dim)) : std::nullopt;
    if (!elements) {
      broken("the product of the tensor's dimensions does not fit 64 bits");
      break;
    }
  }
  const auto* type = find_element_type(tensor.type);
  if (type == nullptr) {
    broken(fmt::format("element type {} does not exist", tensor.type));
  }
  std::erase_if(held, [](const auto& item) { return !item.second.present; });
  tensor.is_external = location == external_location;
  if (tensor.is_external) {
    const auto has_values =
        std::ranges::any_of(held, [](const auto& item) { return item.second.bytes > 0; });
    if (has_values) {
      broken("the tensor holds values and also refers to external data");
    }
    if (tensor.type == 8) {
      broken("strings cannot be external data");
    }
    const auto needed =
        elements && type != nullptr ? stored_bytes(*elements, tensor.type) : std::nullopt;
    tensor.bytes = external_.add(entries, needed, where());
    tensor.elements = elements.value_or(0);
    return tensor;
  }
  std::erase_if(held, [](const auto& item) { return item.second.bytes == 0 && item.first != 6; });
  std::uint64_t inline_bytes = 0;
  for (const auto& [number, values] : held) {
    inline_bytes += values.bytes;
  }
  if (elements && type != nullptr) {
    tensor.elements = *elements;
    const auto needed = stored_bytes(*elements, tensor.type);
    tensor.bytes = needed.value_or(inline_bytes);
    if (held.size() > 1) {
      broken("the tensor has values in more than one field");
    } else if (*elements == 0) {
      if (inline_bytes > 0) {
        broken("the tensor has no elements but holds values");
      }
    } else if (held.empty()) {
      broken(fmt::format("the tensor should have {} elements but holds no values", *elements));
    } else if (held.begin()->first == 9) {
      if (tensor.type == 8) {
        broken("strings cannot be raw data");
      } else if (!needed || inline_bytes < *needed) {
        broken(fmt::format("the tensor's raw data has {} bytes, its shape and type need {}",
                           inline_bytes,
                           needed ? fmt::format("{}", *needed) : "more than 64 bits can say"));
      } else if (inline_bytes > *needed) {
        findings_.add(
            "ONNX-TENSOR", Severity::warning,
            fmt::format("the tensor's raw data is {} bytes too long", inline_bytes - *needed),
            where());
      }
    } else if (held.begin()->first != value_field(tensor.type)) {
      broken(fmt::format("values of type {} are in field {}", type->name, held.begin()->first));
    } else {
      const auto at_most = held.begin()->second.elements_at_most;
      auto fields_needed =
          tensor.type == 14 || tensor.type == 15 ? try_multiply(*elements, 2) : elements;
      if (type->bits > 0 && type->bits < 8) {
        fields_needed = stored_bytes(*elements, tensor.type);
      }
      if (!fields_needed || at_most < *fields_needed) {
        broken(fmt::format("the tensor should have {} elements but holds at most {} values",
                           *elements, at_most));
      }
    }
  } else {
    tensor.bytes = inline_bytes;
  }
  return tensor;
}

// SparseTensorProto: values 1, indices 2 (int64, [NNZ] or [NNZ, rank]), dims 3.
TensorSummary Reading::read_sparse_tensor(Extent body, const FieldPath& path) {
  Pieces values_pieces;
  Pieces indices_pieces;
  std::vector<std::int64_t> dims;
  FieldReader reader(window_, std::span(&body, 1), path);
  for (Field field; reader.next(field);) {
    if (field.number == 1) {
      values_pieces.push_back(reader.body(field));
    } else if (field.number == 2) {
      indices_pieces.push_back(reader.body(field));
    } else if (field.number == 3) {
      append_integers(window_, field, path, limits_.max_dimensions, dims);
    }
  }
  auto values = read_tensor(values_pieces, {&path, "values"});
  const auto indices = read_tensor(indices_pieces, {&path, "indices"});
  const auto broken = [&](std::string message) {
    note("ONNX-TENSOR", Severity::error, std::move(message), path);
  };
  if (std::ranges::any_of(dims, [](std::int64_t dim) { return dim < 0; })) {
    broken("a dimension of the sparse tensor is negative");
  }
  if (values.dims.size() != 1) {
    broken("the values of a sparse tensor must have one dimension");
  } else if (indices.type != 7) {
    broken("the indices of a sparse tensor must be int64");
  } else if (indices.dims.empty() || indices.dims.size() > 2 ||
             indices.dims.front() != values.dims.front() ||
             (indices.dims.size() == 2 &&
              indices.dims.back() != static_cast<std::int64_t>(dims.size()))) {
    broken("the indices of a sparse tensor do not match its values");
  }
  values.bytes = try_add(values.bytes, indices.bytes).value_or(values.bytes);
  values.is_external = values.is_external || indices.is_external;
  values.dims = std::move(dims);
  return values;
}

void Reading::count_weight(const TensorSummary& tensor) {
  if (++model_.initializer_count > limits_.max_initializers) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read {}: it has more than {} initializers",
                            quoted(window_.name()), limits_.max_initializers));
  }
  const auto parameters = try_add(model_.parameter_count, tensor.elements);
  const auto bytes = try_add(model_.weight_bytes, tensor.bytes);
  const auto external = try_add(model_.external_bytes, tensor.is_external ? tensor.bytes : 0);
  if (!parameters || !bytes || !external) {
    overflow_ = true;
    return;
  }
  model_.parameter_count = *parameters;
  model_.weight_bytes = *bytes;
  model_.external_bytes = *external;
}

} // namespace aipack::model::onnx
