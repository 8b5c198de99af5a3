#include "aipack/rootfs/closure.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"
#include "aipack/io/byte_stream.hpp"
#include "aipack/io/file.hpp"

#include "closure_walker.hpp"
#include "loader_path.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <set>

#include <fmt/format.h>

namespace aipack::rootfs {
namespace {

constexpr std::uint64_t no_default_directories = 0x800; // DF_1_NODEFLIB

/// The bytes of a file: mapped where it is an extent of a file on disk, so that only the pages that
/// are looked at are read.
class Bytes {
public:
  explicit Bytes(const fs::Content& content, std::string_view name) {
    if (const auto* extent = dynamic_cast<const fs::FileExtent*>(&content)) {
      const io::File file = io::File::open(extent->file());
      extent->check_unchanged(file);
      mapping_ = std::make_unique<io::Mapping>(file);
      const auto whole = mapping_->bytes();
      if (extent->offset() > whole.size() || extent->size() > whole.size() - extent->offset()) {
        throw FormatError(std::string(name), extent->offset(),
                          "the content ends past the end of its archive");
      }
      view_ = whole.subspan(extent->offset(), extent->size());
    } else {
      const auto source = content.open();
      copy_ = io::read_all(*source, elf::max_object_bytes, name);
      view_ = copy_;
    }
  }
  [[nodiscard]] std::span<const std::byte> view() const noexcept { return view_; }

private:
  std::unique_ptr<io::Mapping> mapping_;
  std::vector<std::byte> copy_;
  std::span<const std::byte> view_;
};

std::string machine_text(const elf::Object& object) {
  for (const auto machine : {elf::Machine::x86_64, elf::Machine::aarch64, elf::Machine::riscv64}) {
    if (object.machine == static_cast<std::uint16_t>(machine)) {
      return object.is(machine) ? std::string(to_string(machine))
                                : std::string(to_string(machine)) + " with another float ABI";
    }
  }
  return fmt::format("machine type {}", object.machine);
}

} // namespace

bool is_injected_by_driver(std::string_view soname) noexcept {
  // Source: libnvidia-container, nvc_info.c, and its WSL list.
  constexpr std::array<std::string_view, 9> prefixes{
      "libcuda.so",   "libcudadebugger.so", "libnvidia-",    "libnvcuvid.so", "libnvoptix.so",
      "libdxcore.so", "libvdpau_nvidia.so", "libGLX_nvidia", "libEGL_nvidia"};
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return soname.starts_with(prefix); });
}

ClosureWalker::ClosureWalker(const fs::FileTree& tree, elf::Machine machine,
                             std::string_view triplet, const Operation& op)
    : tree_(tree), machine_(machine), triplet_(triplet), op_(op),
      cached_(cached_directories(tree, triplet)), defaults_(default_directories(triplet)) {}

const std::optional<elf::Object>& ClosureWalker::object_at(const fs::RootPath& path) {
  const auto [slot, is_new] = objects_.try_emplace(path);
  if (!is_new) {
    return slot->second;
  }
  op_.check();
  const fs::FileEntry* entry = tree_.find(path);
  if (entry == nullptr || entry->type != fs::FileType::regular || !entry->content) {
    return slot->second;
  }
  const Bytes bytes(*entry->content, path.to_string());
  if (!elf::is_elf(bytes.view())) {
    return slot->second;
  }
  try {
    slot->second = elf::read(bytes.view(), path.to_string());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported) { // 32-bit or big-endian: no candidate
      throw;
    }
  }
  return slot->second;
}

void ClosureWalker::add_root(const fs::RootPath& path, const fs::Reason& reason) {
  std::vector<fs::RootPath> links;
  const auto real = tree_.resolve(path, &links);
  if (!real) {
    throw Error(ErrorCode::not_found,
                "cannot follow " + quoted(path.to_string()) + ": the root has no such file");
  }
  const auto& object = object_at(*real);
  if (!object) {
    throw Error(ErrorCode::corrupt, "cannot follow " + quoted(path.to_string()) +
                                        ": not a 64-bit little-endian ELF file");
  }
  if (!object->is(machine_)) {
    throw Error(ErrorCode::corrupt,
                fmt::format("cannot follow {}: it is made for {}, the image for {}",
                            quoted(path.to_string()), machine_text(*object), to_string(machine_)))
        .with_hint("take the file that was built for the image's platform");
  }
  add({*real, *real, links}, reason, none);
}

