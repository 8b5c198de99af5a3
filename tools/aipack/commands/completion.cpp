#include "commands/commands.hpp"

#include <memory>

#include <fmt/format.h>

namespace aipack::cli {

namespace {

struct Verb {
  std::string name;
  std::string description;
  std::vector<std::string> options;
};

/// The verbs and their long options, read off the parser itself: completions cannot disagree with
/// it.
std::vector<Verb> verbs_of(const CLI::App& app) {
  std::vector<Verb> verbs;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    Verb verb{
        .name = command->get_name(), .description = command->get_description(), .options = {}};
    for (const auto* inner : command->get_subcommands([](const CLI::App*) { return true; })) {
      verb.options.push_back(inner->get_name());
    }
    for (const auto* option : command->get_options()) {
      for (const auto& name : option->get_lnames()) {
        verb.options.push_back("--" + name);
      }
    }
    verbs.push_back(std::move(verb));
  }
  return verbs;
}

std::string bash(const std::vector<Verb>& verbs) {
  std::string names;
  std::string cases;
  for (const auto& verb : verbs) {
    names += (names.empty() ? "" : " ") + verb.name;
    cases += fmt::format("    {}) words=\"{}\" ;;\n", verb.name, fmt::join(verb.options, " "));
  }
  return fmt::format("_aipack() {{\n"
                     "  local current=\"${{COMP_WORDS[COMP_CWORD]}}\" words=\"{}\"\n"
                     "  if [ \"$COMP_CWORD\" -gt 1 ]; then\n"
                     "    words=\"\"\n"
                     "    case \"${{COMP_WORDS[1]}}\" in\n{}    esac\n"
                     "  fi\n"
                     "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                     "}}\n"
                     "complete -o default -F _aipack aipack\n",
                     names, cases);
}

/// A word inside single quotes of zsh or fish.
std::string single_quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return result + "'";
}

std::string zsh(const std::vector<Verb>& verbs) {
  std::string list;
  std::string cases;
  for (const auto& verb : verbs) {
    list += "    " + single_quoted(verb.name + ":" + verb.description) + "\n";
    cases +=
        fmt::format("    {}) compadd -- {} ; _files ;;\n", verb.name, fmt::join(verb.options, " "));
  }
  return fmt::format("#compdef aipack\n"
                     "_aipack() {{\n"
                     "  local -a verbs=(\n{}  )\n"
                     "  if (( CURRENT == 2 )); then _describe verb verbs; return; fi\n"
                     "  case $words[2] in\n{}  esac\n"
                     "}}\n"
                     "_aipack \"$@\"\n",
                     list, cases);
}

std::string fish(const std::vector<Verb>& verbs) {
  std::string text;
  for (const auto& verb : verbs) {
    text += fmt::format("complete -c aipack -n __fish_use_subcommand -a {} -d {}\n", verb.name,
                        single_quoted(verb.description));
    for (const auto& option : verb.options) {
      text += option.starts_with("--")
                  ? fmt::format("complete -c aipack -n '__fish_seen_subcommand_from {}' -l {}\n",
                                verb.name, option.substr(2))
                  : fmt::format("complete -c aipack -n '__fish_seen_subcommand_from {}' -a {}\n",
                                verb.name, option);
    }
  }
  return text;
}

} // namespace

void add_completion(CLI::App& app, Session& session) {
  auto shell = std::make_shared<std::string>();
  auto* command = add_verb(app, session, "completion", "Print completions for a shell", "Keep",
                           "  aipack completion bash > /etc/bash_completion.d/aipack\n  aipack "
                           "completion fish | source");
  command->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->callback([&app, &session, shell] {
    session.run = [&app, shell] {
      const auto verbs = verbs_of(app);
      print_text(*shell == "bash" ? bash(verbs) : *shell == "zsh" ? zsh(verbs) : fish(verbs));
      return 0;
    };
  });
}

} // namespace aipack::cli
