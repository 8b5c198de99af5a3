#include "aipack/runtime/operator_table.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "strict_json.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace aipack::runtime {
namespace {

std::string types_text(const std::map<std::string, std::string>& types) {
  std::string text;
  for (const auto& [variable, type] : types) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", variable, type);
  }
  return text;
}

} // namespace

OperatorTable OperatorTable::parse(std::string_view json, std::string_view name) {
  OperatorTable table;
  const auto broken = [&](std::string_view cause) {
    return FormatError(std::string(name), std::nullopt, cause);
  };
  const auto document = parse_strict(json, name);
  try {
    std::map<std::string, std::set<std::string>> sets;
    for (const auto& [key, value] : document.at("type_sets").items()) {
      std::set<std::string> types;
      const auto text = value.get<std::string>();
      for (const auto type : split(text, ' ')) {
        types.emplace(type);
      }
      sets.emplace(key, std::move(types));
    }
    for (const auto& [domain, operators] : document.at("operators").items()) {
      for (const auto& [operator_name, versions] : operators.items()) {
        for (const auto& [version_text, entry] : versions.items()) {
          const auto version = parse_decimal(version_text);
          if (!version || *version == 0 || *version > 1'000'000) {
            throw broken(fmt::format("{} is not an operator version", quoted(version_text)));
          }
          Kernels kernels{.any = true, .alternatives = {}};
          if (entry.is_array()) {
            for (const auto& item : entry) {
              Alternative alternative;
              for (const auto& [variable, set_name] : item.items()) {
                alternative.emplace(variable, sets.at(set_name.get<std::string>()));
              }
              kernels.alternatives.push_back(std::move(alternative));
            }
            if (kernels.alternatives.empty()) {
              throw broken(fmt::format("{} has an empty list of kernels", quoted(operator_name)));
            }
          } else if (entry == "none") {
            kernels.any = false;
          } else if (entry != "all") {
            throw broken(
                fmt::format("{} has neither kernels, 'all' nor 'none'", quoted(operator_name)));
          }
          table.operators_[domain][operator_name].emplace(static_cast<std::int64_t>(*version),
                                                          std::move(kernels));
        }
      }
    }
  } catch (const nlohmann::json::exception& error) {
    throw broken(fmt::format("it is not an operator table ({})", error.what()));
  } catch (const std::out_of_range&) {
    throw broken("it names a type set that it does not define");
  }
  return table;
}

std::optional<std::string> OperatorTable::refuse(const model::OperatorUse& use) const {
  const auto unknown = [&] {
    return fmt::format("{} is not an operator of {} {}", use.name,
                       use.domain.empty() ? "ai.onnx" : use.domain, use.opset_version);
  };
  const auto domain = operators_.find(use.domain);
  if (domain == operators_.end()) {
    return unknown();
  }
  const auto found = domain->second.find(use.name);
  if (found == domain->second.end()) {
    return unknown();
  }
  const auto& versions = found->second;
  const auto after =
      use.opset_version == 0 ? versions.end() : versions.upper_bound(use.opset_version);
  if (after == versions.begin()) {
    return unknown();
  }
  const auto& [version, kernels] = *std::prev(after);
  if (!kernels.any) {
    return fmt::format("{}-{} is not implemented", use.name, version);
  }
  const auto fits = [&](const Alternative& alternative) {
    return std::ranges::all_of(alternative, [&](const auto& constraint) {
      const auto type = use.types.find(constraint.first);
      return type == use.types.end() || constraint.second.contains(type->second);
    });
  };
  if (kernels.alternatives.empty() || std::ranges::any_of(kernels.alternatives, fits)) {
    return std::nullopt;
  }
  return fmt::format("{}-{} is not implemented for {}", use.name, version, types_text(use.types));
}

std::size_t OperatorTable::size() const noexcept {
  std::size_t count = 0;
  for (const auto& [domain, operators] : operators_) {
    for (const auto& [name, versions] : operators) {
      count += versions.size();
    }
  }
  return count;
}

} // namespace aipack::runtime
