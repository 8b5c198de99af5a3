#include "commands/commands.hpp"
#include "render/json.hpp"
#include "render/table.hpp"

#include <fmt/format.h>

namespace aipack::cli {

namespace {

int run_runtimes(Session& session) {
  const auto engine = session.engine();
  if (session.json) {
    Json list = Json::array();
    for (const auto& runtime : engine.catalog().runtimes()) {
      list.push_back(to_json(runtime));
    }
    print({{"runtimes", std::move(list)}});
    return 0;
  }
  Table table({"RUNTIME", "VERSION", "FORMATS", "SUITE", "PLATFORMS"});
  for (const auto& runtime : engine.catalog().runtimes()) {
    std::string platforms;
    for (const auto& platform : runtime.platforms) {
      platforms += (platforms.empty() ? "" : " ") + platform.to_string();
    }
    table.add({runtime.name, runtime.version, fmt::format("{}", fmt::join(runtime.formats, " ")),
               runtime.suite, platforms});
  }
  print_text(table.to_string());
  return 0;
}

} // namespace

void add_runtimes(CLI::App& app, Session& session) {
  auto* command = add_verb(app, session, "runtimes", "List what can serve what", "Keep",
                           "  aipack runtimes\n  aipack runtimes --json");
  command->callback([&session] { session.run = [&session] { return run_runtimes(session); }; });
}

} // namespace aipack::cli
