#include "missing.hpp"

#include "aipack/core/error.hpp"
#include "aipack/core/text.hpp"

#include <set>

#include <fmt/format.h>

namespace aipack::rootfs {

void throw_missing(const Root& root, const std::vector<Missing>& missing) {
  const Missing& first = missing.front();
  std::string chain;
  for (const auto& path : first.chain) {
    chain += (chain.empty() ? "" : " -> ") + path.to_string();
  }
  std::string message = fmt::format(
      "cannot compose '{}': {}, needed by '{}' (path: {}), is in no selected package",
      root.request.platform.to_string(), quoted(first.soname), first.needed_by.to_string(), chain);
  if (missing.size() > 1) {
    std::set<std::string> others;
    for (const auto& item : missing) {
      if (item.soname != first.soname) {
        others.insert(item.soname);
      }
    }
    std::string list;
    std::size_t shown = 0;
    for (const auto& name : others) {
      if (++shown > 8) {
        list += fmt::format(" and {} more", others.size() - 8);
        break;
      }
      list += (list.empty() ? "" : ", ") + quoted(name);
    }
    message += list.empty() ? "" : "; also missing: " + list;
  }
  std::string candidates;
  const std::string_view base = std::string_view(first.soname).substr(first.soname.rfind('/') + 1);
  for (const auto& [path, entry] : root.tree.entries()) {
    if (entry.type != fs::FileType::directory && path.filename() == base &&
        candidates.size() < 400) {
      candidates += (candidates.empty() ? "" : ", ") + path.to_string();
    }
  }
  throw Error(ErrorCode::unsatisfiable, message)
      .with_hint(candidates.empty()
                     ? "add the package that ships it"
                     : "found, but outside of the search path, broken or for another machine: " +
                           candidates);
}

} // namespace aipack::rootfs
