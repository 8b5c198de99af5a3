#include "onnx_reader.hpp"

#include "aipack/core/checked.hpp"
#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "onnx_reading.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>

namespace aipack::model::onnx {
namespace {

constexpr std::uint64_t base_memory_bytes = std::uint64_t{30} << 20;

/// What each kept name costs beside its characters: the node of a hash map.
constexpr std::uint64_t bytes_per_name = 96;

std::string_view shown_domain(std::string_view domain) {
  return domain.empty() ? std::string_view("ai.onnx") : domain;
}

} // namespace

void Reading::keep(std::size_t bytes) {
  kept_bytes_ += bytes + bytes_per_name;
  if (kept_bytes_ > limits_.max_text_bytes) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot read {}: its names alone need more than {}",
                            quoted(window_.name()), human_bytes(limits_.max_text_bytes)));
  }
}

// ModelProto: ir_version 1, producer_name 2, producer_version 3, domain 4, model_version 5,
// doc_string 6, graph 7, opset_import 8, metadata_props 14, training_info 20, functions 25,
// configuration 26.
void Reading::read_top_level(const FieldPath& root) {
  const Extent whole{.begin = 0, .end = window_.size()};
  FieldReader reader(window_, std::span(&whole, 1), root);
  std::uint64_t opset_count = 0;
  for (Field field; reader.next(field);) {
    switch (field.number) {
    case 1:
      model_.ir_version = static_cast<std::int64_t>(reader.integer(field));
      break;
    case 2:
      model_.producer_name = reader.text(field, limits_.max_string_bytes);
      break;
    case 3:
      model_.producer_version = reader.text(field, limits_.max_string_bytes);
      break;
    case 4:
      model_.domain = reader.text(field, limits_.max_string_bytes);
      break;
    case 5:
      model_.model_version = static_cast<std::int64_t>(reader.integer(field));
      break;
    case 6:
      model_.description = reader.text(field, limits_.max_string_bytes);
      break;
    case 7:
      graph_.push_back(reader.body(field));
      break;
    case 8:
      read_opset(field, reader, {&root, "opset_import", opset_count++}, opsets_);
      break;
    case 14: {
      const FieldPath path{&root, "metadata_props", model_.metadata.size()};
      const auto body = reader.body(field);
      FieldReader entry(window_, std::span(&body, 1), path);
      std::string key;
      std::string value;
      for (Field part; entry.next(part);) {
        if (part.number == 1) {
          key = entry.text(part, limits_.max_string_bytes);
        } else if (part.number == 2) {
          value = entry.text(part, limits_.max_string_bytes);
        }
      }
      keep(key.size() + value.size());
      if (!model_.metadata.emplace(key, value).second) {
        note("ONNX-GRAPH", Severity::warning,
             fmt::format("metadata key {} occurs twice; the first value counts", quoted(key)),
             path);
      }
      break;
    }
    case 20:
      static_cast<void>(reader.body(field));
      model_.has_training_info = true;
      break;
    case 25:
      function_bodies_.push_back(reader.body(field));
      if (function_bodies_.size() > limits_.max_functions) {
        throw Error(ErrorCode::unsupported,
                    fmt::format("cannot read {}: it defines more than {} functions",
                                quoted(window_.name()), limits_.max_functions));
      }
      break;
    case 26:
      static_cast<void>(reader.body(field));
      break;
    default:
      findings_.add("ONNX-STRUCT", Severity::error,
                    fmt::format("field {} is not part of an ONNX model", field.number),
                    fmt::format("byte {}", field.at));
    }
  }
  if (graph_.empty()) {
    throw FormatError(window_.name(), std::nullopt, "the model has no graph");
  }
}

// OperatorSetIdProto: domain 1, version 2.
void Reading::read_opset(const Field& field, const FieldReader& reader, const FieldPath& path,
                         OpsetMap& opsets) {
  const auto body = reader.body(field);
  FieldReader entry(window_, std::span(&body, 1), path);
  std::string domain;
  std::int64_t version = 0;
  for (Field part; entry.next(part);) {
    if (part.number == 1) {
      domain = normal_domain(entry.text(part, max_kept_attribute_bytes));
    } else if (part.number == 2) {
      version = static_cast<std::int64_t>(entry.integer(part));
    }
  }
  keep(domain.size());
  if (const auto [known, added] = opsets.emplace(domain, version);
      !added && known->second != version) {
    note("ONNX-GRAPH", Severity::warning,
         fmt::format("opset {} is imported as version {} and as {}", quoted(shown_domain(domain)),
                     known->second, version),
         path);
    known->second = version;
  }
}

