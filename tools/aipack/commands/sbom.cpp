#include "aipack/sbom/sbom.hpp"

#include "aipack/core/text.hpp"
#include "aipack/io/temp_file.hpp"
#include "aipack/transfer/open_image.hpp"

#include "commands/commands.hpp"
#include "commands/registry_options.hpp"
#include "render/json.hpp"
#include "render/table.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

constexpr const char* table_format = "table";

struct Options {
  std::string image;
  std::string format{to_string(sbom::Format::spdx_json)};
  std::string platform;
  std::string output;
  RegistryOptions registry;
};

/// As much of a long expression as fits a line: "MIT AND Zlib and 12 more". The documents have all.
std::string shortened(const std::string& expression) {
  constexpr std::size_t most_columns = 60;
  constexpr std::string_view conjunction = " AND ";
  if (expression.size() <= most_columns) {
    return expression;
  }
  std::size_t end = expression.find(conjunction);
  for (auto next = end; next <= most_columns;
       next = expression.find(conjunction, next + conjunction.size())) {
    end = next;
  }
  std::size_t left_out = 0;
  for (auto at = end; at < expression.size();
       at = expression.find(conjunction, at + conjunction.size())) {
    ++left_out;
  }
  return fmt::format("{}{}", expression.substr(0, end),
                     left_out == 0 ? "" : fmt::format(" and {} more", left_out));
}

std::string render(const sbom::ImageContent& image) {
  auto text =
      fmt::format("\n{}  {}\n", image.platform.to_string(), image.manifest.digest.to_string());
  Table packages({"PACKAGE", "VERSION", "SUITE", "LICENCE"});
  for (const auto& package : image.packages) {
    packages.add(
        {package.name, package.version, package.suite, shortened(package.license.expression)});
  }
  text += packages.to_string(2);
  if (!image.is_complete) {
    text += "  packages of the image below are not listed\n";
  }
  return text;
}

std::string render(const sbom::Inventory& inventory) {
  auto text = fmt::format("{}  {}\n", inventory.name, inventory.subject.digest.to_string());
  Table models({"MODEL", "LICENCE", "FILE", ">SIZE", "SHA-256"});
  for (const auto& model : inventory.models) {
    for (const auto& file : model.files) {
      models.add({model.name, model.license.expression, file.path, human_bytes(file.size_bytes),
                  file.checksums ? file.checksums->sha256.short_hex() : "-"});
    }
  }
  text += "\n" + models.to_string();
  for (const auto& image : inventory.images) {
    text += render(image);
  }
  return text;
}

sbom::Inventory inventory_of(Session& session, const Options& options, const Operation& op) {
  registry::Registry registry(options.registry.make(session));
  const auto origin = transfer::open_origin(image::Location::parse(options.image), registry, op);
  const auto source = transfer::open_image(*origin, op);
  const auto whole = sbom::take_inventory(source, op, {.concurrency = session.jobs});
  return options.platform.empty() ? whole
                                  : sbom::part_of(whole, oci::Platform::parse(options.platform));
}

int run_sbom(Session& session, const Options& options) {
  const auto inventory = inventory_of(session, options, session.operation());
  const bool is_table = options.format == table_format;
  const auto text =
      is_table ? render(inventory) : sbom::write(inventory, sbom::parse_format(options.format));
  session.end_progress();
  if (!options.output.empty()) {
    io::write_file_atomically(options.output, io::as_bytes(text));
  }
  if (session.json) {
    Json record{{"reference", options.image},
                {"subject", inventory.subject.digest.to_string()},
                {"format", options.format},
                {"media_type", is_table ? Json("text/plain")
                                        : Json(media_type(sbom::parse_format(options.format)))},
                {"digest", oci::Digest::of(text).to_string()},
                {"size_bytes", text.size()},
                {"file", options.output.empty() ? Json(nullptr) : Json(options.output)}};
    if (options.output.empty()) {
      record["document"] = is_table ? Json(text) : Json::parse(text);
    }
    print(record);
  } else if (options.output.empty()) {
    print_text(text);
  } else if (!session.quiet) {
    print_text(fmt::format("wrote {}\n", options.output));
  }
  return 0;
}

} // namespace

void add_sbom(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(
      app, session, "sbom", "List what is in an image: packages, models, licences", "Trust",
      "  aipack sbom oci:./digits.oci --format table\n"
      "  aipack sbom registry.example/team/digits:1 --format cyclonedx-json -o digits.cdx.json");
  command
      ->add_option("IMAGE", options->image,
                   "HOST/REPO[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE")
      ->required()
      ->type_name("");
  command
      ->add_option("--format", options->format,
                   "spdx-json (SPDX 2.3, the default), cyclonedx-json (CycloneDX 1.6) or table")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({std::string(to_string(sbom::Format::spdx_json)),
                             std::string(to_string(sbom::Format::cyclonedx_json)),
                             std::string(table_format)}));
  command
      ->add_option("--platform", options->platform,
                   "About this platform's image (default: about all of them)")
      ->type_name("PLATFORM");
  command->add_option("-o,--output", options->output, "Write to FILE instead of standard output")
      ->type_name("FILE");
  options->registry.add_to(*command);
  command->callback([&session, options] {
    session.run = [&session, options] { return run_sbom(session, *options); };
  });
}

} // namespace aipack::cli
