#include "aipack/core/version.hpp"

#include "commands/commands.hpp"
#include "render/json.hpp"

#include <fmt/format.h>

namespace aipack::cli {

void add_version(CLI::App& app, Session& session) {
  auto* command = add_verb(app, session, "version", "Print the version", "Keep",
                           "  aipack version\n  aipack version --json");
  command->callback([&session] {
    session.run = [&session] {
      if (session.json) {
        print({{"version", version()}, {"layout_version", layout_version}});
      } else {
        print_text(fmt::format("aipack {}\n", version()));
      }
      return 0;
    };
  });
}

} // namespace aipack::cli