Model Reading::run() {
  const FieldPath root;
  model_.format = ModelFormat::onnx;
  read_top_level(root);
  if (model_.ir_version >= 3 && opsets_.empty()) {
    findings_.add("ONNX-STRUCT", Severity::error, "the model imports no opset");
  }
  if (opsets_.empty()) {
    opsets_.emplace("", 1);
  }
  for (std::size_t i = 0; i < function_bodies_.size(); ++i) {
    read_function_header(function_bodies_[i], {&root, "functions", i});
  }
  model_.function_count = functions_.size();
  const FieldPath graph_path{&root, "graph"};
  const auto graph = read_graph(graph_, nullptr, opsets_, nullptr, 0, graph_path);
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    read_function(functions_[i], i, {&root, "functions", i});
  }
  check_calls();

  for (const auto& [domain, version] : opsets_) {
    model_.opsets.push_back({.domain = domain, .version = version});
  }
  for (const auto& [key, count] : operators_) {
    model_.operators.push_back({.domain = key.first, .name = key.second, .count = count});
  }
  for (const auto& [use, count] : uses_) {
    model_.operator_uses.push_back(use);
    model_.operator_uses.back().count = count;
  }
  for (const auto& [domain, names] : foreign_) {
    model_.custom_domains.push_back(domain);
    std::string list;
    std::uint64_t nodes = 0;
    for (const auto& [name, count] : names) {
      nodes += count;
      if (list.size() < 200) {
        list += (list.empty() ? "" : ", ") + std::string(trim(quoted(name)));
      }
    }
    findings_.add(
        "ONNX-CUSTOMOP", Severity::error,
        fmt::format("{} nodes use operators of domain {}, which need a library of their own: {}",
                    nodes, quoted(domain), list));
  }
  for (const auto& [domain, count] : unimported_) {
    findings_.add(
        "ONNX-CUSTOMOP", Severity::warning,
        fmt::format("{} nodes use operators of domain {}, which the model does not import", count,
                    quoted(shown_domain(domain))));
  }
  if (model_.has_training_info) {
    findings_.add("ONNX-TRAINING", Severity::warning,
                  "the model carries training information, which serving does not use");
  }
  if (model_.metadata.contains("ort_config")) {
    findings_.add("ONNX-ORTCONFIG", Severity::warning,
                  "the model carries settings for ONNX Runtime (metadata 'ort_config'); images of "
                  "aipack ignore them");
  }
  for (const auto& use : model_.operator_uses) {
    if (const auto locale = use.traits.find("locale"); locale != use.traits.end()) {
      findings_.add("ONNX-LOCALE", Severity::warning,
                    fmt::format("{} compares words in the locale {}, which must be in the image",
                                use.name, quoted(locale->second)));
    }
  }
  if (overflow_) {
    findings_.add("ONNX-TENSOR", Severity::error,
                  "the sizes of all weights together do not fit 64 bits");
  }
  for (const auto* key : {"license", "licence", "License", "LICENSE"}) {
    if (const auto found = model_.metadata.find(key);
        found != model_.metadata.end() && model_.license.empty()) {
      model_.license = found->second;
    }
  }

  // Weights that kernels pack count 2.2 times, others 1.1 times; the arena grows by a quarter
  // beyond what lives at once (reference, section 4, measured on ONNX Runtime 1.21).
  const auto scaled = [](std::uint64_t bytes, std::uint64_t tenths) {
    return try_multiply(bytes, tenths).value_or(UINT64_MAX) / 10;
  };
  const auto all = try_add(model_.weight_bytes, constant_bytes_).value_or(UINT64_MAX);
  std::uint64_t estimate = base_memory_bytes;
  for (const auto part : {scaled(all, 11), scaled(std::min(heavy_bytes_, all), 11),
                          graph.live_bytes, graph.live_bytes / 4}) {
    estimate = try_add(estimate, part).value_or(UINT64_MAX);
  }
  model_.memory_bytes_estimate = estimate;
  if (untyped_values_ > 0) {
    findings_.add(
        "ONNX-MEMORY", Severity::info,
        fmt::format(
            "{} intermediate values have no shape in the file; the memory estimate leaves them out",
            untyped_values_));
  }
  model_.files = external_.finish();
  model_.findings = findings_.take();
  return std::move(model_);
}

} // namespace aipack::model::onnx

namespace aipack::model {

using protozero::pbf_wire_type;

bool OnnxReader::recognises(std::span<const std::byte> head) const noexcept {
  // A walk over the top-level fields that the head shows: all of them must be ModelProto's, with
  // its wire types, and one of them must be the IR version, the graph or an opset.
  const auto* data = reinterpret_cast<const char*>(head.data());
  protozero::pbf_reader reader(data, head.size());
  unsigned fields = 0;
  bool telling = false;
  try {
    while (reader.next()) {
      const auto number = reader.tag();
      const auto is_number = number == 1 || number == 5;
      const auto is_message = (number >= 2 && number <= 8 && number != 5) || number == 14 ||
                              number == 20 || number == 25 || number == 26;
      if ((!is_number && !is_message) ||
          reader.wire_type() !=
              (is_number ? pbf_wire_type::varint : pbf_wire_type::length_delimited)) {
        return fields >= 2 && telling; // something newer than this reader, after a good beginning
      }
      telling = telling || number == 1 || number == 7 || number == 8;
      ++fields;
      reader.skip();
    }
  } catch (const protozero::exception&) {
    return fields >= 1 && telling; // the head ends inside a field
  } catch (...) {
    return false;
  }
  return fields >= 1 && telling;
}

Model OnnxReader::read(const ModelSource& source, const Limits& limits, const Operation& op) const {
  return onnx::Reading(source, limits, op).run();
}

} // namespace aipack::model
