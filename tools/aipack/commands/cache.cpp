#include "aipack/core/text.hpp"

#include "commands/commands.hpp"
#include "render/json.hpp"
#include "render/table.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

constexpr std::int64_t seconds_per_day = 86400;

void show(const Session& session, const std::vector<build::CacheUsage>& usage, const char* key) {
  if (session.json) {
    print({{"cache_dir", session.resolved_cache_dir().string()}, {key, to_json(usage)}});
    return;
  }
  Table table({"KIND", ">FILES", ">SIZE"});
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  for (const auto& kind : usage) {
    table.add({kind.kind, std::to_string(kind.files), human_bytes(kind.bytes)});
    files += kind.files;
    bytes += kind.bytes;
  }
  table.add({"= all", std::to_string(files), human_bytes(bytes)});
  print_text(fmt::format("{}\n{}", session.resolved_cache_dir().string(), table.to_string(2)));
}

} // namespace

void add_cache(CLI::App& app, Session& session) {
  auto* cache =
      add_verb(app, session, "cache", "Show or tidy what aipack keeps: packages, indexes, layers",
               "Keep", "  aipack cache info\n  aipack cache prune --older-than 30");
  cache->require_subcommand(1);
  auto* info = cache->add_subcommand("info", "Show what the cache holds");
  info->fallthrough();
  info->callback([&session] {
    session.run = [&session] {
      show(session, build::cache_usage(session.resolved_cache_dir()), "kinds");
      return 0;
    };
  });
  auto days = std::make_shared<std::int64_t>(30);
  auto* prune = cache->add_subcommand("prune", "Remove what was not used for some days");
  prune->fallthrough();
  prune->add_option("--older-than", *days, "Days (default: 30; 0 removes everything)")
      ->type_name("DAYS")
      ->check(CLI::Range(0, 36500));
  prune->callback([&session, days] {
    session.run = [&session, days] {
      const auto removed = build::prune_cache(session.resolved_cache_dir(), session.now(),
                                              *days * seconds_per_day, session.operation());
      session.end_progress();
      show(session, removed, "removed");
      return 0;
    };
  });
}

} // namespace aipack::cli
