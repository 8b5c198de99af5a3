#include "aipack/model/model.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace aipack::model {

std::string_view to_string(ModelFormat format) noexcept {
  switch (format) {
  case ModelFormat::onnx:
    return "onnx";
  }
  return "unknown";
}

std::string_view to_string(Severity severity) noexcept {
  switch (severity) {
  case Severity::info:
    return "info";
  case Severity::warning:
    return "warning";
  case Severity::error:
    return "error";
  }
  return "unknown";
}

std::string TensorInfo::shape_text() const {
  if (!has_shape) {
    return "any rank";
  }
  std::string text = "[";
  for (const auto& dimension : shape) {
    text += text.size() > 1 ? ", " : "";
    if (const auto* size = std::get_if<std::int64_t>(&dimension)) {
      text += fmt::format("{}", *size);
    } else if (const auto* symbol = std::get_if<std::string>(&dimension)) {
      text += *symbol;
    } else {
      text += "?";
    }
  }
  return text + "]";
}

std::uint64_t Model::size_bytes() const noexcept {
  std::uint64_t total = 0;
  for (const auto& file : files) {
    total += file.size_bytes;
  }
  return total;
}

void require_acceptable(const Model& model) {
  const auto is_error = [](const Finding& finding) { return finding.severity == Severity::error; };
  const auto first = std::ranges::find_if(model.findings, is_error);
  if (first == model.findings.end()) {
    return;
  }
  const auto more = std::ranges::count_if(model.findings, is_error) - 1;
  const auto place =
      first->location.empty() ? std::string() : fmt::format(" ({})", first->location);
  const auto rest = more == 0 ? std::string() : fmt::format(", and {} more", more);
  throw Error(ErrorCode::invalid_input,
              fmt::format("cannot accept model {}: {} [{}]{}{}", quoted(model.name), first->message,
                          first->rule, place, rest))
      .with_hint("'aipack analyze' lists every finding");
}

} // namespace aipack::model
