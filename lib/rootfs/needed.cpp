#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include "aliases.hpp"
#include "documentation.hpp"
#include "loader_path.hpp"
#include "missing.hpp"
#include "prune.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

constexpr unsigned max_shebang_depth = 4;
constexpr std::size_t max_shebang_bytes = 256; // BINPRM_BUF_SIZE
constexpr std::array<std::string_view, 6> program_path{
    "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

/// Libraries that others open by name without saying so in a note. Rule 30.
struct Companion {
  std::string_view soname; ///< once this is reached
  std::string_view opened; ///< a soname, or a path with {triplet}
  std::string_view why;
};
constexpr std::array<Companion, 2> companions{{
    {"libc.so.6", "libgcc_s.so.1", "opened by libc to unwind a cancelled thread"},
    {"libcrypto.so.3", "/usr/lib/{triplet}/ossl-modules/legacy.so",
     "opened by libcrypto for legacy algorithms"},
}};

std::string head_of(const fs::FileEntry& entry, std::size_t limit) {
  std::string head(std::min<std::uint64_t>(entry.size(), limit), '\0');
  if (head.empty()) {
    return head;
  }
  const auto source = entry.content->open();
  head.resize(io::fill(*source, std::as_writable_bytes(std::span(head))));
  return head;
}

class Finder {
public:
  Finder(Root& root, const Operation& op)
      : root_(root), op_(op), walker_(root.tree, root.machine, root.names.triplet, op) {}

  void add_entrypoint();
  void add_user_files();
  void add_dlopened();
  void add_data();
  void add_whole_packages();
  void add_companions();
  std::map<fs::RootPath, std::string> keep_closure();

private:
  void add_program(const fs::RootPath& path, const fs::Reason& reason, unsigned depth);
  [[nodiscard]] std::optional<fs::RootPath> find_program(std::string_view name) const;
  /// Roots of a file that is kept anyway: an ELF file's closure, a script's interpreter if there is
  /// one.
  void follow_kept(const fs::RootPath& path, const fs::Reason& reason);
  void link_soname(const fs::RootPath& path);
  void keep_matching(const std::string& pattern, const fs::Reason& reason);
  void keep_below(const fs::RootPath& directory, const fs::Reason& reason);
  [[nodiscard]] std::map<std::string, std::string> whole_packages() const;

  Root& root_;
  const Operation& op_;
  ClosureWalker walker_;
  std::optional<fs::RootPath> entrypoint_;
  std::map<std::string, std::string> interpreters_; ///< packages of scripts' interpreters → why
};

std::optional<fs::RootPath> Finder::find_program(std::string_view name) const {
  if (name.find('/') != std::string_view::npos) {
    const auto path = fs::RootPath::try_parse(name);
    return path && root_.tree.resolve(*path) ? std::optional(root_.canonical(*path)) : std::nullopt;
  }
  for (const auto directory : program_path) {
    const auto path = fs::RootPath::try_parse(fmt::format("{}/{}", directory, name));
    if (path && root_.tree.resolve(*path)) {
      return root_.canonical(*path);
    }
  }
  return std::nullopt;
}

void Finder::add_entrypoint() {
  if (root_.request.entrypoint.empty()) {
    return;
  }
  const std::string& program = root_.request.entrypoint.front();
  const auto path = find_program(program);
  if (!path) {
    throw Error(ErrorCode::not_found, "cannot compose " +
                                          quoted(root_.request.platform.to_string()) +
                                          ": no package has the entrypoint " + quoted(program))
        .with_hint("add the package that ships it, or the file itself");
  }
  entrypoint_ = root_.tree.resolve(*path);
  add_program(*path, {"entrypoint", "the image runs " + program}, 0);
}

/// A program is an ELF file, or a script whose interpreter is the program. Source: execve(2),
/// "Interpreter scripts".
void Finder::add_program(const fs::RootPath& path, const fs::Reason& reason, unsigned depth) {
  const auto real = root_.tree.resolve(path);
  const fs::FileEntry* entry = real ? root_.tree.find(*real) : nullptr;
  if (entry == nullptr || entry->type != fs::FileType::regular) {
    throw Error(ErrorCode::not_found,
                "cannot run " + quoted(path.to_string()) + ": the root has no such file");
  }
  root_.keep_resolved(path, reason);
  const std::string head = head_of(*entry, max_shebang_bytes);
  if (!head.starts_with("#!")) {
    walker_.add_root(path, reason);
    if (reason.rule == "interpreter" && path.filename() != "env" && !entry->package.empty()) {
      interpreters_.try_emplace(entry->package, reason.detail + " of " + reason.from->to_string());
    }
    return;
  }
  if (depth >= max_shebang_depth) {
    throw Error(ErrorCode::invalid_input, "cannot run " + quoted(path.to_string()) +
                                              ": its interpreter is a script of a script");
  }
  const std::string_view line = trim(std::string_view(head).substr(
      2, head.find('\n') == std::string::npos ? head.size() : head.find('\n') - 2));
  const std::size_t space = line.find_first_of(" \t");
  const std::string interpreter(line.substr(0, space));
  const auto found = find_program(interpreter);
  if (!interpreter.starts_with('/') || !found) {
    throw Error(ErrorCode::unsatisfiable,
                fmt::format("cannot run '{}': nothing provides its interpreter {}",
                            path.to_string(), quoted(interpreter)))
        .with_hint("add the package that ships the interpreter");
  }
  add_program(*found, {"interpreter", "#! " + interpreter, *real}, depth + 1);
  if (fs::RootPath::parse(interpreter).filename() == "env" && space != std::string_view::npos) {
    std::string_view name = trim(line.substr(space));
    if (name.starts_with("-S")) {
      name = trim(name.substr(2));
    }
    const std::string program(name.substr(0, name.find_first_of(" \t")));
    const auto target = find_program(program);
    if (!target) {
      throw Error(
          ErrorCode::unsatisfiable,
          fmt::format("cannot run '{}': nothing provides {}, which its first line asks env for",
                      path.to_string(), quoted(program)))
          .with_hint("add the package that ships the interpreter");
    }
    add_program(*target, {"interpreter", "#! env " + program, *real}, depth + 1);
  }
}

void Finder::follow_kept(const fs::RootPath& path, const fs::Reason& reason) {
  const fs::FileEntry* entry = root_.tree.find(path);
  if (entry == nullptr || entry->type != fs::FileType::regular || entry->size() < 4) {
    return;
  }
  const std::string head = head_of(*entry, 4);
  if (elf::is_elf(std::as_bytes(std::span(head)))) {
    walker_.add_root(path, reason);
  } else if (head.starts_with("#!") && (entry->mode & 0111) != 0) {
    try {
      add_program(path, reason, 0);
    } catch (const Error& error) {
      root_.notes.insert(error.message());
    }
  }
}

void Finder::add_user_files() {
  for (const ExtraFile& extra : root_.request.extra) {
    const fs::RootPath path = root_.canonical(without_alias(extra.path));
    const fs::FileEntry* entry = root_.tree.find(path);
    if (entry != nullptr && entry->type == fs::FileType::regular) {
      op_.check();
      follow_kept(path, *entry->reason);
      link_soname(path);
    }
  }
}

/// The link by which the loader finds a library in a directory it searches. Debian's packages have
/// theirs (Policy 8.1); the user's files get what ldconfig would make. Rule 29.
void Finder::link_soname(const fs::RootPath& path) {
  const elf::Object* object = walker_.object_of(path);
  if (object == nullptr || object->soname.empty() || object->soname == path.filename() ||
      object->soname.find('/') != std::string::npos) {
    return;
  }
  const auto directories = cached_directories(root_.tree, root_.names.triplet);
  const bool searched = std::any_of(directories.begin(), directories.end(), [&](const auto& name) {
    return root_.tree.resolve(fs::RootPath::parse(name)) == path.parent();
  });
  const auto link = fs::RootPath::try_parse(path.parent().text() + "/" + object->soname);
  if (searched && link && root_.tree.find(*link) == nullptr) {
    root_.generate_link(link->text(), std::string(path.filename()),
                        {"link", "rule 29: DT_SONAME of " + path.to_string(), path});
  }
}

void Finder::add_dlopened() {
  for (const std::string& raw : root_.request.dlopened) {
    const std::string pattern = without_alias(fs::RootPath::parse(raw)).text();
    const fs::Reason reason{"dlopen", "opened at run time: /" + pattern, entrypoint_};
    bool found = false;
    std::vector<fs::RootPath> paths;
    for (const auto& [path, entry] : root_.tree.entries()) {
      if (entry.type != fs::FileType::directory && glob_matches(pattern, path.text())) {
        paths.push_back(path);
      }
    }
    for (const auto& path : paths) {
      found = true;
      walker_.add_root(path, reason);
    }
    if (!found && !is_glob(pattern)) {
      throw Error(
          ErrorCode::not_found,
          fmt::format("cannot compose '{}': no package has '/{}', which the image's program opens",
                      root_.request.platform.to_string(), pattern));
    }
    if (!found) {
      root_.notes.insert("nothing matches /" + pattern + ", which may be opened at run time");
    }
  }
}

void Finder::keep_below(const fs::RootPath& directory, const fs::Reason& reason) {
  std::vector<fs::RootPath> paths;
  for (auto at = root_.tree.entries().upper_bound(directory);
       at != root_.tree.entries().end() && at->first.is_within(directory); ++at) {
    paths.push_back(at->first);
  }
  for (const auto& path : paths) {
    root_.keep(path, reason);
    if (root_.tree.find(path)->type == fs::FileType::symlink) {
      root_.keep_resolved(path, reason);
    }
    follow_kept(path, reason);
  }
}

void Finder::keep_matching(const std::string& pattern, const fs::Reason& reason) {
  std::vector<fs::RootPath> matches;
  for (const auto& [path, entry] : root_.tree.entries()) {
    if (glob_matches(pattern, path.text())) {
      matches.push_back(path);
    }
  }
  for (const auto& path : matches) {
    root_.keep_resolved(path, reason);
    const auto real = root_.tree.resolve(path);
    if (!real) {
      continue;
    }
    if (const fs::FileEntry* entry = root_.tree.find(*real);
        entry != nullptr && entry->type == fs::FileType::directory) {
      keep_below(*real, reason);
    } else {
      follow_kept(*real, reason);
    }
  }
  if (matches.empty()) {
    root_.notes.insert("no package has data /" + pattern);
  }
}

void Finder::add_data() {
  for (const std::string& raw : root_.request.data) {
    const std::string pattern = without_alias(fs::RootPath::parse(raw)).text();
    op_.check();
    keep_matching(pattern, {"data", "read at run time: /" + pattern, entrypoint_});
  }
}

/// The packages asked for, those of scripts' interpreters, and those of their dependencies that are
/// no libraries: an interpreter's modules are found by no ELF reader.
std::map<std::string, std::string> Finder::whole_packages() const {
  std::map<std::string, std::string> whole = interpreters_; // name → why
  for (const auto& name : root_.request.whole_packages) {
    whole.insert_or_assign(name, "package " + name + " was asked for");
  }
  std::set<std::string> pending;
  for (const auto& [name, why] : whole) {
    pending.insert(name);
  }
  while (!pending.empty()) {
    const std::string name = pending.extract(pending.begin()).value();
    const Input* input = root_.find_package(name);
    if (input == nullptr) {
      continue;
    }
    for (const char* field : {"Pre-Depends", "Depends"}) {
      const auto depends = input->file.control.find(field);
      for (const auto& alternatives : deb::parse_relations(depends.value_or(""))) {
        for (const auto& relation : alternatives) {
          const Input* dependency = root_.find_package(relation.name);
          if (dependency != nullptr && !dependency->file.metadata.contains("shlibs") &&
              whole.emplace(relation.name, name + " depends on " + relation.name).second) {
            pending.insert(relation.name);
          }
        }
      }
    }
  }
  return whole;
}

void Finder::add_whole_packages() {
  std::map<std::string, std::string> done;
  // A script of a whole package may bring an interpreter, whose package is whole too.
  for (auto whole = whole_packages(); whole.size() != done.size(); whole = whole_packages()) {
    std::vector<std::pair<fs::RootPath, fs::Reason>> paths;
    for (const auto& [path, entry] : root_.tree.entries()) {
      const auto why = entry.package.empty() ? whole.end() : whole.find(entry.package);
      if (why != whole.end() && !done.contains(entry.package) && !is_documentation(path.text())) {
        paths.emplace_back(path, fs::Reason{"package", why->second});
      }
    }
    for (const auto& [path, reason] : paths) {
      op_.check();
      root_.keep(path, reason);
      follow_kept(path, reason);
    }
    done = std::move(whole);
  }
}

void Finder::add_companions() {
  walker_.walk();
  for (const Companion& companion : companions) {
    if (!walker_.has(companion.soname)) {
      continue;
    }
    std::string name(companion.opened);
    if (const std::size_t at = name.find("{triplet}"); at != std::string::npos) {
      name.replace(at, 9, root_.names.triplet);
    }
    const auto loader = walker_.find_by_default(companion.soname);
    const auto path = name.starts_with('/') ? std::optional(fs::RootPath::parse(name))
                                            : walker_.find_by_default(name);
    if (path && root_.tree.resolve(*path)) {
      const auto from = loader ? root_.tree.resolve(*loader) : std::nullopt;
      walker_.add_root(*path, {"dlopen", std::string(companion.why), from});
    }
  }
  walker_.walk();
}

std::map<fs::RootPath, std::string> Finder::keep_closure() {
  const Closure closure = walker_.take();
  if (!closure.missing.empty()) {
    throw_missing(root_, closure.missing);
  }
  std::map<fs::RootPath, std::string> sonames;
  for (const ClosureNode& node : closure.nodes) {
    root_.keep(node.path, node.reason);
    for (const auto& link : node.links) {
      root_.keep(link, {"link", "leads to " + node.path.to_string(), node.path});
    }
    sonames[node.path] = node.object.soname;
  }
  return sonames;
}

} // namespace

std::map<fs::RootPath, std::string> keep_what_is_needed(Root& root, const Operation& op) {
  Finder finder(root, op);
  finder.add_entrypoint();
  finder.add_user_files();
  finder.add_dlopened();
  finder.add_data();
  finder.add_whole_packages();
  finder.add_companions();
  auto sonames = finder.keep_closure();

  // Configuration of the packages whose programs or libraries are kept: they read it.
  std::set<std::string> packages;
  for (const auto& [path, soname] : sonames) {
    packages.insert(root.tree.find(path)->package);
  }
  for (const Input* input : root.packages) {
    const auto conffiles = input->file.metadata.find("conffiles");
    if (conffiles == input->file.metadata.end() || !packages.contains(input->package.name)) {
      continue;
    }
    for (const std::string_view line : split(conffiles->second, '\n')) {
      const auto path = fs::RootPath::try_parse(trim(line));
      if (path && !path->is_root()) {
        const fs::RootPath at = root.canonical(without_alias(*path));
        root.keep(at, {"data", "configuration of " + input->package.name});
      }
    }
  }
  return sonames;
}

} // namespace aipack::rootfs
