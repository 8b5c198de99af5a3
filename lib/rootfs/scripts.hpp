#pragma once

#include "aipack/rootfs/rootfs.hpp"

#include "root.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace aipack::rootfs {

/// What one script would do, judged from its text alone. `effect` says why nothing happens, what is
/// emulated, or the first thing that is not understood.
[[nodiscard]] ScriptVerdict classify_script(std::string_view package, std::string_view script,
                                            std::string_view text);

/// Every script of every package, in the order of names. A script that is not understood is
/// Error{unsupported} when its package has files in `packages_with_files` and was not waived;
/// otherwise it is recorded as not run. Rule 37.
[[nodiscard]] std::vector<ScriptVerdict>
classify_scripts(const Root& root, const std::set<std::string>& packages_with_files);

/// `update-alternatives --install LINK NAME PATH PRIORITY [--slave LINK NAME PATH]…` of a postinst.
struct Alternative {
  struct Link {
    std::string link;
    std::string name;
    std::string path;
  };
  Link master;
  std::int64_t priority = 0;
  std::vector<Link> slaves;
};
[[nodiscard]] std::vector<Alternative> parse_alternatives(std::string_view postinst);

/// Both links of each group whose target exists: LINK → /etc/alternatives/NAME → PATH of the
/// highest priority. Rule 38.
void add_alternatives(Root& root);

} // namespace aipack::rootfs