std::size_t ClosureWalker::add(const Found& found, const fs::Reason& reason, std::size_t loader) {
  const auto [slot, is_new] = index_.try_emplace(found.path, nodes_.size());
  if (is_new) {
    nodes_.push_back(
        {found.path, found.opened_as, *object_at(found.path), reason, loader, found.links, {}});
  } else {
    auto& links = nodes_[slot->second].links;
    for (const auto& link : found.links) {
      if (std::find(links.begin(), links.end(), link) == links.end()) {
        links.push_back(link);
      }
    }
  }
  return slot->second;
}

void ClosureWalker::walk() {
  while (next_ < nodes_.size()) {
    visit(next_++);
  }
  resolve_late();
}

void ClosureWalker::visit(std::size_t node) {
  const elf::Object& object = nodes_[node].object;
  const fs::RootPath& path = nodes_[node].path;
  if (!object.audit.empty()) {
    throw Error(ErrorCode::unsupported,
                fmt::format("cannot follow {}: it asks for the audit library {}, whose code would "
                            "run before the program",
                            quoted(path.to_string()), quoted(object.audit.front())));
  }
  follow_interpreter(node);
  for (const auto& name : object.needed) {
    follow(node, {name, {"needed", "DT_NEEDED " + name, path}});
  }
  for (const auto& name : object.filters) {
    follow(node, {name, {"needed", "DT_FILTER " + name, path}});
  }
  for (const auto& name : object.auxiliaries) {
    follow(node, {name, {"needed", "DT_AUXILIARY " + name, path}, false});
  }
  follow_notes(node);
}

void ClosureWalker::follow_interpreter(std::size_t node) {
  const std::string interpreter = nodes_[node].object.interpreter;
  if (interpreter.empty()) {
    return;
  }
  const fs::Reason reason{"interpreter", "PT_INTERP " + interpreter, nodes_[node].path};
  const auto path = fs::RootPath::try_parse(interpreter);
  const auto found = path ? candidate(*path) : std::nullopt;
  if (found) {
    add(*found, reason, node);
  } else {
    unresolved_.emplace_back(node, Wanted{interpreter, reason});
  }
}

void ClosureWalker::follow_notes(std::size_t node) {
  for (const auto& note : nodes_[node].object.dlopen_notes) {
    if (note.priority == "suggested" || note.sonames.empty()) {
      continue;
    }
    const auto reason_for = [&](const std::string& name) {
      return fs::Reason{"dlopen",
                        fmt::format("{} {}{}{}", note.priority, name,
                                    note.feature.empty() ? "" : " for ", note.feature),
                        nodes_[node].path};
    };
    bool found = false;
    for (const auto& name : note.sonames) {
      std::vector<Found> variants;
      if (const auto library = find(node, name, variants)) {
        follow(node, {name, reason_for(name), false});
        found = true;
        break; // the first that there is
      }
    }
    if (!found && note.priority == "required") {
      unresolved_.emplace_back(node,
                               Wanted{note.sonames.front(), reason_for(note.sonames.front())});
    }
  }
}

void ClosureWalker::follow(std::size_t node, const Wanted& wanted) {
  std::vector<Found> variants;
  const auto found = find(node, wanted.name, variants);
  if (!found) {
    if (wanted.required) {
      unresolved_.emplace_back(node, wanted);
    }
    return;
  }
  nodes_[node].resolved[wanted.name] = add(*found, wanted.reason, node);
  for (const auto& variant : variants) {
    fs::Reason reason = wanted.reason;
    reason.detail += " (glibc-hwcaps)";
    add(variant, reason, node);
  }
}

