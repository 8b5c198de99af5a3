#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/transfer/attach.hpp"
#include "aipack/trust/images.hpp"
#include "aipack/trust/model_files.hpp"
#include "aipack/trust/signing.hpp"

#include "commands/commands.hpp"
#include "commands/key_options.hpp"
#include "commands/registry_options.hpp"
#include "render/json.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string target;
  KeyOptions key;
  std::vector<std::string> annotations;
  std::string formats; ///< empty: the default's, as far as the place allows
  std::string name;    ///< what signatures at a layout's tag call the image
  bool root_only = false;
  std::string bundle;    ///< file to write instead of attaching
  bool is_model = false; ///< `target` is files, not an image
  std::string output;    ///< of a model's signature
  bool allow_symlinks = false;
  std::string type;      ///< attest: predicate type
  std::string predicate; ///< attest: its file
  RegistryOptions registry;
};

/// The image that is signed, and where.
struct Target {
  image::Location location;
  std::unique_ptr<transfer::Origin> origin;
  std::vector<oci::Descriptor> images; ///< the root first
  std::chrono::sys_seconds created;
};

Target open_target(const Options& options, registry::Registry& registry, const Operation& op) {
  Target target{.location = image::Location::parse(options.target)};
  target.origin = transfer::open_origin(target.location, registry, op);
  const auto root = target.origin->resolve(op);
  target.images =
      options.root_only ? std::vector{root} : trust::images_of(*target.origin, root, op);
  target.created = trust::created_of(*target.origin, root, op);
  return target;
}

std::string counted(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

void print_report(const Session& session, const std::string& name, const oci::Digest& digest,
                  const trust::SigningReport& report) {
  if (session.json) {
    print({{"reference", name},
           {"digest", digest.to_string()},
           {"signatures", report.signatures},
           {"attestations", report.attestations},
           {"present", report.present},
           {"notes", report.notes}});
    return;
  }
  if (session.quiet) {
    print_text(digest.to_string() + "\n");
    return;
  }
  std::string done;
  const auto add = [&](std::size_t count, std::string_view what) {
    if (count != 0) {
      done += (done.empty() ? "" : ", ") + counted(count, what) + " written";
    }
  };
  add(report.signatures, "signature");
  add(report.attestations, "attestation");
  if (report.present != 0) {
    done += fmt::format("{}{} there already", done.empty() ? "" : ", ", report.present);
  }
  for (const auto& note : report.notes) {
    done += "\nnote: " + note;
  }
  print_text(fmt::format("{}\n{}  read back and verified: {}\n", name, digest.to_string(), done));
}

trust::SigningOptions signing_options(const Session& session, const Options& options,
                                      const Target& target) {
  trust::SigningOptions result{
      .formats = parse_signature_formats(options.formats.empty() ? default_signature_formats
                                                                 : options.formats),
      .annotations = parse_annotations(options.annotations, "--annotation"),
      .references = trust::simple_references(target.location, options.name),
      .created = target.created,
      .signed_at = std::chrono::sys_seconds(std::chrono::seconds(session.now()))};
  if (!options.name.empty() && target.location.reference) {
    throw Error(ErrorCode::invalid_input,
                "cannot use --name: an image in a registry is called by where it is");
  }
  if (result.references.empty() && result.formats.erase(sign::Format::simple_signing) != 0 &&
      !options.formats.empty()) {
    throw Error(ErrorCode::invalid_input,
                "cannot sign in the form 'simple-signing': it says what the image is called, and "
                "a layout has no name")
        .with_hint("say with --name what it will be called: HOST/REPO:TAG");
  }
  return result;
}

int sign_to_file(Session& session, const Options& options, const Target& target,
                 const OpenedKey& key) {
  const auto& root = target.images.front();
  const auto bundle = sign::sign_image(
      root.digest, parse_annotations(options.annotations, "--annotation"), *key.signatory);
  io::write_file_atomically(options.bundle, io::as_bytes(bundle));
  session.end_progress();
  if (session.json) {
    print({{"reference", options.target},
           {"digest", root.digest.to_string()},
           {"bundle", options.bundle}});
  } else {
    print_text(fmt::format("{}  signature of {}\n", options.bundle, root.digest.to_string()));
  }
  return 0;
}

int sign_model(Session& session, const Options& options) {
  const auto op = session.operation();
  const std::filesystem::path model = options.target;
  const bool is_folder = std::filesystem::is_directory(model);
  const auto output = !options.output.empty() ? std::filesystem::path(options.output)
                      : is_folder             ? model / trust::model_signature_file
                                              : std::filesystem::path(options.target + ".sig");
  auto ignored = is_folder ? trust::default_ignored_paths() : std::vector<std::string>();
  const auto inside = std::filesystem::weakly_canonical(output).lexically_relative(
      std::filesystem::weakly_canonical(model));
  if (is_folder && !inside.empty() && *inside.begin() != "..") {
    ignored.push_back(inside.generic_string()); // of an earlier run
  }
  const auto key = options.key.open(session, op);
  const auto files = trust::hash_model(model,
                                       {.allow_symlinks = options.allow_symlinks,
                                        .ignored_paths = ignored,
                                        .concurrency = session.jobs},
                                       op);
  const auto name = std::filesystem::absolute(model).lexically_normal();
  const auto stem = name.has_filename() ? name.filename() : name.parent_path().filename();
  const auto bundle = sign::sign_model(
      files,
      {.name = stem.string(), .allow_symlinks = options.allow_symlinks, .ignored_paths = ignored},
      *key.signatory);
  io::write_file_atomically(output, io::as_bytes(bundle));
  session.end_progress();
  const auto root = sign::model_root(files);
  if (session.json) {
    print({{"model", options.target},
           {"digest", root.to_string()},
           {"files", files.size()},
           {"bundle", output.string()}});
  } else {
    print_text(fmt::format("{}  signature of {}, {}\n", output.string(),
                           counted(files.size(), "file"), root.to_string()));
  }
  return 0;
}

int run_sign(Session& session, const Options& options) {
  if (options.is_model) {
    return sign_model(session, options);
  }
  const auto op = session.operation();
  const auto key = options.key.open(session, op);
  registry::Registry registry(options.registry.make(session));
  const auto target = open_target(options, registry, op);
  if (!options.bundle.empty()) {
    return sign_to_file(session, options, target, key);
  }
  const auto annex = transfer::open_annex(target.location, registry);
  const auto report = trust::annotate(*annex, {.signed_images = target.images}, *key.signatory,
                                      signing_options(session, options, target), op);
  session.end_progress();
  print_report(session, target.location.to_string(), target.images.front().digest, report);
  return 0;
}

int run_attest(Session& session, const Options& options) {
  const auto op = session.operation();
  trust::Attestation attestation{
      .images = {},
      .predicate_type = sign::predicate_type_of(options.type),
      .predicate = io::read_text_file(options.predicate, sign::max_statement_bytes)};
  if (attestation.predicate_type == sign::predicate_type::signature) {
    throw Error(ErrorCode::invalid_input, "cannot attest: this type is what a signature is")
        .with_hint("use 'aipack sign'");
  }
  const auto key = options.key.open(session, op);
  registry::Registry registry(options.registry.make(session));
  const auto target = open_target(options, registry, op);
  attestation.images = target.images;
  const auto annex = transfer::open_annex(target.location, registry);
  const auto report = trust::annotate(*annex, {.attestations = {attestation}}, *key.signatory,
                                      signing_options(session, options, target), op);
  session.end_progress();
  print_report(session, target.location.to_string(), target.images.front().digest, report);
  return 0;
}

void add_common(CLI::App& command, Options& options) {
  command.add_option("IMAGE", options.target, "oci:DIR[:TAG] or HOST/REPO[:TAG|@DIGEST]")
      ->required()
      ->type_name("");
  options.key.add_to(command);
  command.add_flag("--root-only", options.root_only,
                   "The index alone, not each platform's image as well");
  options.registry.add_to(command);
}

} // namespace

