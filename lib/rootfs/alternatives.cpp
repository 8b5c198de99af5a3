#include "scripts.hpp"
#include "shell.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

bool is_plain_path(const std::string& text) {
  return text.starts_with('/') && text.find('$') == std::string::npos &&
         fs::RootPath::try_parse(text);
}

/// One link of a group, both halves.
void add_link(Root& root, const Alternative::Link& link, const std::string& package) {
  const fs::RootPath at = root.canonical(fs::RootPath::parse(link.link));
  if (const fs::FileEntry* existing = root.tree.find(at);
      existing != nullptr && existing->type != fs::FileType::symlink) {
    root.notes.insert(fmt::format("alternative {} is not linked: {} is a file of its own",
                                  link.name, at.to_string()));
    return;
  }
  const auto put = [&](const fs::RootPath& path, const std::string& target) {
    root.tree.put(path, {.type = fs::FileType::symlink,
                         .mode = 0777,
                         .mtime = root.request.epoch,
                         .link_target = target,
                         .package = package});
  };
  const fs::RootPath middle = fs::RootPath::parse("etc/alternatives") / link.name;
  put(at, middle.to_string());
  put(middle, link.path);
}

} // namespace

std::vector<Alternative> parse_alternatives(std::string_view postinst) {
  std::vector<Alternative> alternatives;
  for (const auto& command : parse_shell(postinst, "postinst").commands) {
    if (!command.live || command.words.empty() || command.words[0] != "update-alternatives") {
      continue;
    }
    const auto& words = command.words;
    Alternative alternative;
    bool complete = false;
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (words[i] == "--install" && i + 4 < words.size()) {
        alternative.master = {words[i + 1], words[i + 2], words[i + 3]};
        const std::string& number = words[i + 4];
        complete =
            std::from_chars(number.data(), number.data() + number.size(), alternative.priority)
                .ec == std::errc();
        i += 4;
      } else if (words[i] == "--slave" && i + 3 < words.size()) {
        alternative.slaves.push_back({words[i + 1], words[i + 2], words[i + 3]});
        i += 3;
      }
    }
    const auto& master = alternative.master;
    if (complete && is_plain_path(master.link) && is_plain_path(master.path) &&
        fs::RootPath::try_parse(master.name) && master.name.find('/') == std::string::npos) {
      std::erase_if(alternative.slaves, [](const Alternative::Link& link) {
        return !is_plain_path(link.link) || !is_plain_path(link.path) ||
               link.name.find('/') != std::string::npos || !fs::RootPath::try_parse(link.name);
      });
      alternatives.push_back(std::move(alternative));
    }
  }
  return alternatives;
}

void add_alternatives(Root& root) {
  struct Choice {
    Alternative alternative;
    std::string package;
  };
  std::map<std::string, Choice> best;
  for (const Input* input : root.packages) {
    const auto script = input->file.scripts.find("postinst");
    if (script == input->file.scripts.end() ||
        script->second.find("update-alternatives") == std::string::npos) {
      continue;
    }
    for (auto& alternative : parse_alternatives(script->second)) {
      if (!root.tree.resolve(fs::RootPath::parse(alternative.master.path))) {
        continue; // its target is not among the packages
      }
      const auto found = best.find(alternative.master.name);
      // Of equals the first by package name stays.
      if (found == best.end()) {
        best.emplace(alternative.master.name, Choice{alternative, input->package.name});
      } else if (found->second.alternative.priority < alternative.priority) {
        found->second = {alternative, input->package.name};
      }
    }
  }
  for (const auto& [name, choice] : best) {
    add_link(root, choice.alternative.master, choice.package);
    for (const auto& slave : choice.alternative.slaves) {
      if (root.tree.resolve(fs::RootPath::parse(slave.path))) {
        add_link(root, slave, choice.package);
      }
    }
  }
}

} // namespace aipack::rootfs
