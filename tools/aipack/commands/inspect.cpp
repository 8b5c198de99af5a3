#include "aipack/core/text.hpp"
#include "aipack/transfer/open_image.hpp"

#include "commands/commands.hpp"
#include "commands/registry_options.hpp"
#include "render/json.hpp"
#include "render/table.hpp"
#include "render/transfer.hpp"

#include <algorithm>
#include <iterator>
#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string image;
  RegistryOptions registry;
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

/// What is attached to the index and to each of its images.
std::vector<transfer::Attachment>
attachments(transfer::Origin& origin, const image::ImageSource& source, const Operation& op) {
  auto all = origin.attachments(source.descriptor().digest, op);
  for (const auto& image : source.images()) {
    const auto& digest = image.manifest.descriptor().digest;
    if (digest != source.descriptor().digest) {
      auto more = origin.attachments(digest, op);
      std::ranges::move(more, std::back_inserter(all));
    }
  }
  return all;
}

std::string render(const std::vector<transfer::Attachment>& attached) {
  if (attached.empty()) {
    return {};
  }
  Table table({"ATTACHED", "DIGEST", "TAG"});
  for (const auto& item : attached) {
    const auto& type = item.descriptor.artifact_type;
    table.add({type.empty() ? item.descriptor.media_type : type, item.descriptor.digest.short_hex(),
               item.tag});
  }
  return "\n" + table.to_string();
}

int run_inspect(Session& session, const Options& options) {
  registry::Registry registry(options.registry.make(session));
  const auto op = session.operation();
  const auto origin = transfer::open_origin(image::Location::parse(options.image), registry, op);
  const auto source = transfer::open_image(*origin, op);
  const auto attached = attachments(*origin, source, op);
  session.end_progress();
  if (session.json) {
    auto record = to_json(source, options.image);
    record["referrers"] = to_json(attached);
    print(record);
  } else {
    print_text(render(source, options.image) + render(attached));
  }
  return 0;
}

} // namespace

void add_inspect(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command =
      add_verb(app, session, "inspect", "Show an image: platforms, layers, config", "Look",
               "  aipack inspect registry.example/team/digits:1\n"
               "  aipack inspect docker-archive:digits.tar --json");
  command
      ->add_option("IMAGE", options->image,
                   "HOST/REPO[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE")
      ->required()
      ->type_name("");
  options->registry.add_to(*command);
  command->callback([&session, options] {
    session.run = [&session, options] { return run_inspect(session, *options); };
  });
}

} // namespace aipack::cli
