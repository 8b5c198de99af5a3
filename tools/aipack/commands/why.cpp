#include "aipack/transfer/open_image.hpp"

#include "commands/commands.hpp"
#include "commands/registry_options.hpp"
#include "render/json.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string image;
  std::string path;
  std::string platform;
  RegistryOptions registry;
};

std::string render(const std::vector<rootfs::ChainLink>& chain) {
  std::string text;
  std::size_t depth = 0;
  for (const auto& link : chain) {
    text += fmt::format("{}{}{}  {}: {}\n", std::string(2 * depth, ' '), link.path.to_string(),
                        link.package.empty() ? "" : fmt::format(" ({})", link.package),
                        link.reason.rule, link.reason.detail);
    ++depth;
  }
  return text;
}

int run_why(Session& session, const Options& options) {
  const auto location = image::Location::parse(options.image);
  const auto op = session.operation();
  const auto engine = session.engine(options.registry.make(session));
  const auto origin = transfer::open_origin(location, engine.registries(), op);
  const auto platform = options.platform.empty()
                            ? transfer::open_image(*origin, op).image().platform
                            : oci::Platform::parse(options.platform);
  const auto chain = engine.why(location, platform, fs::RootPath::parse(options.path), op);
  session.end_progress();
  if (session.json) {
    print(to_json(chain));
  } else {
    print_text(render(chain));
  }
  return 0;
}

} // namespace

void add_why(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(
      app, session, "why", "Say which chain of reasons put a file into an image", "Look",
      "  aipack why oci:./digits.oci /usr/lib/x86_64-linux-gnu/libre2.so.11\n"
      "  aipack why oci:./digits.oci /etc/ssl/certs/ca-certificates.crt --platform linux/arm64");
  command->add_option("IMAGE", options->image, "Image that aipack built")
      ->required()
      ->type_name("");
  command->add_option("PATH", options->path, "Path in the image")->required()->type_name("");
  command
      ->add_option("--platform", options->platform,
                   "Platform (default: this machine's, or the first)")
      ->type_name("PLATFORM");
  options->registry.add_to(*command);
  command->callback([&session, options] {
    session.run = [&session, options] { return run_why(session, *options); };
  });
}

} // namespace aipack::cli
