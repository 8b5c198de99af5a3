#pragma once

#include "session.hpp"

#include <CLI/CLI.hpp>

namespace aipack::cli {

// One function per verb: adds its options to `app` and sets `session.run` when it is chosen.
void add_build(CLI::App& app, Session& session);
void add_plan(CLI::App& app, Session& session);
void add_analyze(CLI::App& app, Session& session);
void add_inspect(CLI::App& app, Session& session);
void add_why(CLI::App& app, Session& session);
void add_sbom(CLI::App& app, Session& session);
void add_push(CLI::App& app, Session& session);
void add_pull(CLI::App& app, Session& session);
void add_copy(CLI::App& app, Session& session);
void add_tags(CLI::App& app, Session& session);
void add_login(CLI::App& app, Session& session);
void add_logout(CLI::App& app, Session& session);
void add_keygen(CLI::App& app, Session& session);
void add_sign(CLI::App& app, Session& session);
void add_attest(CLI::App& app, Session& session);
void add_verify(CLI::App& app, Session& session);
void add_runtimes(CLI::App& app, Session& session);
void add_cache(CLI::App& app, Session& session);
void add_completion(CLI::App& app, Session& session);
void add_version(CLI::App& app, Session& session);

/// Prints a finished text result.
void print_text(const std::string& text);

/// A sub-command with the options that every verb has, and two examples at the end of its help.
CLI::App* add_verb(CLI::App& app, Session& session, const std::string& name,
                   const std::string& description, const std::string& group,
                   const std::string& examples);

} // namespace aipack::cli
