#include "aipack/core/text.hpp"

#include "commands/commands.hpp"
#include "render/json.hpp"
#include "render/table.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string image;
};

std::string render(const image::ImageSource& source, const std::string& reference) {
  std::string text = fmt::format("{}\n{}  {}\n", reference, source.descriptor().digest.to_string(),
                                 source.descriptor().media_type);
  for (const auto& image : source.images()) {
    const auto& config = image.config.value();
    text += fmt::format("\n{}  {}\n", image.platform.to_string(),
                        image.manifest.descriptor().digest.to_string());
    const auto line = [&](std::string_view key, const std::string& value) {
      if (!value.empty()) {
        text += fmt::format("  {:<12} {}\n", key, value);
      }
    };
    line("created", config.created);
    line("user", config.user);
    line("entrypoint", fmt::format("{}", fmt::join(config.entrypoint, " ")));
    line("arguments", fmt::format("{}", fmt::join(config.cmd, " ")));
    line("environment", fmt::format("{}", fmt::join(config.env, " ")));
    line("ports", fmt::format("{}", fmt::join(config.exposed_ports, " ")));
    for (const auto& [key, value] : config.labels) {
      text += fmt::format("  label        {}={}\n", key, quoted(value));
    }
    Table layers({"LAYER", ">FILES", ">STORED", "CODEC", "DIGEST"});
    std::uint64_t total = 0;
    for (const auto& layer : image.layers) {
      const auto& media_type = layer.descriptor.media_type;
      const auto plus = media_type.rfind('+');
      layers.add({layer.purpose ? std::string(to_string(*layer.purpose)) : "-",
                  layer.file_count ? std::to_string(*layer.file_count) : "-",
                  human_bytes(layer.descriptor.size_bytes),
                  plus == std::string::npos ? "none" : media_type.substr(plus + 1),
                  layer.descriptor.digest.short_hex()});
      total += layer.descriptor.size_bytes;
    }
    layers.add({"= image", "", human_bytes(total), "", ""});
    text += layers.to_string(2);
  }
  return text;
}

int run_inspect(Session& session, const Options& options) {
  const auto source =
      image::ImageSource::open(image::Location::parse(options.image), session.operation());
  session.end_progress();
  if (session.json) {
    print(to_json(source, options.image));
  } else {
    print_text(render(source, options.image));
  }
  return 0;
}

} // namespace

void add_inspect(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command =
      add_verb(app, session, "inspect", "Show an image: platforms, layers, config", "Look",
               "  aipack inspect oci:./digits.oci\n"
               "  aipack inspect docker-archive:digits.tar --json");
  command
      ->add_option("IMAGE", options->image,
                   "oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE")
      ->required()
      ->type_name("");
  command->callback([&session, options] {
    session.run = [&session, options] { return run_inspect(session, *options); };
  });
}

} // namespace aipack::cli
