#include "aipack/transfer/copy.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/trust/verification.hpp"

#include "commands/commands.hpp"
#include "commands/registry_options.hpp"
#include "commands/trust_options.hpp"
#include "render/json.hpp"
#include "render/transfer.hpp"

#include <chrono>
#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string source;
  std::string destination;
  std::string platform;
  bool no_referrers = false;
  std::vector<std::string> keys; ///< of which one must have signed it
  RegistryOptions registry;
};

/// Copies what one of the keys signed: what was judged, not what the name stands for a moment
/// later.
transfer::CopyReport copy_verified(const Session& session, const Options& options,
                                   const image::Location& from, const image::Location& to,
                                   registry::Registry& registry, const transfer::CopyOptions& copy,
                                   const Operation& op) {
  const auto origin = transfer::open_origin(from, registry, op);
  const sign::Policy policy{.keys = read_public_keys(options.keys),
                            .image = {.media_type = {}, .digest = oci::Digest::of("")},
                            .time = std::chrono::sys_seconds(std::chrono::seconds(session.now()))};
  const auto report = trust::verify_image(*origin, {.policy = policy}, op);
  trust::require_verified(report, from.to_string());
  if (!from.reference) {
    return transfer::copy(*origin, to, registry, copy, op); // read when it was opened
  }
  auto pinned = from;
  pinned.reference = from.reference->with_digest(report.root.digest);
  return transfer::copy(pinned, to, registry, copy, op);
}

int run_copy(Session& session, const Options& options, const image::Location& from,
             const image::Location& to) {
  const auto began = std::chrono::steady_clock::now();
  registry::Registry registry(options.registry.make(session));
  transfer::CopyOptions copy{.referrers = !options.no_referrers,
                             .concurrency = options.registry.concurrency};
  if (!options.platform.empty() && options.platform != "all") {
    copy.platforms = oci::Platform::parse_list(options.platform);
  }
  const auto op = session.operation();
  const auto report = options.keys.empty()
                          ? transfer::copy(from, to, registry, copy, op)
                          : copy_verified(session, options, from, to, registry, copy, op);
  session.end_progress();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (session.json) {
    auto record = to_json(report);
    record["seconds"] = seconds;
    print(record);
  } else if (session.quiet) {
    print_text(report.root.digest.to_string() + "\n");
  } else {
    print_text(render(report, seconds));
  }
  return 0;
}

/// A registry without a tag is one tag too few to be guessed at for a push.
image::Location registry_location(const std::string& text) {
  return {.kind = image::Location::Kind::registry, .reference = registry_reference(text)};
}

CLI::App* add_common(CLI::App& app, Session& session, const std::string& name,
                     const std::string& description, const std::string& examples,
                     const std::shared_ptr<Options>& options) {
  auto* command = add_verb(app, session, name, description, "Move", examples);
  command
      ->add_option("--platform", options->platform,
                   "Only these, for example linux/amd64,linux/arm64 (default: all)")
      ->type_name("LIST");
  command->add_flag("--no-referrers", options->no_referrers,
                    "Leave signatures, attestations and SBOMs behind");
  command
      ->add_option("--verify-key", options->keys,
                   "It must be signed by this public key (repeatable: by one of them)")
      ->type_name("FILE");
  options->registry.add_to(*command);
  return command;
}

} // namespace

void add_push(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_common(app, session, "push", "Send an image to a registry",
                             "  aipack push oci:./digits.oci registry.example/team/digits:1\n"
                             "  aipack push oci-archive:digits.tar 127.0.0.1:5000/digits:1",
                             options);
  command
      ->add_option("SRC", options->source,
                   "oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE")
      ->required()
      ->type_name("");
  command->add_option("REF", options->destination, "HOST/REPO[:TAG]")->required()->type_name("");
  command->callback([&session, options] {
    session.run = [&session, options] {
      return run_copy(session, *options, image::Location::parse(options->source),
                      registry_location(options->destination));
    };
  });
}

void add_pull(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_common(app, session, "pull", "Fetch an image from a registry",
                             "  aipack pull registry.example/team/digits:1 oci:./digits.oci\n"
                             "  aipack pull 127.0.0.1:5000/digits:1 docker-archive:digits.tar "
                             "--platform linux/arm64",
                             options);
  command->add_option("REF", options->source, "HOST/REPO[:TAG|@DIGEST]")->required()->type_name("");
  command
      ->add_option("DEST", options->destination,
                   "oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE")
      ->required()
      ->type_name("");
  command->callback([&session, options] {
    session.run = [&session, options] {
      auto to = image::Location::parse(options->destination);
      const auto from = registry_location(options->source);
      if (to.tag.empty() && to.kind != image::Location::Kind::registry) {
        const auto& tag = from.reference->tag();
        to.tag = to.kind == image::Location::Kind::docker_archive
                     ? fmt::format("{}/{}:{}", from.reference->registry(),
                                   from.reference->repository(), tag.empty() ? "latest" : tag)
                 : from.reference->digest() && tag.empty() ? std::string()
                 : tag.empty()                             ? "latest"
                                                           : tag;
      }
      return run_copy(session, *options, from, to);
    };
  });
}

void add_copy(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_common(app, session, "copy", "Copy an image from anywhere to anywhere",
                             "  aipack copy a.example/team/digits:1 b.example/mirror/digits:1\n"
                             "  aipack copy oci:./digits.oci oci-archive:digits.tar",
                             options);
  constexpr const char* where =
      "oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE or HOST/REPO[:TAG]";
  command->add_option("SRC", options->source, where)->required()->type_name("");
  command->add_option("DEST", options->destination, where)->required()->type_name("");
  command->callback([&session, options] {
    session.run = [&session, options] {
      return run_copy(session, *options, image::Location::parse(options->source),
                      image::Location::parse(options->destination));
    };
  });
}

} // namespace aipack::cli
