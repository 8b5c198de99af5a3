#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/file.hpp"
#include "aipack/sign/bundle.hpp"
#include "aipack/trust/model_files.hpp"
#include "aipack/trust/verification.hpp"

#include "commands/commands.hpp"
#include "commands/registry_options.hpp"
#include "commands/trust_options.hpp"
#include "render/json.hpp"
#include "render/table.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string target;
  TrustOptions trust;
  bool every_platform = false;
  std::vector<std::string> bundles;
  bool rebuild = false;
  std::vector<std::string> models; ///< for --rebuild
  std::string mirror;
  std::string base; ///< for --rebuild
  bool is_model = false;
  std::string signature; ///< of a model
  bool allow_symlinks = false;
  bool allow_unsigned = false;
  RegistryOptions registry;
};

constexpr int exit_not_trusted = 5; // main.cpp's table: corrupt or not trusted

/// Words of whoever wrote an attestation do not paint on the terminal.
std::string shown(const std::string& text) {
  const bool is_plain = std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
  return is_plain ? text : quoted(text);
}

std::string subject_name(const trust::ImageVerdict& image) {
  return image.image.platform ? image.image.platform->to_string() : "";
}

std::string render(const trust::VerifyReport& report, const std::string& name) {
  Table table({"IMAGE", "FORM", "WHAT", "VERIFIED", "WHY"});
  for (const auto& image : report.images) {
    auto subject = subject_name(image);
    subject = subject.empty() ? image.image.digest.short_hex() : subject;
    for (const auto& signature : image.verdict.signatures) {
      table.add({std::exchange(subject, ""), std::string(sign::to_string(signature.format)),
                 "signature", signature.verified ? "yes" : "no", signature.reason});
    }
    for (const auto& attestation : image.verdict.attestations) {
      table.add({std::exchange(subject, ""), std::string(sign::to_string(attestation.format)),
                 shown(attestation.predicate_type),
                 attestation.verified                                                  ? "yes"
                 : attestation.predicate_type == sign::predicate_type::model_signature ? "-"
                                                                                       : "no",
                 attestation.reason});
    }
  }
  return fmt::format("{}{}{}\n{}  {}\n", table.to_string(), report.images.empty() ? "" : "\n", name,
                     report.root.digest.to_string(),
                     report.verified ? "verified: " + report.reason
                                     : "NOT verified: " + report.reason);
}

int finish(const Session& session, bool verified, const Json& record, const std::string& text) {
  if (session.json) {
    print(record);
  } else if (!session.quiet) {
    print_text(text);
  }
  return verified ? 0 : exit_not_trusted;
}

int verify_model(Session& session, const Options& options) {
  const auto op = session.operation();
  const auto policy = options.trust.policy(session.now());
  const std::filesystem::path model = options.target;
  const auto signature = !options.signature.empty() ? std::filesystem::path(options.signature)
                         : std::filesystem::is_directory(model)
                             ? model / trust::model_signature_file
                             : std::filesystem::path(options.target + ".sig");
  const auto bundle = io::read_text_file(signature, sign::max_bundle_bytes);
  auto ignored = sign::ignored_model_paths(bundle, signature.string());
  const auto inside = std::filesystem::weakly_canonical(signature)
                          .lexically_relative(std::filesystem::weakly_canonical(model))
                          .generic_string();
  if (!inside.empty() && !inside.starts_with("..")) {
    ignored.push_back(inside);
  }
  const auto files = trust::hash_model(model,
                                       {.allow_symlinks = options.allow_symlinks,
                                        .ignored_paths = ignored,
                                        .concurrency = session.jobs},
                                       op);
  const auto verdict = sign::verify_model(bundle, files,
                                          {.keys = policy.keys,
                                           .identities = policy.identities,
                                           .trusted_root = policy.trusted_root,
                                           .allow_unsigned_files = options.allow_unsigned,
                                           .time = policy.time});
  session.end_progress();
  std::string lists;
  const auto list = [&](const char* what, const std::vector<std::string>& paths) {
    for (const auto& path : paths) {
      lists += fmt::format("{}: {}\n", what, path);
    }
  };
  list("missing", verdict.missing);
  list("changed", verdict.changed);
  list("not signed", verdict.unsigned_files);
  return finish(session, verdict.verified, to_json(verdict, options.target),
                fmt::format("{}{}  {}: {}\n", lists, options.target,
                            verdict.verified ? "verified" : "NOT verified", verdict.reason));
}

