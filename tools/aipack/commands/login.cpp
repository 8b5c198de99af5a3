#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "commands/commands.hpp"
#include "commands/registry_options.hpp"
#include "prompt.hpp"
#include "render/json.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Options {
  std::string host;
  std::string username;
  bool password_stdin = false;
  RegistryOptions registry;
};

/// "r.example", "https://r.example/" and "r.example/team/model" name the same registry.
std::string host_of(const std::string& text) {
  std::string_view host = text;
  for (const std::string_view scheme : {"https://", "http://", "docker://"}) {
    if (host.starts_with(scheme)) {
      host.remove_prefix(scheme.size());
    }
  }
  host = host.substr(0, host.find('/'));
  // A registry's name is judged as part of a reference.
  const auto reference = oci::Reference::try_parse(fmt::format("{}/x", host));
  if (!reference || reference->registry().empty()) {
    throw Error(ErrorCode::invalid_input,
                fmt::format("cannot use {}: it is not the name of a registry", quoted(text)))
        .with_hint("write HOST[:PORT], for example registry.example");
  }
  return reference->registry();
}

constexpr const char* without_terminal =
    "give the user name with --username and the password with --password-stdin";

int run_login(Session& session, const Options& options) {
  const auto host = host_of(options.host);
  registry::Credential credential{.username = options.username, .origin = "the command line"};
  if (credential.username.empty()) {
    if (options.password_stdin) {
      throw Error(ErrorCode::invalid_input,
                  "cannot log in: --password-stdin needs a user name as well")
          .with_hint("give it with --username");
    }
    credential.username = prompt(fmt::format("User name for {}: ", host), without_terminal);
  }
  credential.password = registry::Secret(
      options.password_stdin
          ? read_secret_line()
          : prompt_secret(fmt::format("Password for {}: ", host), without_terminal));
  registry::Registry registry(options.registry.make(session));
  const auto op = session.operation();
  const auto check = registry.check_login(host, credential, op);
  const auto place = options.registry.credentials()->store(host, credential, op);
  session.end_progress();
  if (session.json) {
    print({{"registry", host},
           {"username", credential.username},
           {"verified", check == registry::LoginCheck::verified},
           {"stored_in", place}});
  } else {
    const bool asked = check == registry::LoginCheck::verified;
    print_text(fmt::format("{} {} as {}; kept in {}\n",
                           asked ? "Logged in to" : "Kept credentials for", host,
                           credential.username, place) +
               (asked ? "" : "note: the registry lets anybody in, so they could not be checked\n"));
  }
  return 0;
}

int run_logout(Session& session, const Options& options) {
  const auto host = host_of(options.host);
  const auto op = session.operation();
  const auto credentials = options.registry.credentials();
  const auto place = credentials->erase(host, op);
  const auto other = credentials->find(host, "", op);
  session.end_progress();
  if (session.json) {
    Json record{{"registry", host}, {"removed", place.has_value()}};
    if (place) {
      record["removed_from"] = *place;
    }
    if (other) {
      record["still_in"] = other->origin;
    }
    print(record);
    return 0;
  }
  auto text = place ? fmt::format("Logged out of {}; removed from {}\n", host, *place)
                    : fmt::format("Not logged in to {}\n", host);
  if (other) {
    text += fmt::format("note: {} still has credentials for it\n", other->origin);
  }
  print_text(text);
  return 0;
}

} // namespace

void add_login(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command =
      add_verb(app, session, "login", "Check credentials of a registry and keep them", "Move",
               "  aipack login registry.example\n"
               "  aipack login registry.example -u ci --password-stdin < token");
  command->add_option("HOST", options->host, "HOST[:PORT]")->required()->type_name("");
  command->add_option("-u,--username", options->username, "User name")->type_name("NAME");
  command->add_flag("--password-stdin", options->password_stdin,
                    "Take the password from standard input");
  options->registry.add_to(*command);
  command->callback([&session, options] {
    session.run = [&session, options] { return run_login(session, *options); };
  });
}

void add_logout(CLI::App& app, Session& session) {
  auto options = std::make_shared<Options>();
  auto* command = add_verb(app, session, "logout", "Forget the credentials of a registry", "Move",
                           "  aipack logout registry.example\n"
                           "  aipack logout 127.0.0.1:5000 --authfile auth.json");
  command->add_option("HOST", options->host, "HOST[:PORT]")->required()->type_name("");
  options->registry.add_to(*command);
  command->callback([&session, options] {
    session.run = [&session, options] { return run_logout(session, *options); };
  });
}

} // namespace aipack::cli
