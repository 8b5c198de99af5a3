#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include "commands/commands.hpp"
#include "commands/request_options.hpp"
#include "render/json.hpp"
#include "render/table.hpp"

#include <chrono>
#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  RequestOptions request;
  std::string tag;
  std::string output;
  std::string locked;
};

/// The part of a tag that names a local image: "repo/name:1" → "name" and "1".
struct LocalName {
  std::string name;
  std::string tag;
};

LocalName local_name(const std::string& tag, const build::Plan& plan) {
  if (tag.empty()) {
    return {build::default_image_name(plan.models), "latest"};
  }
  const auto reference = oci::Reference::parse(tag);
  if (reference.digest()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use tag {}: a digest cannot be chosen", quoted(tag)));
  }
  const auto& repository = reference.repository();
  return {repository.substr(repository.rfind('/') + 1),
          reference.tag().empty() ? "latest" : reference.tag()};
}

image::Location destination(const Options& options, const build::Settings& settings,
                            const build::Plan& plan) {
  const auto tag = !options.tag.empty() ? options.tag : settings.tag.value_or("");
  const auto output = !options.output.empty() ? options.output : settings.output.value_or("");
  const auto local = local_name(tag, plan);
  if (output.empty()) {
    return {.kind = image::Location::Kind::layout,
            .path = "./" + local.name + ".oci",
            .tag = local.tag};
  }
  auto location = image::Location::parse(output);
  if (location.tag.empty()) {
    location.tag = location.kind == image::Location::Kind::docker_archive
                       ? (tag.empty() ? local.name + ":" + local.tag : tag)
                       : local.tag;
  }
  return location;
}

std::string render(const build::BuildReport& report, double seconds) {
  Table layers({"PLATFORM", "LAYER", ">FILES", ">UNPACKED", ">STORED", "DIGEST"});
  for (const auto& platform : report.platforms) {
    auto name = platform.platform.to_string();
    for (const auto& layer : platform.layers) {
      layers.add({name, std::string(to_string(layer.purpose)), std::to_string(layer.files),
                  human_bytes(layer.uncompressed_bytes), human_bytes(layer.size_bytes),
                  layer.digest ? layer.digest->short_hex() : ""});
      name.clear();
    }
    layers.add({"", "= image", "", human_bytes(platform.image_bytes),
                human_bytes(platform.image_bytes_compressed),
                platform.digest ? platform.digest->short_hex() : ""});
  }
  std::string notes;
  for (const auto& platform : report.platforms) {
    for (const auto& note : platform.notes) {
      notes += fmt::format("note: {}: {}\n", platform.platform.to_string(), note);
    }
  }
  return fmt::format("{}{}\n{}\n{}  ({:.2f} s, {} written)\n", layers.to_string(), notes,
                     report.reference, report.digest.to_string(), seconds,
                     human_bytes(report.written.new_bytes));
}

int run_build(Session& session, const Options& options) {
  const auto began = std::chrono::steady_clock::now();
  const auto settings = options.request.settings();
  const auto request = options.request.request(settings);
  const auto engine = session.engine();
  const auto op = session.operation();
  const auto plan =
      options.locked.empty()
          ? engine.plan(request, op)
          : engine.plan_locked(request, io::read_text_file(options.locked, build::max_lock_bytes),
                               options.locked, op);
  const auto report = engine.build(plan, destination(options, settings, plan), op);
  session.end_progress();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (session.json) {
    auto record = to_json(report);
    record["seconds"] = seconds;
    print(record);
  } else if (session.quiet) {
    print_text(report.digest.to_string() + "\n");
  } else {
    print_text(render(report, seconds));
  }
  return 0;
}

} // namespace

void add_build(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(
      app, session, "build", "Turn a model into an image", "Build",
      "  aipack build digits.onnx --platform all\n"
      "  aipack build digits.onnx -t digits:1 -o docker-archive:digits.tar --compress gzip");
  options->request.add_to(*command);
  command->add_option("-t,--tag", options->tag, "Name and tag of the image")->type_name("REF");
  command
      ->add_option(
          "-o,--output", options->output,
          "oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE (default: oci:./NAME.oci)")
      ->type_name("DEST");
  command->add_option("--locked", options->locked, "Use exactly what this lock file pins")
      ->type_name("LOCK");
  command->callback([&session, options] {
    session.run = [&session, options] { return run_build(session, *options); };
  });
}

} // namespace aipack::cli
