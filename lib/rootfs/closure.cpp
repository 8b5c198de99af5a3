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

const elf::Object* ClosureWalker::object_of(const fs::RootPath& path) const {
  const auto found = index_.find(path);
  return found == index_.end() ? nullptr : &nodes_[found->second].object;
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
