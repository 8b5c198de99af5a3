#include "aipack/core/text.hpp"

#include "commands/commands.hpp"
#include "commands/registry_options.hpp"
#include "render/json.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string repository;
  RegistryOptions registry;
};

int run_tags(Session& session, const Options& options) {
  registry::Registry registry(options.registry.make(session));
  const auto repository =
      registry.open(registry_reference(options.repository), registry::Access::pull);
  const auto tags = repository.tags(session.operation());
  session.end_progress();
  if (session.json) {
    print({{"repository", options.repository}, {"tags", tags}});
    return 0;
  }
  std::string text;
  for (const auto& tag : tags) {
    text += tag + "\n";
  }
  print_text(text);
  return 0;
}

} // namespace

void add_tags(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(app, session, "tags", "List the tags of a repository", "Move",
                           "  aipack tags registry.example/team/digits\n"
                           "  aipack tags 127.0.0.1:5000/digits --json");
  command->add_option("REPO", options->repository, "HOST/REPO")->required()->type_name("");
  options->registry.add_to(*command);
  command->callback([&session, options] {
    session.run = [&session, options] { return run_tags(session, *options); };
  });
}

} // namespace aipack::cli
