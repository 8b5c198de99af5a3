#include "aliases.hpp"

#include <algorithm>

namespace aipack::rootfs {

const Alias* alias_of(const fs::RootPath& path) {
  const auto found = std::find_if(aliases.begin(), aliases.end(),
                                  [&](const Alias& alias) { return path.text() == alias.link; });
  return found == aliases.end() ? nullptr : &*found;
}

fs::RootPath without_alias(const fs::RootPath& path) {
  for (const Alias& alias : aliases) {
    if (path.text().size() > alias.link.size() && path.text().starts_with(alias.link) &&
        path.text()[alias.link.size()] == '/') {
      return fs::RootPath::parse(alias.directory) /
             std::string_view(path.text()).substr(alias.link.size() + 1);
    }
  }
  return path;
}

} // namespace aipack::rootfs
