#include "scripts.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/oci/digest.hpp"

#include "shell.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

using Kind = ScriptVerdict::Kind;

/// Scripts that are known by their package: their effect is produced natively, or has no meaning in
/// an image.
struct KnownScript {
  std::string_view package; ///< glob
  std::string_view script;  ///< glob
  Kind kind;
  std::string_view effect;
};
constexpr std::array<KnownScript, 20> known_scripts{{
    {"base-files", "preinst", Kind::no_op,
     "checks the links of merged /usr, which aipack writes itself"},
    {"base-files", "postinst", Kind::emulated,
     "base directories; /var/run and /var/lock as links into /run; no shell profiles, no login "
     "records"},
    {"base-passwd", "*", Kind::emulated,
     "/etc/passwd and /etc/group with the accounts that the image needs"},
    {"libc6", "preinst", Kind::no_op,
     "checks of the running kernel and services; its diversions are temporary"},
    {"libc6", "postinst", Kind::no_op, "restarts services after an upgrade"},
    {"libc-bin", "postinst", Kind::emulated,
     "/etc/nsswitch.conf from its template; /etc/ld.so.cache"},
    {"ca-certificates", "postinst", Kind::emulated,
     "/etc/ssl/certs/ca-certificates.crt with every certificate"},
    {"tzdata", "postinst", Kind::emulated, "/etc/localtime is Etc/UTC"},
    {"netbase", "postinst", Kind::emulated, "/etc/hosts comes from the container runtime"},
    {"openssl", "postinst", Kind::emulated, "/usr/lib/ssl"},
    {"media-types", "postinst", Kind::no_op, "nothing remains to be done"},
    {"dash", "*", Kind::no_op, "/bin/sh is part of the package since trixie"},
    {"libpam0g", "*", Kind::no_op, "restarts services after an upgrade"},
    {"python3", "*", Kind::no_op, "byte-compiles modules, which Python does when it loads them"},
    {"python3-minimal", "*", Kind::no_op,
     "byte-compiles modules, which Python does when it loads them"},
    {"python3.1?-minimal", "*", Kind::no_op,
     "byte-compiles modules, which Python does when it loads them"},
    {"libpython3.1?-minimal", "*", Kind::no_op,
     "byte-compiles modules, which Python does when it loads them"},
    {"python3.1?", "*", Kind::no_op, "byte-compiles modules, which Python does when it loads them"},
    {"libpython3.1?-stdlib", "*", Kind::no_op,
     "byte-compiles modules, which Python does when it loads them"},
    {"libgcc-s1", "*", Kind::no_op, "the loader cache is written natively"},
}};

/// Sections that debhelper adds ("# Automatically added by dh_x/13.24 … # End automatically added
/// section") and that mean nothing in an image.
constexpr std::array<std::string_view, 27> harmless_sections{
    "dh_bugfiles",
    "dh_gconf",
    "dh_icons",
    "dh_installcatalogs",
    "dh_installcron",
    "dh_installdebconf",
    "dh_installdocs",
    "dh_installemacsen",
    "dh_installinfo",
    "dh_installinit",
    "dh_installlogrotate",
    "dh_installmenu",
    "dh_installmime",
    "dh_installmodules",
    "dh_installsystemd",
    "dh_installsystemduser",
    "dh_installudev",
    "dh_installwm",
    "dh_installxfonts",
    "dh_makeshlibs",
    "dh_python3",
    "dh_python2",
    "dh_pypy",
    "dh_systemd_enable",
    "dh_systemd_start",
    "dh_usrlocal",
    "dh_installtmpfiles",
};

/// Commands that change nothing in a root that is installed for the first time: they read, print,
/// remove what is not there, or talk to services that do not run.
constexpr std::array<std::string_view, 66> harmless_commands{
    ":",
    "[",
    "awk",
    "basename",
    "break",
    "cat",
    "cd",
    "continue",
    "cmp",
    "cut",
    "date",
    "deb-systemd-helper",
    "deb-systemd-invoke",
    "dirname",
    "dpkg-maintscript-helper",
    "dpkg-query",
    "dpkg-trigger",
    "echo",
    "egrep",
    "exit",
    "export",
    "expr",
    "false",
    "fgrep",
    "getent",
    "grep",
    "head",
    "id",
    "invoke-rc.d",
    "ischroot",
    "kill",
    "ldconfig",
    "local",
    "ls",
    "md5sum",
    "printf",
    "ps",
    "py3clean",
    "py3compile",
    "pypy3clean",
    "pypy3compile",
    "read",
    "readlink",
    "return",
    "rm",
    "rmdir",
    "runlevel",
    "service",
    "set",
    "shift",
    "sleep",
    "sort",
    "stat",
    "systemctl",
    "systemd-tmpfiles",
    "tail",
    "test",
    "tr",
    "true",
    "uname",
    "uniq",
    "unset",
    "update-alternatives",
    "update-rc.d",
    "wc",
    "which",
};

bool contains(const auto& table, std::string_view word) {
  return std::find(table.begin(), table.end(), word) != table.end();
}

/// `text` without the harmless sections; what is left of other sections is judged like the rest.
std::string without_sections(std::string_view text) {
  constexpr std::string_view begin = "# Automatically added by ";
  constexpr std::string_view end = "# End automatically added section";
  std::string rest;
  bool inside = false;
  for (const std::string_view line : split(text, '\n')) {
    const std::string_view trimmed = trim(line);
    if (trimmed.starts_with(begin)) {
      std::string_view tool = trimmed.substr(begin.size());
      tool = tool.substr(0, tool.find('/'));
      inside = contains(harmless_sections, trim(tool));
    } else if (trimmed.starts_with(end)) {
      inside = false;
    } else if (!inside) {
      rest.append(line).push_back('\n');
    }
  }
  return rest;
}

