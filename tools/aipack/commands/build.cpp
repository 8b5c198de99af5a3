#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"

#include "commands/commands.hpp"
#include "commands/key_options.hpp"
#include "commands/registry_options.hpp"
#include "commands/request_options.hpp"
#include "render/json.hpp"
#include "render/table.hpp"
#include "render/transfer.hpp"

#include <algorithm>
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
  bool push = false;
  std::string load; ///< "", "any" or a list of engines
  bool sign = false;
  bool sboms = false;
  KeyOptions key;
  std::string sign_formats = default_signature_formats;
  std::vector<std::string> sign_annotations;
  bool sign_large_models = false;
  RegistryOptions registry;
};

constexpr const char* any_engine = "any";

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

image::Location local_destination(const std::string& output, const std::string& tag,
                                  const LocalName& local) {
  auto location = image::Location::parse(output);
  if (location.kind == image::Location::Kind::registry) {
    return location;
  }
  if (location.tag.empty()) {
    location.tag = location.kind == image::Location::Kind::docker_archive
                       ? (tag.empty() ? local.name + ":" + local.tag : tag)
                       : local.tag;
  }
  return location;
}

image::Location push_destination(const std::string& tag) {
  if (tag.empty()) {
    throw Error(ErrorCode::invalid_input, "cannot push: the image has no name")
        .with_hint("say where to with -t HOST/REPO:TAG");
  }
  return {.kind = image::Location::Kind::registry, .reference = registry_reference(tag)};
}

/// The engines that --load names, or the first that answers.
std::vector<transfer::ContainerEngine> wanted_engines(const std::string& load,
                                                      const Operation& op) {
  if (load == any_engine) {
    const auto found = transfer::find_engines(environment, op);
    if (found.empty()) {
      throw Error(ErrorCode::unavailable, "cannot load the image: neither docker, podman nor "
                                          "containerd answers on this machine")
          .with_hint("start the engine, or write an archive with -o docker-archive:FILE");
    }
    return {found.front()};
  }
  std::vector<transfer::ContainerEngine> engines;
  for (const auto word : split(load, ',')) {
    engines.push_back(transfer::find_engine(transfer::parse_engine_kind(word), environment, op));
  }
  return engines;
}

build::Outputs outputs(const Options& options, const build::Settings& settings,
                       const build::Plan& plan, const Operation& op) {
  const auto tag = !options.tag.empty() ? options.tag : settings.tag.value_or("");
  const auto output = !options.output.empty() ? options.output : settings.output.value_or("");
  const auto local = local_name(tag, plan);
  build::Outputs result;
  result.signed_name = tag.empty() ? local.name + ":" + local.tag : tag;
  if (!output.empty()) {
    result.destinations.push_back(local_destination(output, tag, local));
  }
  if (options.push) {
    result.destinations.push_back(push_destination(tag));
  }
  if (!options.load.empty()) {
    result.engines = wanted_engines(options.load, op);
    result.engine_tag = tag.empty() ? local.name + ":" + local.tag : tag;
  }
  if (result.destinations.empty() && result.engines.empty()) {
    result.destinations.push_back({.kind = image::Location::Kind::layout,
                                   .path = "./" + local.name + ".oci",
                                   .tag = local.tag});
  }
  return result;
}

/// What a compressed layer of a base measures unpacked nobody knows without reading it.
std::string unpacked_bytes(std::uint64_t bytes) {
  return bytes != 0 ? human_bytes(bytes) : "-";
}

/// "signed: 5 signatures, 13 attestations"; empty when nothing was asked for.
std::string attachments_summary(const trust::SigningReport& attached) {
  std::string text;
  const auto add = [&](std::size_t count, std::string_view what) {
    if (count != 0) {
      text +=
          fmt::format("{}{} {}{}", text.empty() ? "" : ", ", count, what, count == 1 ? "" : "s");
    }
  };
  add(attached.signatures, "signature");
  add(attached.attestations, "attestation");
  add(attached.documents, "SBOM");
  if (attached.present != 0) {
    text += fmt::format("{}{} were there", text.empty() ? "" : ", ", attached.present);
  }
  return text.empty() ? text : "attached: " + text + "\n";
}

