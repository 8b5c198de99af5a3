#include "signature.hpp"

#include "error.hpp"
#include "text.hpp"

#include <algorithm>

namespace aipack::serve {
namespace {

struct Bound {
  std::int64_t size;
  const Tensor* by;
};

[[nodiscard]] std::string count_of(std::size_t n, std::string_view noun) {
  std::string out = std::to_string(n) + " ";
  out += noun;
  return n == 1 ? out : out + "s";
}

} // namespace

std::size_t find_value(std::span<const ValueSpec> specs, std::string_view name) noexcept {
  const auto found = std::ranges::find(specs, name, &ValueSpec::name);
  return static_cast<std::size_t>(found - specs.begin());
}

bool is_carriable_input(const ValueSpec& spec) noexcept {
  const bool tensor = spec.kind == ValueKind::tensor || spec.kind == ValueKind::optional_tensor;
  return tensor && is_feedable(spec.element_type);
}

bool is_carriable_output(const ValueSpec& spec) noexcept {
  return spec.kind != ValueKind::other && is_feedable(spec.element_type);
}

std::string to_string(std::span<const Dimension> dimensions) {
  std::string out = "[";
  for (const Dimension& d : dimensions) {
    if (out.size() > 1) {
      out += ", ";
    }
    if (d.size >= 0) {
      out += std::to_string(d.size);
    } else {
      out += d.symbol.empty() ? "?" : d.symbol;
    }
  }
  return out + "]";
}

void check_shape(const ValueSpec& spec, std::span<const std::int64_t> shape) {
  if (!spec.rank_known) {
    return;
  }
  const std::string what = "cannot read input " + quote(spec.name) + ": ";
  if (shape.size() != spec.dimensions.size()) {
    throw RequestError(what + "shape " + to_string(shape) + " has " +
                       count_of(shape.size(), "dimension") + ", the model takes " +
                       std::to_string(spec.dimensions.size()) + ": " + to_string(spec.dimensions));
  }
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const std::int64_t wanted = spec.dimensions[i].size;
    if (wanted >= 0 && shape[i] != wanted) {
      throw RequestError(what + "dimension " + std::to_string(i) + " of shape " + to_string(shape) +
                         " is " + std::to_string(shape[i]) + ", the model takes " +
                         std::to_string(wanted) + ": " + to_string(spec.dimensions));
    }
  }
}

void check_inputs(std::span<const ValueSpec> inputs, std::span<const Tensor> tensors) {
  std::map<std::string_view, Bound> bound;
  for (const ValueSpec& spec : inputs) {
    const auto tensor = std::ranges::find(tensors, spec.name, &Tensor::name);
    if (tensor == tensors.end()) {
      if (spec.may_be_omitted) {
        continue;
      }
      std::string cause = "is missing";
      if (!is_carriable_input(spec)) {
        cause = "the model wants " + spec.type_text + ", which the protocol cannot carry";
      }
      throw RequestError("cannot run the model: input " + quote(spec.name) + " " + cause);
    }
    for (std::size_t i = 0; i < spec.dimensions.size(); ++i) {
      const Dimension& d = spec.dimensions[i];
      if (d.symbol.empty()) {
        continue;
      }
      const auto [at, fresh] = bound.emplace(d.symbol, Bound{tensor->shape[i], &*tensor});
      if (!fresh && at->second.size != tensor->shape[i]) {
        throw RequestError("cannot read input " + quote(spec.name) + ": dimension " +
                           std::to_string(i) + " is " + std::to_string(tensor->shape[i]) +
                           ", but " + quote(d.symbol) + " is " + std::to_string(at->second.size) +
                           " in input " + quote(at->second.by->name));
      }
    }
  }
}

} // namespace aipack::serve
