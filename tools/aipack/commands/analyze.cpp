#include "aipack/core/text.hpp"

#include "commands/commands.hpp"
#include "render/json.hpp"
#include "render/table.hpp"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string model;
  std::string platform;
};

std::string tensors(std::string_view title, const std::vector<model::TensorInfo>& list) {
  Table table({std::string(title), "TYPE", "SHAPE"});
  for (const auto& tensor : list) {
    table.add({quoted(tensor.name), tensor.element_type, tensor.shape_text()});
  }
  return table.to_string(2);
}

/// Text out of a model is printed like any foreign text: without control characters.
std::string shown(const std::string& text) {
  const auto safe = quoted(text);
  return safe.substr(1, safe.size() - 2);
}

std::string render(const model::Model& model, const std::vector<build::RuntimeVerdict>& verdicts) {
  std::string text = fmt::format("{}: {} model, {} in {} file{}\n", shown(model.name),
                                 to_string(model.format), human_bytes(model.size_bytes()),
                                 model.files.size(), model.files.size() == 1 ? "" : "s");
  const auto line = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) {
      text += fmt::format("  {:<12} {}\n", key, value);
    }
  };
  line("producer", shown(std::string(trim(model.producer_name + " " + model.producer_version))));
  line("description", shown(model.description));
  line("licence", shown(model.license));
  std::string opsets;
  for (const auto& opset : model.opsets) {
    opsets += fmt::format("{}{} {}", opsets.empty() ? "" : ", ",
                          opset.domain.empty() ? "ai.onnx" : shown(opset.domain), opset.version);
  }
  line("version", fmt::format("IR {}, opsets {}", model.ir_version, opsets));
  line("parameters", fmt::format("{} in {} initializers, {}", model.parameter_count,
                                 model.initializer_count, human_bytes(model.weight_bytes)));
  if (model.memory_bytes_estimate > 0) {
    line("memory", fmt::format("about {} when loaded", human_bytes(model.memory_bytes_estimate)));
  }
  text += "\n" + tensors("INPUT", model.inputs) + "\n" + tensors("OUTPUT", model.outputs) + "\n";
  Table operators({"OPERATOR", "DOMAIN", ">COUNT"});
  for (const auto& op : model.operators) {
    operators.add({shown(op.name), op.domain.empty() ? "ai.onnx" : shown(op.domain),
                   std::to_string(op.count)});
  }
  text += operators.to_string(2);
  if (!model.findings.empty()) {
    Table findings({"FINDING", "SEVERITY", "WHERE", "WHAT"});
    for (const auto& finding : model.findings) {
      findings.add({finding.rule, std::string(to_string(finding.severity)), shown(finding.location),
                    shown(finding.message)});
    }
    text += "\n" + findings.to_string(2);
  }
  Table runtimes({"RUNTIME", "SERVES IT", "REASON"});
  for (const auto& verdict : verdicts) {
    runtimes.add({verdict.name, verdict.supported ? "yes" : "no", shown(verdict.reason)});
  }
  return text + "\n" + runtimes.to_string(2);
}

int run_analyze(Session& session, const Options& options) {
  const auto engine = session.engine();
  const auto model = engine.analyze(options.model, session.operation());
  const auto platform =
      options.platform.empty() ? oci::Platform::host() : oci::Platform::parse(options.platform);
  const auto verdicts = engine.verdicts(model, platform);
  session.end_progress();
  if (session.json) {
    print(to_json(model, verdicts));
  } else {
    print_text(render(model, verdicts));
  }
  return 0;
}

} // namespace

void add_analyze(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(app, session, "analyze",
                           "Say what a model is, needs and may do, without loading it", "Look",
                           "  aipack analyze digits.onnx\n"
                           "  aipack analyze models/bert --json | jq .findings");
  command->add_option("MODEL", options->model, "Model file or folder")->required()->type_name("");
  command
      ->add_option("--platform", options->platform,
                   "Judge the runtimes for this platform (default: this machine's)")
      ->type_name("PLATFORM");
  command->callback([&session, options] {
    session.run = [&session, options] { return run_analyze(session, *options); };
  });
}

} // namespace aipack::cli