std::optional<ClosureWalker::Found> ClosureWalker::candidate(const fs::RootPath& path) {
  Found found;
  const auto real = tree_.resolve(path, &found.links);
  if (!real) {
    return std::nullopt;
  }
  const auto& object = object_at(*real);
  if (!object || !object->is(machine_)) {
    return std::nullopt; // ld.so goes on to the next directory
  }
  found.path = *real;
  found.opened_as = tree_.resolve_parent(path).value_or(*real);
  return found;
}

const std::vector<std::string>& ClosureWalker::hwcaps_of(const std::string& directory) {
  const auto [slot, is_new] = hwcaps_.try_emplace(directory);
  if (is_new) {
    slot->second = hwcaps_subdirectories(tree_, directory);
  }
  return slot->second;
}

std::optional<ClosureWalker::Found> ClosureWalker::find_in(std::string_view directory,
                                                           std::string_view name,
                                                           std::vector<Found>& variants) {
  const std::string base(directory);
  for (const auto& hwcap : hwcaps_of(base)) {
    const auto path =
        fs::RootPath::try_parse(fmt::format("{}/glibc-hwcaps/{}/{}", base, hwcap, name));
    if (auto found = path ? candidate(*path) : std::nullopt) {
      variants.push_back(std::move(*found));
    }
  }
  const auto path = fs::RootPath::try_parse(base + "/" + std::string(name));
  return path ? candidate(*path) : std::nullopt;
}

std::optional<ClosureWalker::Found> ClosureWalker::find(std::size_t node, const std::string& name,
                                                        std::vector<Found>& variants) {
  if (name.find('/') != std::string::npos) { // a path is taken literally; a relative one would
                                             // depend on the working directory
    const auto text = expand_one(name, nodes_[node].opened_as);
    const auto path =
        text && text->starts_with('/') ? fs::RootPath::try_parse(*text) : std::nullopt;
    return path ? candidate(*path) : std::nullopt;
  }
  for (const auto& directory : search_path(node)) {
    if (auto found = find_in(directory, name, variants)) {
      return found;
    }
  }
  return std::nullopt;
}

// The order of _dl_map_object: RPATH of the object and of its loaders unless it has a RUNPATH, its
// own RUNPATH, the cache, the defaults.
std::vector<std::string> ClosureWalker::search_path(std::size_t node) const {
  std::vector<std::string> directories;
  const Node& object = nodes_[node];
  const auto append = [&](std::vector<std::string> more) {
    directories.insert(directories.end(), more.begin(), more.end());
  };
  if (object.object.runpath.empty()) {
    for (std::size_t at = node; at != none; at = nodes_[at].loader) {
      if (nodes_[at].object.runpath.empty()) {
        append(expand(nodes_[at].object.rpath, nodes_[at].opened_as));
      }
    }
  }
  append(expand(object.object.runpath, object.opened_as));
  const bool defaults = (object.object.flags_1 & no_default_directories) == 0;
  for (const auto& directory : cached_) {
    if (defaults || std::find(defaults_.begin(), defaults_.end(), directory) == defaults_.end()) {
      directories.push_back(directory);
    }
  }
  if (defaults) {
    append(defaults_);
  }
  return directories;
}

std::vector<std::string> ClosureWalker::expand(std::string_view path_list,
                                               const fs::RootPath& opened_as) const {
  std::vector<std::string> directories;
  if (path_list.empty()) {
    return directories;
  }
  for (const std::string_view part : split(path_list, ':')) {
    const auto text = expand_one(part, opened_as);
    if (text && text->starts_with('/')) { // empty and relative ones mean the working directory,
                                          // which an image does not promise
      directories.push_back(fs::RootPath().resolve_link(*text).to_string());
    }
  }
  return directories;
}

std::optional<std::string> ClosureWalker::expand_one(std::string_view text,
                                                     const fs::RootPath& opened_as) const {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '$') {
      result.push_back(text[at++]);
      continue;
    }
    const auto token = [&](std::string_view name) {
      for (const std::string& form : {fmt::format("${}", name), fmt::format("${{{}}}", name)}) {
        if (text.substr(at).starts_with(form)) {
          at += form.size();
          return true;
        }
      }
      return false;
    };
    if (token("ORIGIN")) {
      result += opened_as.parent().to_string();
    } else if (token("LIB")) {
      result += "lib/" + triplet_;
    } else if (token("PLATFORM")) {
      if (machine_ == elf::Machine::riscv64) {
        return std::nullopt; // its kernel gives no AT_PLATFORM
      }
      result += to_string(machine_);
    } else {
      return std::nullopt;
    }
  }
  return result;
}