void add_sign(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(app, session, "sign", "Sign an image, or a model's files", "Trust",
                           "  aipack sign registry.example/team/digits:1 --key release.key\n"
                           "  aipack sign --model llm/ --key release.key");
  add_common(*command, *options);
  command->add_option("-a,--annotation", options->annotations, "What the signature carries")
      ->type_name("KEY=VALUE");
  command
      ->add_option("--format", options->formats,
                   "Forms: bundle, simple-signing, notation (default: bundle,simple-signing)")
      ->type_name("LIST");
  command
      ->add_option("--name", options->name,
                   "Of a layout: what signatures for podman call the image, HOST/REPO:TAG")
      ->type_name("REF");
  command
      ->add_option("--bundle", options->bundle,
                   "Write the index's signature to this file as a bundle, and nothing beside the "
                   "image")
      ->type_name("FILE");
  command->add_flag("--model", options->is_model,
                    "IMAGE is a model's file or folder: write an OpenSSF model signature");
  command
      ->add_option("-o,--output", options->output,
                   "With --model: the signature's file (default: model.sig in the folder, or "
                   "FILE.sig)")
      ->type_name("FILE");
  command->add_flag("--allow-symlinks", options->allow_symlinks,
                    "With --model: sign what symbolic links to files name");
  command->callback([&session, options] {
    session.run = [&session, options] { return run_sign(session, *options); };
  });
}

void add_attest(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(app, session, "attest", "Sign a statement about an image", "Trust",
                           "  aipack attest registry.example/team/digits:1 --key release.key "
                           "--type vuln --predicate scan.json\n"
                           "  aipack attest oci:./digits.oci:1 --key release.key --type "
                           "https://example.org/eval/v1 --predicate accuracy.json");
  add_common(*command, *options);
  command
      ->add_option("--type", options->type,
                   "slsaprovenance1, spdxjson, cyclonedx, vuln, openvex, custom or a URI")
      ->required()
      ->type_name("TYPE");
  command->add_option("--predicate", options->predicate, "What is stated: a JSON object")
      ->required()
      ->type_name("FILE");
  command->callback([&session, options] {
    session.run = [&session, options] { return run_attest(session, *options); };
  });
}

} // namespace aipack::cli