/// Without `command` in front, which runs a program even where a function has its name; empty when
/// it only asks (`command -v`).
std::vector<std::string> without_command(const std::vector<std::string>& words) {
  std::size_t at = 0;
  while (at < words.size() && words[at] == "command") {
    for (++at; at < words.size() && words[at].starts_with('-'); ++at) {
      if (words[at] != "-p" && words[at] != "--") {
        return {};
      }
    }
  }
  return {words.begin() + static_cast<std::ptrdiff_t>(at), words.end()};
}

bool is_harmless_program(const std::vector<std::string>& words) {
  const std::string& word = words.front();
  const auto has_argument = [&](std::initializer_list<std::string_view> wanted) {
    return std::any_of(words.begin() + 1, words.end(), [&](const std::string& argument) {
      return std::find(wanted.begin(), wanted.end(), argument) != wanted.end();
    });
  };
  if (contains(harmless_commands, word) || word.starts_with("db_")) {
    return true;
  }
  if (word == "." || word == "source") {
    return words.size() > 1 && words[1] == "/usr/share/debconf/confmodule";
  }
  if (word == "dpkg") {
    return has_argument({"--compare-versions", "-s", "-S", "-L", "-l", "--status", "--listfiles",
                         "--print-architecture", "--assert-multi-arch"});
  }
  if (word == "dpkg-divert") {
    return has_argument({"--list", "--listpackage", "--truename", "--remove"});
  }
  if (word == "dpkg-statoverride") {
    return has_argument({"--list", "--remove"});
  }
  if (word == "sed") {
    return std::none_of(words.begin() + 1, words.end(), [](const std::string& argument) {
      return argument.starts_with("-i") || argument.starts_with("--in-place");
    });
  }
  return false;
}

bool is_harmless(const ShellCommand& command, const ShellScript& script) {
  if (!command.live) {
    return true;
  }
  if (!command.writes_to.empty()) {
    return false;
  }
  if (script.functions.contains(command.words.front())) {
    return true; // Its body is judged where it stands.
  }
  const auto words = without_command(command.words);
  return words.empty() || is_harmless_program(words);
}

/// The first command that may change the root, as text; empty when there is none.
std::string first_effect(std::string_view script, std::string_view text) {
  const std::string_view first_line = text.substr(0, text.find('\n'));
  if (first_line.starts_with("#!") && first_line.find("sh") == std::string_view::npos) {
    return "is not a shell script: " + std::string(first_line);
  }
  const ShellScript parsed = parse_shell(without_sections(text), script);
  if (!parsed.trouble.empty()) {
    return "cannot be read: " + parsed.trouble;
  }
  for (const auto& command : parsed.commands) {
    if (!is_harmless(command, parsed)) {
      return "runs " + quoted(command.text);
    }
  }
  return {};
}

} // namespace

ScriptVerdict classify_script(std::string_view package, std::string_view script,
                              std::string_view text) {
  ScriptVerdict verdict{std::string(package),
                        std::string(script),
                        oci::Digest::of(text).to_string(),
                        Kind::no_op,
                        {}};
  if (script == "prerm" || script == "postrm") {
    verdict.effect = "never runs: nothing is removed from an image";
    return verdict;
  }
  if (script == "config") {
    verdict.effect = "debconf asks nothing: defaults are used";
    return verdict;
  }
  for (const KnownScript& known : known_scripts) {
    if (glob_matches(known.package, package) && glob_matches(known.script, script)) {
      verdict.kind = known.kind;
      verdict.effect = known.effect;
      return verdict;
    }
  }
  const std::string effect = first_effect(script, text);
  if (!effect.empty()) {
    verdict.kind = Kind::unsupported;
    verdict.effect = effect;
  } else if (script == "postinst" && !parse_alternatives(text).empty()) {
    verdict.kind = Kind::emulated;
    verdict.effect = "links of update-alternatives";
  } else {
    verdict.effect = "changes nothing on a first installation";
  }
  return verdict;
}

std::vector<ScriptVerdict> classify_scripts(const Root& root,
                                            const std::set<std::string>& packages_with_files) {
  std::vector<ScriptVerdict> verdicts;
  for (const Input* input : root.packages) {
    for (const auto& [script, text] : input->file.scripts) {
      ScriptVerdict verdict = classify_script(input->package.name, script, text);
      if (verdict.kind == Kind::unsupported) {
        const auto& waived = root.request.waived_scripts;
        if (!packages_with_files.contains(verdict.package)) {
          verdict.kind = Kind::no_op;
          verdict.effect = "not run: no file of the package is in the image";
        } else if (std::find(waived.begin(), waived.end(), verdict.package) != waived.end()) {
          verdict.effect = "not run, as asked for: it " + verdict.effect;
        } else {
          throw Error(
              ErrorCode::unsupported,
              fmt::format(
                  "cannot compose '{}': the {} of package '{}' {}, which aipack does not emulate",
                  root.request.platform.to_string(), script, verdict.package, verdict.effect))
              .with_hint(fmt::format(
                  "if the image works without it, waive the scripts of '{}' (waive_scripts)",
                  verdict.package));
        }
      }
      verdicts.push_back(std::move(verdict));
    }
  }
  std::sort(verdicts.begin(), verdicts.end(), [](const ScriptVerdict& a, const ScriptVerdict& b) {
    return std::tie(a.package, a.script) < std::tie(b.package, b.script);
  });
  return verdicts;
}

} // namespace aipack::rootfs