bool ClosureWalker::has(std::string_view soname) const {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [&](const Node& node) { return node.object.soname == soname; });
}

std::optional<fs::RootPath> ClosureWalker::find_by_default(std::string_view name) {
  for (const auto* directories : {&cached_, &defaults_}) {
    for (const auto& directory : *directories) {
      std::vector<Found> variants;
      if (const auto found = find_in(directory, name, variants)) {
        return found->opened_as;
      }
    }
  }
  return std::nullopt;
}

/// A library that is loaded already satisfies a name that the search does not find, as in
/// _dl_map_object.
void ClosureWalker::resolve_late() {
  std::erase_if(unresolved_, [&](const auto& item) {
    const auto loaded = std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& node) {
      return node.object.soname == item.second.name;
    });
    if (loaded != nodes_.end()) {
      nodes_[item.first].resolved[item.second.name] = index_.at(loaded->path);
      return true;
    }
    return is_injected_by_driver(item.second.name);
  });
}

void ClosureWalker::check_versions() const {
  for (const Node& node : nodes_) {
    for (const auto& [library, versions] : node.object.versions_needed) {
      const auto edge = node.resolved.find(library);
      if (edge == node.resolved.end()) {
        continue;
      }
      const Node& provider = nodes_[edge->second];
      if (provider.object.versions_defined.empty()) {
        continue; // ld.so only warns about an unversioned library
      }
      for (const auto& version : versions) {
        if (provider.object.versions_defined.contains(version)) {
          continue;
        }
        const std::string prefix = version.substr(0, version.find('_') + 1);
        std::string best;
        for (const auto& defined : provider.object.versions_defined) {
          if (defined.starts_with(prefix)) {
            best += (best.empty() ? "" : ", ") + defined;
          }
        }
        throw Error(
            ErrorCode::unsatisfiable,
            fmt::format(
                "cannot link '{}': it needs version '{}' of '{}', which '{}' does not define",
                node.path.to_string(), version, library, provider.path.to_string()))
            .with_hint("take both from one suite" +
                       (best.empty() ? std::string()
                                     : "; defined are: " +
                                           best.substr(best.size() > 200 ? best.size() - 200 : 0)));
      }
    }
  }
}

std::vector<fs::RootPath> ClosureWalker::chain_of(std::size_t node) const {
  std::vector<fs::RootPath> chain;
  for (std::size_t at = node; at != none; at = nodes_[at].loader) {
    chain.push_back(nodes_[at].path);
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

Closure ClosureWalker::take() {
  Closure closure;
  for (const auto& [node, wanted] : unresolved_) {
    closure.missing.push_back({wanted.name, nodes_[node].path, chain_of(node)});
  }
  if (closure.missing.empty()) {
    check_versions();
  }
  for (const auto& [path, node] : index_) { // by path
    Node& item = nodes_[node];
    std::sort(item.links.begin(), item.links.end());
    closure.nodes.push_back(
        {item.path, std::move(item.object), std::move(item.reason), std::move(item.links)});
  }
  std::sort(closure.missing.begin(), closure.missing.end(), [](const Missing& a, const Missing& b) {
    return std::tie(a.needed_by, a.soname) < std::tie(b.needed_by, b.soname);
  });
  return closure;
}

Closure elf_closure(const fs::FileTree& tree, elf::Machine machine, std::string_view triplet,
                    const std::vector<std::pair<fs::RootPath, fs::Reason>>& roots,
                    const Operation& op) {
  ClosureWalker walker(tree, machine, triplet, op);
  for (const auto& [path, reason] : roots) {
    walker.add_root(path, reason);
  }
  walker.walk();
  return walker.take();
}

} // namespace aipack::rootfs
