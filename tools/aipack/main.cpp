// The `aipack` command: argv, environment, signals and exit codes. What it does is in the library;
// what it prints is in render/.
#include "aipack/core/error.hpp"
#include "aipack/core/suggest.hpp"
#include "aipack/core/text.hpp"
#include "aipack/core/version.hpp"

#include "commands/commands.hpp"
#include "render/json.hpp"
#include "session.hpp"
#include "signals.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>

#include <fmt/format.h>

namespace aipack::cli {

void print_text(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw_errno("write to standard output", errno);
  }
}

CLI::App* add_verb(CLI::App& app, Session& session, const std::string& name,
                   const std::string& description, const std::string& group,
                   const std::string& examples) {
  auto* verb = app.add_subcommand(name, description)->group(group);
  verb->footer("Examples:\n" + examples);
  constexpr auto common = "Common options";
  verb->add_flag("--json", session.json,
                 "Print one JSON record on stdout, errors as a record on stderr")
      ->group(common);
  verb->add_option("--progress", session.progress, "auto, tty, plain or none")
      ->type_name("MODE")
      ->check(CLI::IsMember({"auto", "tty", "plain", "none"}))
      ->group(common);
  verb->add_flag("-q,--quiet", session.quiet, "No progress, shortest result")->group(common);
  verb->add_flag("-v,--verbose", session.verbose, "Say more")->group(common);
  verb->add_flag("--offline", session.offline, "Use nothing but the cache")->group(common);
  verb->add_option("--cache-dir", session.cache_dir,
                   "Cache folder (default: $AIPACK_CACHE_DIR, else $XDG_CACHE_HOME/aipack)")
      ->type_name("DIR")
      ->group(common);
  verb->add_option("-j,--jobs", session.jobs, "Threads (default: as many as processors)")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->group(common);
  return verb;
}

namespace {

/// Exit codes, the one table (documented in aipack.1): what a script can do next.
int exit_code(ErrorCode code) noexcept {
  switch (code) {
  case ErrorCode::invalid_input:
  case ErrorCode::already_exists:
  case ErrorCode::unsupported:
    return 2;
  case ErrorCode::not_found:
  case ErrorCode::unsatisfiable:
    return 3;
  case ErrorCode::unauthenticated:
  case ErrorCode::denied:
  case ErrorCode::unavailable:
    return 4;
  case ErrorCode::corrupt:
    return 5;
  case ErrorCode::io:
    return 6;
  case ErrorCode::internal:
    return 70;
  case ErrorCode::cancelled:
    return 130;
  }
  return 70;
}

int report(const Error& error, bool json) {
  if (json) {
    fmt::print(stderr, "{}\n", to_json(error).dump(-1, ' ', false, Json::error_handler_t::replace));
    return exit_code(error.code());
  }
  fmt::print(stderr, "aipack: error: {}\n", error.message());
  for (const auto& frame : error.context()) {
    fmt::print(stderr, "  {}\n", frame);
  }
  if (!error.hint().empty()) {
    fmt::print(stderr, "hint: {}\n", error.hint());
  }
  return exit_code(error.code());
}

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(verb->get_name());
  }
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) {
      names.push_back("--" + name);
    }
  }
  return names;
}

/// The verb that argv names, as far as it got.
const CLI::App& chosen_verb(const CLI::App& app, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    for (const auto* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
      if (verb->get_name() == argv[i]) {
        return *verb;
      }
    }
  }
  return app;
}

Error usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const auto& verb = chosen_verb(app, argc, argv);
  const bool no_verb = &verb == &app;
  std::string hint = no_verb ? "'aipack --help' lists the verbs"
                             : fmt::format("'aipack {} --help' lists its options", verb.get_name());
  const auto suggest = [&](const std::string& typed, const std::vector<std::string>& known) {
    if (const auto word = nearest_word(typed, known); !word.empty()) {
      hint = fmt::format("did you mean '{}'?", word);
    }
  };
  if (no_verb && argc > 1) {
    suggest(argv[1], verb_names(app));
    return Error(ErrorCode::invalid_input, fmt::format("cannot run {}: there is no such verb",
                                                       quoted(std::string_view(argv[1]))))
        .with_hint(hint);
  }
  for (int i = 2; i < argc; ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    const auto known = option_names(verb);
    if (word.starts_with("--") && std::ranges::find(known, word) == known.end()) {
      suggest(word, known);
    }
  }
  std::string cause = error.what();
  std::ranges::replace(cause, '\n', ' ');
  return Error(ErrorCode::invalid_input,
               fmt::format("cannot understand the command line: {}", cause))
      .with_hint(hint);
}

int run(int argc, char** argv) {
  const SignalWatch signals;
  Session session;
  session.set_stop(signals.token());

  CLI::App app{"Turns an AI model into a minimal OCI container image, without a daemon, a "
               "Dockerfile or a container engine.",
               "aipack"};
  app.require_subcommand(1);
  app.set_version_flag(
      "--version", [] { return std::string("aipack ") + std::string(version()); },
      "Print the version");
  app.footer("'aipack VERB --help' describes a verb. Documentation: aipack(1).");
  for (const auto add :
       {add_build,  add_plan,   add_analyze,  add_inspect, add_why,        add_sbom,   add_push,
        add_pull,   add_copy,   add_tags,     add_login,   add_logout,     add_keygen, add_sign,
        add_attest, add_verify, add_runtimes, add_cache,   add_completion, add_version}) {
    add(app, session);
  }
  const bool wants_json = std::any_of(
      argv + 1, argv + argc, [](const char* word) { return std::string_view(word) == "--json"; });
  try {
    if (argc == 1) {
      print_text(app.help());
      return 0;
    }
    try {
      app.parse(argc, argv);
    } catch (const CLI::Success& success) { // --help, --version
      return app.exit(success);
    } catch (const CLI::ParseError& error) {
      throw usage_error(app, error, argc, argv);
    }
    return session.run();
  } catch (const Error& error) {
    session.end_progress();
    return report(error, wants_json);
  } catch (const std::bad_alloc&) {
    session.end_progress();
    return report(Error(ErrorCode::io, "cannot go on: out of memory"), wants_json);
  } catch (const std::exception& error) {
    session.end_progress();
    return report(Error(ErrorCode::internal, fmt::format("cannot go on: {}", error.what()))
                      .with_hint("this is a bug in aipack; please report it"),
                  wants_json);
  }
}

} // namespace

} // namespace aipack::cli

int main(int argc, char** argv) {
  return aipack::cli::run(argc, argv);
}
