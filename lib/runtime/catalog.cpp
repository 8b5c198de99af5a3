#include "aipack/core/error.hpp"
#include "aipack/core/suggest.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"
#include "aipack/runtime/operator_table.hpp"
#include "aipack/runtime/runtime.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace aipack::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_entries = 1000;
constexpr std::size_t operators_in_a_reason = 5;

std::string shown(std::string_view domain) {
  return domain.empty() ? "ai.onnx" : std::string(domain);
}

/// `*.json` of a directory in name order.
std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->path().extension() == ".json" && it->is_regular_file(ignored)) {
      paths.push_back(it->path());
    }
    if (paths.size() > max_entries) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot load the runtime catalog: {} has more than {} entries",
                              quoted(directory.string()), max_entries));
    }
  }
  if (error) {
    throw_errno(fmt::format("read the runtime catalog {}", quoted(directory.string())),
                error.value());
  }
  std::ranges::sort(paths);
  return paths;
}

class LoadedCatalog final : public RuntimeCatalog {
public:
  void add(Runtime runtime, std::optional<OperatorTable> table) {
    tables_.erase(runtime.name);
    if (table) {
      tables_.emplace(runtime.name, std::move(*table));
    }
    const auto same = std::ranges::find(runtimes_, runtime.name, &Runtime::name);
    if (same != runtimes_.end()) {
      *same = std::move(runtime);
    } else {
      runtimes_.push_back(std::move(runtime));
    }
  }

  [[nodiscard]] const std::vector<Runtime>& runtimes() const noexcept override { return runtimes_; }

  [[nodiscard]] std::vector<std::string>
  reasons_against(const Runtime& runtime, const model::Model& model,
                  const oci::Platform& platform) const override {
    std::vector<std::string> reasons;
    const auto format = model::to_string(model.format);
    if (std::ranges::find(runtime.formats, format) == runtime.formats.end()) {
      reasons.push_back(fmt::format("it does not serve models of format {}", format));
      return reasons;
    }
    if (std::ranges::find(runtime.platforms, platform) == runtime.platforms.end()) {
      reasons.push_back(fmt::format("it does not run on {}", platform.to_string()));
    }
    check_versions(runtime, model, reasons);
    check_domains(runtime, model, reasons);
    check_operators(runtime, model, reasons);
    return reasons;
  }

  [[nodiscard]] Choice choose(const model::Model& model, const oci::Platform& platform,
                              std::string_view wanted) const override {
    std::vector<Rejection> rejections;
    bool found = false;
    for (const auto& runtime : runtimes_) {
      if (!wanted.empty() && runtime.name != wanted) {
        continue;
      }
      found = true;
      auto reasons = reasons_against(runtime, model, platform);
      if (reasons.empty()) {
        return runtime;
      }
      rejections.push_back({.runtime = runtime.name, .reasons = std::move(reasons)});
    }
    if (!wanted.empty() && !found) {
      std::vector<std::string> names;
      std::ranges::transform(runtimes_, std::back_inserter(names), &Runtime::name);
      const auto near = nearest_word(wanted, names);
      throw Error(
          ErrorCode::not_found,
          fmt::format("cannot choose runtime {}: the catalog has no such entry", quoted(wanted)))
          .with_hint(near.empty() ? fmt::format("it has: {}", fmt::join(names, ", "))
                                  : fmt::format("did you mean '{}'?", near));
    }
    return rejections;
  }

private:
  static std::string release(const Runtime& runtime) {
    return fmt::format("{} {}", runtime.name, runtime.version);
  }

  static void check_versions(const Runtime& runtime, const model::Model& model,
                             std::vector<std::string>& reasons) {
    if (runtime.max_ir_version > 0 && model.ir_version > runtime.max_ir_version) {
      reasons.push_back(fmt::format("the model has IR version {}, {} reads versions up to {}: "
                                    "export it for an older ONNX release",
                                    model.ir_version, release(runtime), runtime.max_ir_version));
    }
    for (const auto& opset : model.opsets) {
      const auto most = runtime.max_opsets.find(opset.domain);
      if (most == runtime.max_opsets.end()) {
        continue; // refused below, where one of its operators is used
      }
      if (opset.version > most->second) {
        reasons.push_back(fmt::format("the model imports opset {} of {}, {} accepts opsets up to "
                                      "{}: export it with that opset",
                                      opset.version, shown(opset.domain), release(runtime),
                                      most->second));
      } else if (opset.version < 1) {
        reasons.push_back(fmt::format("the model imports opset {} of {}, and opsets begin at 1",
                                      opset.version, shown(opset.domain)));
      }
    }
  }

  static void check_domains(const Runtime& runtime, const model::Model& model,
                            std::vector<std::string>& reasons) {
    if (runtime.max_opsets.empty()) {
      return;
    }
    std::set<std::string> refused;
    for (const auto& use : model.operator_uses) {
      if (!runtime.max_opsets.contains(use.domain)) {
        refused.insert(use.domain);
      }
    }
    for (const auto& domain : refused) {
      reasons.push_back(fmt::format("the model uses operators of domain {}, which {} does not have",
                                    quoted(shown(domain)), release(runtime)));
    }
  }

  void check_operators(const Runtime& runtime, const model::Model& model,
                       std::vector<std::string>& reasons) const {
    const auto table = tables_.find(runtime.name);
    std::set<std::string> missing; // several uses can lack the same kernel
    std::vector<std::string> in_order;
    for (const auto& use : model.operator_uses) {
      for (const auto& [trait, value] : use.traits) {
        if (const auto reason = runtime.unsupported_traits.find(trait);
            reason != runtime.unsupported_traits.end()) {
          auto sentence =
              fmt::format("{} with {} {}: {}", use.name, trait, quoted(value), reason->second);
          if (missing.insert(sentence).second) {
            reasons.push_back(std::move(sentence));
          }
        }
      }
      const auto most = runtime.max_opsets.find(use.domain);
      if (table == tables_.end() || most == runtime.max_opsets.end() ||
          use.opset_version > most->second) {
        continue; // there is a reason already, or nothing to compare with
      }
      if (auto cause = table->second.refuse(use); cause && missing.insert(*cause).second) {
        in_order.push_back(std::move(*cause));
      }
    }
    if (in_order.empty()) {
      return;
    }
    const auto listed = std::min(in_order.size(), operators_in_a_reason);
    const auto more = in_order.size() - listed;
    in_order.resize(listed);
    reasons.push_back(fmt::format("{} lacks operators of the model: {}{}", release(runtime),
                                  fmt::join(in_order, "; "),
                                  more == 0 ? std::string() : fmt::format("; and {} more", more)));
  }

  std::vector<Runtime> runtimes_;
  std::map<std::string, OperatorTable, std::less<>> tables_; ///< by name of the runtime
};

} // namespace

std::unique_ptr<RuntimeCatalog> load_catalog(std::span<const std::filesystem::path> directories) {
  auto catalog = std::make_unique<LoadedCatalog>();
  for (const auto& directory : directories) {
    for (const auto& path : entries_of(directory)) {
      auto runtime = parse_runtime(io::read_text_file(path, max_entry_bytes), path.string());
      std::optional<OperatorTable> table;
      if (!runtime.operator_table.empty()) {
        const auto file = directory / runtime.operator_table;
        table =
            OperatorTable::parse(io::read_text_file(file, OperatorTable::max_bytes), file.string());
      }
      catalog->add(std::move(runtime), std::move(table));
    }
  }
  return catalog;
}

} // namespace aipack::runtime