std::string render(const build::RebuildReport& report) {
  std::string text;
  for (const auto& layer : report.layers) {
    text +=
        fmt::format("{}  {}  {}\n  in the image  {}\n  rebuilt       {}\n",
                    layer.platform.to_string(), image::to_string(layer.purpose), shown(layer.title),
                    layer.expected ? layer.expected->to_string() : "no such layer",
                    !report.composed ? "not composed"
                    : layer.rebuilt  ? layer.rebuilt->to_string()
                                     : "no such layer");
  }
  for (const auto& input : report.inputs) {
    text += input + "\n";
  }
  return text + fmt::format("rebuild  {}: {}\n", report.verified ? "verified" : "NOT verified",
                            report.reason);
}

/// What was verified, composed again.
build::RebuildReport rebuild(const build::Engine& engine, const Options& options,
                             const image::Location& location, const trust::VerifyReport& verified,
                             const sign::Policy& policy, const Operation& op) {
  build::RebuildRequest request{
      .policy = policy, .root = verified.root, .mirror = options.mirror, .base = options.base};
  request.models.assign(options.models.begin(), options.models.end());
  return engine.verify_rebuild(location, request, op);
}

trust::VerifyOptions verify_options(const Session& session, const Options& options,
                                    const image::Location& location) {
  trust::VerifyOptions verify{.policy = options.trust.policy(session.now()),
                              .every_platform = options.every_platform,
                              .bundles = {},
                              .concurrency = options.registry.concurrency};
  if (verify.policy.reference_match != sign::ReferenceMatch::ignore) {
    if (!location.reference) {
      throw Error(ErrorCode::invalid_input,
                  fmt::format("cannot compare names: {} has none", quoted(location.to_string())))
          .with_hint("--match is for images in registries");
    }
    verify.policy.reference = location.reference;
  }
  for (const auto& file : options.bundles) {
    verify.bundles.push_back(io::read_text_file(file, sign::max_bundle_bytes));
  }
  return verify;
}

int run_verify(Session& session, const Options& options) {
  if (options.is_model) {
    return verify_model(session, options);
  }
  const auto op = session.operation();
  const auto location = image::Location::parse(options.target);
  const auto verify = verify_options(session, options, location);
  const auto engine = session.engine(options.registry.make(session));
  const auto origin = transfer::open_origin(location, engine.registries(), op);
  const auto report = trust::verify_image(*origin, verify, op);
  auto record = to_json(report, location.to_string());
  auto text = render(report, location.to_string());
  bool verified = report.verified;
  if (verified && options.rebuild) {
    const auto rebuilt = rebuild(engine, options, location, report, verify.policy, op);
    record["rebuild"] = to_json(rebuilt);
    text += render(rebuilt);
    verified = rebuilt.verified;
    record["verified"] = verified;
    if (!verified) {
      record["reason"] = rebuilt.reason;
    }
  }
  session.end_progress();
  return finish(session, verified, record, text);
}

} // namespace

void add_verify(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(
      app, session, "verify", "Judge who signed an image and what is said of it", "Trust",
      "  aipack verify registry.example/team/digits:1 --key release.pub\n"
      "  aipack verify oci:./digits.oci:1 --key release.pub --attestation spdxjson --rebuild");
  command
      ->add_option("IMAGE", options->target,
                   "oci:DIR[:TAG], oci-archive:FILE[:TAG] or HOST/REPO[:TAG|@DIGEST]")
      ->required()
      ->type_name("");
  options->trust.add_to(*command);
  command->add_flag("--every-platform", options->every_platform,
                    "Each platform's image must be trusted too, not only the index");
  command->add_option("--bundle", options->bundles, "A signature that is not attached (repeatable)")
      ->type_name("FILE");
  command->add_flag("--rebuild", options->rebuild,
                    "Compose the image again from its provenance, and compare");
  command
      ->add_option("--with-model", options->models,
                   "With --rebuild: the model's files (default: out of the image)")
      ->type_name("MODEL");
  command->add_option("--mirror", options->mirror, "With --rebuild: Debian mirror")
      ->type_name("URL");
  command
      ->add_option("--base", options->base,
                   "With --rebuild: where the base image is, if it lay on the builder's disk")
      ->type_name("REF");
  command->add_flag("--model", options->is_model,
                    "IMAGE is a model's file or folder with an OpenSSF model signature");
  command
      ->add_option("--signature", options->signature,
                   "With --model: the signature's file (default: model.sig in the folder, or "
                   "FILE.sig)")
      ->type_name("FILE");
  command->add_flag("--allow-symlinks", options->allow_symlinks,
                    "With --model: read what symbolic links to files name");
  command->add_flag("--allow-unsigned-files", options->allow_unsigned,
                    "With --model: files that the signature does not know are no reason to refuse");
  options->registry.add_to(*command);
  command->callback([&session, options] {
    session.run = [&session, options] { return run_verify(session, *options); };
  });
}

} // namespace aipack::cli