std::string render(const build::BuildReport& report, double seconds) {
  Table layers({"PLATFORM", "LAYER", ">FILES", ">UNPACKED", ">STORED", "DIGEST"});
  for (const auto& platform : report.platforms) {
    auto name = platform.platform.to_string();
    const bool is_known = std::ranges::all_of(
        platform.layers, [](const auto& layer) { return layer.uncompressed_bytes != 0; });
    for (const auto& layer : platform.layers) {
      layers.add({name, std::string(to_string(layer.purpose)), std::to_string(layer.files),
                  unpacked_bytes(layer.uncompressed_bytes), human_bytes(layer.size_bytes),
                  layer.digest ? layer.digest->short_hex() : ""});
      name.clear();
    }
    layers.add({"", "= image", "", is_known ? human_bytes(platform.image_bytes) : "-",
                human_bytes(platform.image_bytes_compressed),
                platform.digest ? platform.digest->short_hex() : ""});
  }
  std::string notes;
  for (const auto& platform : report.platforms) {
    for (const auto& note : platform.notes) {
      notes += fmt::format("note: {}: {}\n", platform.platform.to_string(), note);
    }
  }
  for (const auto& note : report.notes) {
    notes += fmt::format("note: {}\n", note);
  }
  std::string places;
  for (const auto& pushed : report.pushed) {
    for (const auto& note : pushed.notes) {
      notes += fmt::format("note: {}\n", note);
    }
    places += fmt::format("{}: {}\n", pushed.reference, transfer_summary(pushed));
  }
  for (const auto& loaded : report.loaded) {
    places += fmt::format("{} in {}\n", loaded.reference, transfer::to_string(loaded.engine));
  }
  return fmt::format("{}{}\n{}\n{}  ({:.2f} s, {} written)\n{}{}", layers.to_string(), notes,
                     report.reference, report.digest.to_string(), seconds,
                     human_bytes(report.written.new_bytes), places,
                     attachments_summary(report.attached));
}

void check_signing(const Options& options) {
  const bool has_options = !options.key.key.empty() || !options.key.certificate.empty() ||
                           !options.key.timestamp_server.empty() ||
                           !options.sign_annotations.empty() || options.sign_large_models;
  if (has_options && !options.sign) {
    throw Error(ErrorCode::invalid_input,
                "cannot use options of a signature: the image is not to be signed")
        .with_hint("add --sign");
  }
}

int run_build(Session& session, const Options& options) {
  check_signing(options);
  const auto began = std::chrono::steady_clock::now();
  const auto settings = options.request.settings();
  const auto request = options.request.request(settings);
  const auto engine = session.engine(options.registry.make(session));
  const auto op = session.operation();
  // Before anything is fetched: a wrong password costs nothing yet.
  const auto formats = parse_signature_formats(options.sign_formats);
  const auto key = options.sign ? options.key.open(session, op) : OpenedKey{};
  if (key.signatory) {
    trust::check_signing(*key.signatory, formats);
  }
  const auto plan =
      options.locked.empty()
          ? engine.plan(request, op)
          : engine.plan_locked(request, io::read_text_file(options.locked, build::max_lock_bytes),
                               options.locked, op);
  auto places = outputs(options, settings, plan, op);
  places.signing = {.signatory = key.signatory.get(),
                    .sboms = options.sboms,
                    .large_models = options.sign_large_models,
                    .formats = formats,
                    .annotations = parse_annotations(options.sign_annotations, "--sign-annotation"),
                    .signed_at = std::chrono::sys_seconds(std::chrono::seconds(session.now()))};
  const auto report = engine.build(plan, places, op);
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
      "  aipack build digits.onnx -t registry.example/digits:1 --platform all --push\n"
      "  aipack build digits.onnx -t digits:1 -o docker-archive:digits.tar --compress gzip");
  options->request.add_to(*command);
  command->add_option("-t,--tag", options->tag, "Name and tag of the image")->type_name("REF");
  command
      ->add_option(
          "-o,--output", options->output,
          "oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE or HOST/REPO[:TAG] (default: "
          "oci:./NAME.oci)")
      ->type_name("DEST");
  command->add_flag("--push", options->push, "Send it to the registry that the tag names");
  command
      ->add_option("--load", options->load,
                   "Put it into a container engine: docker, podman, containerd (default: the first "
                   "that answers)")
      ->type_name("ENGINE")
      ->expected(0, 1)
      ->default_str(any_engine);
  command->add_option("--locked", options->locked, "Use exactly what this lock file pins")
      ->type_name("LOCK");
  command->add_flag("--sign", options->sign,
                    "Sign the image and attach SBOMs, provenance and the models' signatures");
  options->key.add_to(*command, " for --sign");
  command
      ->add_option("--sign-format", options->sign_formats,
                   "Forms: bundle, simple-signing, notation (default: bundle,simple-signing)")
      ->type_name("LIST");
  command->add_option("--sign-annotation", options->sign_annotations, "What the signature carries")
      ->type_name("KEY=VALUE");
  command->add_flag("--sign-large-models", options->sign_large_models,
                    "Give models beyond 64 MiB a signature of their own, too: they are read once "
                    "more");
  command->add_flag("--sbom", options->sboms, "Attach SBOMs as they are, also without a signature");
  options->registry.add_to(*command);
  command->callback([&session, options] {
    session.run = [&session, options] { return run_build(session, *options); };
  });
}

} // namespace aipack::cli
