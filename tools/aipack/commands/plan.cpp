#include "aipack/core/text.hpp"
#include "aipack/io/temp_file.hpp"

#include "commands/commands.hpp"
#include "commands/registry_options.hpp"
#include "commands/request_options.hpp"
#include "render/json.hpp"
#include "render/table.hpp"

#include <chrono>
#include <map>
#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  RequestOptions request;
  std::string output;
  RegistryOptions registry;
};

/// Dropped files by reason: thousands of files have a dozen reasons.
std::string dropped_summary(const build::PlatformReport& platform, bool every_file) {
  std::string text;
  if (every_file) {
    Table files({"DROPPED", ">SIZE", "WHY"});
    for (const auto& item : platform.dropped) {
      files.add({item.what, human_bytes(item.size_bytes), item.reason});
    }
    return files.to_string(2);
  }
  struct Sum {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::string, Sum> reasons;
  for (const auto& item : platform.dropped) {
    auto& sum = reasons[item.reason];
    ++sum.files;
    sum.bytes += item.size_bytes;
  }
  Table table({"DROPPED BECAUSE", ">FILES", ">SIZE"});
  for (const auto& [reason, sum] : reasons) {
    table.add({reason, std::to_string(sum.files), human_bytes(sum.bytes)});
  }
  return table.to_string(2);
}

std::string render(const build::PlatformReport& platform, unsigned verbose) {
  std::string text = fmt::format("{}  {}  {} unpacked\n\n", platform.platform.to_string(),
                                 platform.runtime, human_bytes(platform.image_bytes));
  Table layers({"LAYER", ">FILES", ">SIZE", "CONTENT"});
  for (const auto& layer : platform.layers) {
    layers.add({std::string(to_string(layer.purpose)), std::to_string(layer.files),
                layer.uncompressed_bytes != 0 ? human_bytes(layer.uncompressed_bytes) : "-",
                layer.title});
  }
  text += layers.to_string(2) + "\n";
  Table packages({"PACKAGE", "VERSION", "SUITE", "BECAUSE"});
  for (const auto& choice : platform.packages) {
    const auto why = choice.required_by.empty()
                         ? "asked for: " + choice.relation
                         : fmt::format("{} needs {}", choice.required_by, choice.relation);
    packages.add({choice.package.name, choice.package.version, choice.package.source_suite, why});
  }
  text += packages.to_string(2) + "\n" + dropped_summary(platform, verbose > 0);
  for (const auto& script : platform.scripts) {
    if (verbose > 0 || script.kind != rootfs::ScriptVerdict::Kind::no_op) {
      text += fmt::format("  script {} of {}: {}\n", script.script, script.package, script.effect);
    }
  }
  for (const auto& note : platform.notes) {
    text += fmt::format("  note: {}\n", note);
  }
  return text + "\n";
}

int run_plan(Session& session, const Options& options) {
  const auto began = std::chrono::steady_clock::now();
  const auto request = options.request.request(options.request.settings());
  const auto engine = session.engine(options.registry.make(session));
  const auto op = session.operation();
  const auto report = engine.describe(engine.plan(request, op), op);
  session.end_progress();
  if (!options.output.empty()) {
    io::write_file_atomically(options.output, io::as_bytes(build::write_lock(report.plan)),
                              io::Durability::synced);
  }
  if (session.json) {
    auto record = to_json(report);
    record["reference"] = nullptr; // nothing was written
    record["seconds"] =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    print(record);
    return 0;
  }
  if (!session.quiet) {
    for (const auto& platform : report.platforms) {
      print_text(render(platform, session.verbose));
    }
  }
  if (!options.output.empty()) {
    print_text(fmt::format("wrote {}\n", options.output));
  }
  return 0;
}

} // namespace

void add_plan(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command =
      add_verb(app, session, "plan", "Show what a build would put into the image, and why", "Build",
               "  aipack plan digits.onnx --platform all\n"
               "  aipack plan digits.onnx --platform all -o aipack.lock");
  options->request.add_to(*command);
  command->add_option("-o,--output", options->output, "Write the lock file: every input by digest")
      ->type_name("FILE");
  options->registry.add_to(*command);
  command->callback([&session, options] {
    session.run = [&session, options] { return run_plan(session, *options); };
  });
}

} // namespace aipack::cli
